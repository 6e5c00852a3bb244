// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes
import MeshModel
import MeshPolicy
import MeshStore

/// Turns records of all clusters into rows: what the kernel shall hold.
struct RecordTables {
    typealias Changes = [RecordKey: RecordChange]

    private let own: NodeID
    private let store: MeshStore
    private var merger: ServiceMerger
    /// What the own cluster's endpoint records last said. Other clusters' aren't kept: there are
    /// too many of them.
    private var ownEndpoints: [RecordKey: EndpointRecord] = [:]
    private var claims: EndpointClaims
    private var interfaces: [ObjectName: LocalInterface] = [:]
    /// Endpoints of this node whose labels nobody has said yet, by their records' keys.
    private var unlabelled: [RecordKey: EndpointRecord] = [:]
    /// Endpoints that the kernel holds from before a restart: left as they are until their identity
    /// is known again, so that it doesn't flap.
    private var held: Set<ObjectName>
    /// Records that didn't decode: what they said before stays in force.
    private(set) var quarantine: [ClusterID: [RecordKey: DecodingFault]] = [:]
    /// Addresses that quarantined endpoint records of other clusters had before.
    private var lastGood: [ClusterID: [RecordKey: [Address]]] = [:]
    /// What this cluster's own services say, for status.
    private(set) var affinities: [ObjectName: ServiceAffinity] = [:]
    /// As clusters announce them.
    private(set) var relaySets: [ClusterID: RelaySetRecord] = [:]
    /// Names of other clusters' nodes that say they are relays: they count until the cluster announces a set.
    private(set) var relayNodes: [ClusterID: Set<String>] = [:]
    /// What other clusters' authorities say, by the records' names.
    private(set) var statements: [ClusterID: [String: [UInt8]]] = [:]
    /// Whom this cluster's home has made peers, by the clusters' names.
    private(set) var members: [String: [UInt8]] = [:]
    /// Nodes that this cluster's API server has, by name.
    private(set) var listedNodes: [String: MemberRecord] = [:]
    /// What this cluster's home says of its authority.
    private(set) var authority: AuthorityRecord?
    /// Rises with every change of the three, and of deny lists.
    private(set) var trustRevision: UInt64 = 0
    /// As clusters announce them, unverified.
    private(set) var denyLists: [ClusterID: [UInt8]] = [:]
    private var clustersOfFrontend: [FrontendKey: Set<ClusterID>] = [:]
    private var frontendsOfCluster: [ClusterID: Int] = [:]

    init(own: NodeID, store: MeshStore, held: Set<ObjectName> = []) {
        self.own = own
        self.store = store
        self.held = held
        merger = ServiceMerger(own: own.cluster, node: own)
        claims = EndpointClaims(own: own.cluster)
    }

    var serviceProblems: [String] { merger.problems }

    /// Services and slices of all clusters, as they are merged.
    var merged: ServiceMerger { merger }

    /// Other clusters that some frontend has backends in.
    var clustersInUse: Set<ClusterID> { Set(frontendsOfCluster.keys).subtracting([own.cluster]) }

    /// The host-side interfaces of this node's endpoints; their rows follow.
    mutating func setInterfaces(_ interfaces: [ObjectName: LocalInterface]) {
        let affected = Set(interfaces.keys).union(self.interfaces.keys)
            .filter { interfaces[$0] != self.interfaces[$0] }
        self.interfaces = interfaces
        writeRows(of: affected)
    }

    /// Endpoints of this node that have rows though nobody is told of them: without a workload no
    /// policy can be asked, so that they stay isolated.
    mutating func setUnlabelled(_ records: [EndpointRecord]) {
        let former = unlabelled
        unlabelled = Dictionary(records.map { ($0.key, $0) }) { first, _ in first }
        guard former != unlabelled else { return }
        let gone = former.values.filter { unlabelled[$0.key] != $0 }
        let rows = unlabelled.values.sorted { $0.key < $1.key }
            .flatMap { isolatedRows(of: $0) }
        store.write { tables in
            for record in gone {
                let owner = EndpointOwner(cluster: own.cluster, key: record.key)
                let kept = ownEndpoints[record.key]?.addresses ?? []
                for address in record.addresses where !kept.contains(address) {
                    claims.release(address, of: owner, in: &tables.endpoints)
                }
            }
            for row in rows { claims.claim(row, in: &tables.endpoints) }
        }
    }

