// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes
import MeshModel
import MeshStore

/// Turns records of all clusters into rows: what the kernel shall hold.
struct RecordTables {
    /// A change of one record; nil is its deletion.
    typealias Changes = [RecordKey: [UInt8]?]

    private let own: NodeID
    private let store: MeshStore
    private var merger: ServiceMerger
    /// By cluster: what endpoint and identity records last said, to find the rows they made.
    private var endpoints: [ClusterID: [RecordKey: EndpointRecord]] = [:]
    private var interfaces: [ObjectName: LocalInterface] = [:]
    /// Endpoints that the kernel holds from before a restart: left as they are until their identity
    /// is known again, so that it doesn't flap.
    private var held: Set<ObjectName>
    /// Records that didn't decode: what they said before stays in force.
    private(set) var quarantine: [ClusterID: [RecordKey: DecodingFault]] = [:]
    /// What this cluster's own services say, for status.
    private(set) var affinities: [ObjectName: ServiceAffinity] = [:]
    private var clustersOfFrontend: [FrontendKey: Set<ClusterID>] = [:]
    private var frontendsOfCluster: [ClusterID: Int] = [:]

    init(own: NodeID, store: MeshStore, held: Set<ObjectName> = []) {
        self.own = own
        self.store = store
        self.held = held
        merger = ServiceMerger(own: own.cluster)
    }

    var serviceProblems: [String] { merger.problems }

    /// Other clusters that some frontend has backends in.
    var clustersInUse: Set<ClusterID> { Set(frontendsOfCluster.keys).subtracting([own.cluster]) }

    /// The host-side interfaces of this node's endpoints; their rows follow.
    mutating func setInterfaces(_ interfaces: [ObjectName: LocalInterface]) {
        let affected = Set(interfaces.keys).union(self.interfaces.keys)
            .filter { interfaces[$0] != self.interfaces[$0] }
        self.interfaces = interfaces
        writeRows(of: affected)
    }

    /// Stops waiting for identities.
    mutating func releaseHeld() {
        let objects = held
        held = []
        writeRows(of: objects)
    }

    private func writeRows(of objects: Set<ObjectName>) {
        let records = (endpoints[own.cluster] ?? [:]).values.filter { objects.contains($0.object) }
        let rows = records.flatMap { self.rows(of: $0, in: own.cluster) }
        store.write { tables in
            for row in rows { tables.endpoints.upsert(row) }
        }
    }

    mutating func apply(_ changes: Changes, of cluster: ClusterID) {
        var writes: [@Sendable (inout MeshTables) -> Void] = []
        var services: [ServiceChange] = []
        for (key, value) in changes.sorted(by: { $0.key < $1.key }) {
            do throws(DecodingFault) {
                switch key.kind {
                case .service, .slice:
                    if let change = try ServiceChange(cluster: cluster, key: key, value: value) {
                        services.append(change)
                        if cluster == own.cluster { note(change) }
                    }
                case .endpoint: writes.append(try endpoint(key, value, of: cluster))
                case .node: writes.append(try node(key, value, of: cluster))
                case .identity: writes.append(try identity(key, value, of: cluster))
                case .namespace: break
                }
                quarantine[cluster]?[key] = nil
            } catch {
                quarantine[cluster, default: [:]][key] = error
            }
        }
        let frontends = merger.update(services)
        for frontend in frontends.upserts {
            count(Set(frontend.slices.map(\.cluster)), for: frontend.key)
        }
        for key in frontends.deletes { count([], for: key) }
        store.write { [writes] tables in
            for write in writes { write(&tables) }
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

    private mutating func endpoint(_ key: RecordKey, _ value: [UInt8]?, of cluster: ClusterID)
        throws(DecodingFault) -> @Sendable (inout MeshTables) -> Void
    {
        var record: EndpointRecord?
        if let value { record = try EndpointRecord(encoded: value) }
        guard record.map({ $0.key == key }) != false else { throw .invalid("key") }
        let old = endpoints[cluster, default: [:]].updateOrRemove(record, forKey: key)
        let rows = record.map { self.rows(of: $0, in: cluster) } ?? []
        let gone = Set(old?.addresses ?? []).subtracting(rows.map(\.address))
        let object = old?.object
        return { tables in
            for address in gone where tables.endpoints[address]?.object == object {
                tables.endpoints.delete(address)
            }
            for row in rows { tables.endpoints.upsert(row) }
        }
    }

    private func rows(of record: EndpointRecord, in cluster: ClusterID) -> [EndpointRow] {
        guard let node = NodeID(cluster: cluster, name: record.node) else { return [] }
        let identity =
            record.identity.rawValue == 0
            ? Identity(cluster: cluster, reserved: .initializing) : record.identity
        let local = node == own ? interfaces[record.object] : nil
        // Without its interface a local endpoint can't be reached yet.
        guard node != own || local != nil else { return [] }
        if node == own, record.identity.rawValue == 0, held.contains(record.object) { return [] }
        return record.addresses.map {
            EndpointRow(
                address: $0, object: record.object, identity: identity, node: node, local: local)
        }
    }

    private func node(_ key: RecordKey, _ value: [UInt8]?, of cluster: ClusterID)
        throws(DecodingFault) -> @Sendable (inout MeshTables) -> Void
    {
        guard let id = NodeID(cluster: cluster, name: key.name) else { throw .invalid("node name") }
        guard let value else { return { $0.nodes.delete(id) } }
        let record = try NodeRecord(encoded: value)
        guard record.key == key else { throw .invalid("key") }
        let row = NodeRow(
            id: id, outerAddresses: record.outerAddresses, podPrefixes: record.podPrefixes,
            zone: record.zone, isRelay: record.isRelay, isLocal: id == own)
        return { $0.nodes.upsert(row) }
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

extension Dictionary {
    fileprivate mutating func updateOrRemove(_ value: Value?, forKey key: Key) -> Value? {
        guard let value else { return removeValue(forKey: key) }
        return updateValue(value, forKey: key)
    }
}