    private func isolatedRows(of record: EndpointRecord) -> [EndpointRow] {
        rows(of: record, EndpointOwner(cluster: own.cluster, key: record.key)).map {
            EndpointRow(
                address: $0.address, record: $0.record, object: $0.object, identity: $0.identity,
                node: $0.node, local: $0.local, workload: nil, hasSiblings: $0.hasSiblings)
        }
    }

    /// Stops waiting for identities.
    mutating func releaseHeld() {
        let objects = held
        held = []
        writeRows(of: objects)
    }

    /// A cluster is no peer any more, and its records are deleted: nothing else is kept of it.
    mutating func forget(_ cluster: ClusterID) {
        quarantine[cluster] = nil
        lastGood[cluster] = nil
        if statements.removeValue(forKey: cluster) != nil { trustRevision += 1 }
        denyLists[cluster] = nil
    }

    private mutating func writeRows(of objects: Set<ObjectName>) {
        let records = ownEndpoints.values.filter { objects.contains($0.object) }
        let rows = records.flatMap {
            self.rows(of: $0, EndpointOwner(cluster: own.cluster, key: $0.key))
        }
        let isolated = unlabelled.values.filter { objects.contains($0.object) }
            .sorted { $0.key < $1.key }.flatMap { isolatedRows(of: $0) }
        store.write { tables in
            for row in rows + isolated { claims.claim(row, in: &tables.endpoints) }
        }
    }

    mutating func apply(_ changes: Changes, of cluster: ClusterID) {
        var writes: [(key: RecordKey, write: @Sendable (inout MeshTables) -> Void)] = []
        var edits: [EndpointEdit] = []
        var services: [(key: RecordKey, change: ServiceChange)] = []
        var zones: [NodeID: String] = [:]
        for (key, change) in changes {
            do throws(DecodingFault) {
                let value = change.new
                switch key.kind {
                case .service, .slice:
                    if let change = try ServiceChange(cluster: cluster, key: key, value: value) {
                        services.append((key, change))
                        if cluster == own.cluster { note(change) }
                    }
                case .endpoint: edits.append(try endpoint(key, change, of: cluster))
                case .node:
                    let row = try node(key, value, of: cluster)
                    zones[row.id] = row.zone
                    writes.append((key, row.write))
                case .identity: writes.append((key, try identity(key, value, of: cluster)))
                case .relays: try setRelays(key, value, of: cluster)
                case .statement: try setStatement(key, value, of: cluster)
                case .peer: try setPeer(key, value, of: cluster)
                case .deny: try setDenyList(key, value, of: cluster)
                case .authority: try setAuthority(key, value, of: cluster)
                case .namespace: writes.append((key, try namespace(key, value, of: cluster)))
                case .member where cluster == own.cluster: try setListedNode(key, value)
                case .policy where cluster == own.cluster:
                    writes.append((key, try policy(key, value)))
                case .policy, .receipt, .member: break
                }
                quarantine[cluster]?[key] = nil
            } catch {
                quarantine[cluster, default: [:]][key] = error
            }
        }
        // In an order of their own, for a dictionary's differs in every process.
        edits.sort { $0.owner < $1.owner }
        writes.sort { $0.key < $1.key }
        services.sort { $0.key < $1.key }
        let frontends = merger.update(services.map(\.change), zones: zones)
        for frontend in frontends.upserts {
            count(Set(frontend.slices.map(\.cluster)), for: frontend.key)
        }
        for key in frontends.deletes { count([], for: key) }
        store.write { tables in
            for (_, write) in writes { write(&tables) }
            for edit in edits { edit.apply(to: &tables.endpoints, &claims) }
            for frontend in frontends.upserts { tables.frontends.upsert(frontend) }
            for key in frontends.deletes { tables.frontends.delete(key) }
        }
    }

    private mutating func note(_ change: ServiceChange) {
        switch change.content {
        case .service(let record): affinities[record.object] = record.affinity
        case .serviceDeleted(let object): affinities[object] = nil
        case .slice, .sliceDeleted: break
        }
    }

    private mutating func count(_ clusters: Set<ClusterID>, for key: FrontendKey) {
        let before = clustersOfFrontend.updateOrRemove(
            clusters.isEmpty ? nil : clusters, forKey: key)
        for cluster in clusters { frontendsOfCluster[cluster, default: 0] += 1 }
        for cluster in before ?? [] {
            let left = frontendsOfCluster[cluster, default: 1] - 1
            frontendsOfCluster[cluster] = left == 0 ? nil : left
        }
    }

    /// Addresses that a record gave up, and rows that it makes.
    private struct EndpointEdit {
        let owner: EndpointOwner
        let former: [Address]
        let rows: [EndpointRow]

        func apply(to table: inout EndpointRows, _ claims: inout EndpointClaims) {
            for address in former where !rows.contains(where: { $0.address == address }) {
                claims.release(address, of: owner, in: &table)
            }
            for row in rows { claims.claim(row, in: &table) }
        }
    }

    private mutating func endpoint(_ key: RecordKey, _ change: RecordChange, of cluster: ClusterID)
        throws(DecodingFault) -> EndpointEdit
    {
        let record: EndpointRecord?
        do throws(DecodingFault) {
            record = try EndpointRecord(change.new, key)
        } catch {
            if cluster != own.cluster, lastGood[cluster]?[key] == nil {
                lastGood[cluster, default: [:]][key] = formerAddresses(key, change)
            }
            throw error
        }
        let former: [Address]
        if cluster == own.cluster {
            former = ownEndpoints.updateOrRemove(record, forKey: key)?.addresses ?? []
        } else {
            former = lastGood[cluster]?.removeValue(forKey: key) ?? formerAddresses(key, change)
        }
        let owner = EndpointOwner(cluster: cluster, key: key)
        return EndpointEdit(
            owner: owner, former: former, rows: record.map { rows(of: $0, owner) } ?? [])
    }

    /// None of a record that never counted, for it couldn't be decoded.
    private func formerAddresses(_ key: RecordKey, _ change: RecordChange) -> [Address] {
        do throws(DecodingFault) {
            return try EndpointRecord(change.old, key)?.addresses ?? []
        } catch {
            return []
        }
    }

    private func rows(of record: EndpointRecord, _ owner: EndpointOwner) -> [EndpointRow] {
        let cluster = owner.cluster
        guard let node = NodeID(cluster: cluster, name: record.node) else { return [] }
        let identity =
            record.identity.rawValue == 0
            ? Identity(cluster: cluster, reserved: .initializing) : record.identity
        let local = node == own ? interfaces[record.object] : nil
        // Without its interface a local endpoint can't be reached yet.
        guard node != own || local != nil else { return [] }
        if node == own, record.identity.rawValue == 0, held.contains(record.object) { return [] }
        let object = cluster == own.cluster ? record.object : nil
        let hasSiblings = record.addresses.count > 1
        return record.addresses.map {
            EndpointRow(
                address: $0, record: owner.record, object: object, identity: identity, node: node,
                local: local, workload: local.map { _ in LocalWorkload(reported: record.labels) },
                hasSiblings: hasSiblings)
        }
    }

    private func namespace(_ key: RecordKey, _ value: [UInt8]?, of cluster: ClusterID)
        throws(DecodingFault) -> @Sendable (inout MeshTables) -> Void
    {
        let name = NamespaceName(cluster: cluster, name: key.name)
        guard let value else { return { $0.namespaces.delete(name) } }
        let record = try NamespaceRecord(encoded: value)
        guard record.key == key else { throw .invalid("key") }
        let row = NamespaceRow(
            key: name, labels: record.labels,
            isAudited: record.annotations[PodManifest.auditAnnotation] == "true")
        return { $0.namespaces.upsert(row) }
    }

    private func policy(_ key: RecordKey, _ value: [UInt8]?)
        throws(DecodingFault) -> @Sendable (inout MeshTables) -> Void
    {
        guard let value else {
            guard let name = PolicyName(recordName: key.name) else { throw .invalid("policy name") }
            return { $0.policies.delete(name) }
        }
        let record = try PolicyRecord(encoded: value)
        guard record.key == key else { throw .invalid("key") }
        return { $0.policies.upsert(PolicyRow(record.policy)) }
    }

    private mutating func node(_ key: RecordKey, _ value: [UInt8]?, of cluster: ClusterID)
        throws(DecodingFault)
        -> (id: NodeID, zone: String, write: @Sendable (inout MeshTables) -> Void)
    {
        guard let id = NodeID(cluster: cluster, name: key.name) else { throw .invalid("node name") }
        guard let value else {
            setRelay(id, false)
            return (id, "", { $0.nodes.delete(id) })
        }
        let record = try NodeRecord(encoded: value)
        guard record.key == key else { throw .invalid("key") }
        setRelay(id, record.isRelay)
        let row = NodeRow(
            id: id, outerAddresses: record.outerAddresses, podPrefixes: record.podPrefixes,
            zone: record.zone, isRelay: record.isRelay,
            gossipKeys: cluster == own.cluster ? record.gossipKeys : [],
            isDraining: record.isDraining, isLocal: id == own)
        return (id, record.zone, { $0.nodes.upsert(row) })
    }

    private mutating func setListedNode(
        _ key: RecordKey, _ value: [UInt8]?
    ) throws(DecodingFault) {
        let record = try value.map { bytes throws(DecodingFault) in
            try MemberRecord(encoded: bytes)
        }
        guard record.map({ $0.key == key }) ?? true else { throw .invalid("key") }
        listedNodes[key.name] = record
    }

    private mutating func setRelay(_ node: NodeID, _ isRelay: Bool) {
        guard node.cluster != own.cluster else { return }
        if isRelay {
            relayNodes[node.cluster, default: []].insert(node.name)
        } else if relayNodes[node.cluster]?.remove(node.name) != nil,
            relayNodes[node.cluster]?.isEmpty == true
        {
            relayNodes[node.cluster] = nil
        }
    }

    private mutating func setRelays(
        _ key: RecordKey, _ value: [UInt8]?, of cluster: ClusterID
    ) throws(DecodingFault) {
        guard key == RelaySetRecord.onlyKey else { throw .invalid("key") }
        guard let value else {
            relaySets[cluster] = nil
            return
        }
        relaySets[cluster] = try RelaySetRecord(encoded: value)
    }

    private mutating func setStatement(
        _ key: RecordKey, _ value: [UInt8]?, of cluster: ClusterID
    ) throws(DecodingFault) {
        guard cluster != own.cluster else { return }
        let record = try value.map { bytes throws(DecodingFault) in
            try StatementRecord(encoded: bytes)
        }
        guard record.map({ $0.key == key }) ?? true else { throw .invalid("key") }
        statements[cluster, default: [:]][key.name] = record?.body
        trustRevision += 1
    }

    private mutating func setPeer(
        _ key: RecordKey, _ value: [UInt8]?, of cluster: ClusterID
    ) throws(DecodingFault) {
        // Whom another cluster has for peers is its own affair.
        guard cluster == own.cluster else { return }
        let record = try value.map { bytes throws(DecodingFault) in
            try PeerRecord(encoded: bytes)
        }
        guard record.map({ $0.key == key }) ?? true else { throw .invalid("key") }
        members[key.name] = record?.body
        trustRevision += 1
    }

    private mutating func setAuthority(
        _ key: RecordKey, _ value: [UInt8]?, of cluster: ClusterID
    ) throws(DecodingFault) {
        guard key == AuthorityRecord.onlyKey else { throw .invalid("key") }
        // What is gone changes nothing: it comes back with its home.
        guard cluster == own.cluster, let value else { return }
        authority = try AuthorityRecord(encoded: value)
        trustRevision += 1
    }

    private mutating func setDenyList(
        _ key: RecordKey, _ value: [UInt8]?, of cluster: ClusterID
    ) throws(DecodingFault) {
        guard key == DenyListRecord.onlyKey else { throw .invalid("key") }
        guard let value else { return }
        let sealed = try DenyListRecord(encoded: value).sealed
        guard denyLists[cluster] != sealed else { return }
        denyLists[cluster] = sealed
        trustRevision += 1
    }

    private func identity(_ key: RecordKey, _ value: [UInt8]?, of cluster: ClusterID)
        throws(DecodingFault) -> @Sendable (inout MeshTables) -> Void
    {
        // Identities share a table: nobody touches another cluster's rows.
        guard let number = UInt32(key.name), Identity(rawValue: number).cluster == cluster
        else { throw .invalid("identity") }
        guard let value else { return { $0.identities.delete(Identity(rawValue: number)) } }
        let record = try IdentityRecord(encoded: value)
        guard record.key == key else { throw .invalid("key") }
        return {
            $0.identities.upsert(IdentityRow(identity: record.identity, labels: record.labels))
        }
    }
}

extension EndpointRecord {
    /// Nil for nothing.
    fileprivate init?(_ value: [UInt8]?, _ key: RecordKey) throws(DecodingFault) {
        guard let value else { return nil }
        try self.init(encoded: value)
        guard self.key == key else { throw .invalid("key") }
    }
}

extension Dictionary {
    fileprivate mutating func updateOrRemove(_ value: Value?, forKey key: Key) -> Value? {
        guard let value else { return removeValue(forKey: key) }
        return updateValue(value, forKey: key)
    }
}
