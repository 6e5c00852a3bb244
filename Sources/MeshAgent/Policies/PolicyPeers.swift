// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshPolicy
import MeshStore

/// Everybody that policies may have to judge, as the tables know them: by identity, and by the class
/// of their address where policies ask for blocks of addresses.
struct PolicyPeers {
    /// Revisions of the tables that are taken in.
    private struct Seen: Equatable {
        var identities: UInt64 = 0
        var namespaces: UInt64 = 0
        var clusters: UInt64 = 0
        var nodes: UInt64 = 0
        var endpoints: UInt64 = 0
    }

    private let own: ClusterID
    private let classes: PrefixClasses
    /// By identity and class.
    private(set) var all: [PeerKey: PolicyPeer] = [:]
    private var principals: [Identity: Principal] = [:]
    private var identitiesIn: [NamespaceName: Set<Identity>] = [:]
    /// Of endpoints whose address is in a class.
    private var classOf: [Address: (identity: Identity, prefix: Prefix)] = [:]
    private var classesOf: [Identity: [Prefix: Int]] = [:]
    private var reserved: [PeerKey: PolicyPeer] = [:]
    private var names: [ClusterID: ClusterName] = [:]
    private var seen = Seen()

    init(own: ClusterID, classes: PrefixClasses, _ tables: MeshTables) {
        self.own = own
        self.classes = classes
        rebuild(tables)
    }

    /// Takes in what changed.
    ///
    /// - Returns: keys that came, went or mean somebody else.
    /// - Complexity: linear in what changed; in everything after changes of nodes or clusters.
    mutating func update(_ tables: MeshTables) -> Set<PeerKey> {
        let names = Self.names(tables)
        guard names == self.names,
            let identities = tables.identities.changedKeys(since: seen.identities),
            let namespaces = tables.namespaces.changedKeys(since: seen.namespaces),
            let endpoints = classes.prefixes.isEmpty
                ? [] : tables.endpoints.changedKeys(since: seen.endpoints)
        else {
            let former = all
            rebuild(tables)
            return Set(former.keys).union(all.keys).filter { former[$0] != all[$0] }
        }
        var changed: Set<PeerKey> = []
        if seen.clusters != tables.clusters.revision || seen.nodes != tables.nodes.revision {
            setReserved(tables, &changed)
        }
        note(tables)
        var moved = Set(identities)
        for namespace in namespaces { moved.formUnion(identitiesIn[namespace] ?? []) }
        for address in endpoints { place(address, tables.endpoints[address], &changed) }
        for identity in moved { set(identity, tables, &changed) }
        return changed
    }

    private mutating func note(_ tables: MeshTables) {
        seen = Seen(
            identities: tables.identities.revision, namespaces: tables.namespaces.revision,
            clusters: tables.clusters.revision, nodes: tables.nodes.revision,
            endpoints: tables.endpoints.revision)
    }

    private mutating func rebuild(_ tables: MeshTables) {
        self = PolicyPeers(own: own, classes: classes)
        note(tables)
        names = Self.names(tables)
        var changed: Set<PeerKey> = []
        setReserved(tables, &changed)
        for row in tables.identities.rows { set(row.identity, tables, &changed) }
        guard !classes.prefixes.isEmpty else { return }
        tables.endpoints.forEachBlock(of: .max) { rows in
            for row in rows { place(row.address, row, &changed) }
        }
    }

    private init(own: ClusterID, classes: PrefixClasses) {
        self.own = own
        self.classes = classes
    }

    private static func names(_ tables: MeshTables) -> [ClusterID: ClusterName] {
        Dictionary(uniqueKeysWithValues: tables.clusters.rows.map { ($0.id, $0.name) })
    }

    /// Those without labels.
    private mutating func setReserved(_ tables: MeshTables, _ changed: inout Set<PeerKey>) {
        var next: [PeerKey: PolicyPeer] = [:]
        // The datapath takes any address of this node for the host's: they may be in any class.
        for prefix in [nil] + classes.prefixes.map({ Optional($0) }) {
            next[key(Identity(cluster: own, reserved: .host), prefix)] = .host
        }
        next[key(Identity(cluster: own, reserved: .health), nil)] = .health
        for cluster in tables.clusters.rows {
            next[key(Identity(cluster: cluster.id, reserved: .initializing), nil)] = .initializing
            next[key(Identity(cluster: cluster.id, reserved: .remoteNode), nil)] = .remoteNode
        }
        for node in tables.nodes.rows {
            let identity = Identity(cluster: node.id.cluster, reserved: .remoteNode)
            for address in node.outerAddresses {
                next[key(identity, classes.longest(containing: address))] = .remoteNode
            }
        }
        for key in Set(next.keys).union(reserved.keys) where next[key] != reserved[key] {
            all[key] = next[key]
            changed.insert(key)
        }
        reserved = next
    }

    private func key(_ identity: Identity, _ prefix: Prefix?) -> PeerKey {
        PeerKey(identity: identity, prefix: prefix)
    }

    /// An identity is there, is gone, or means something else.
    private mutating func set(
        _ identity: Identity, _ tables: MeshTables, _ changed: inout Set<PeerKey>
    ) {
        let principal = tables.identities[identity].flatMap { Principal($0, tables) }
        let former = principals[identity]
        guard former != principal else { return }
        principals[identity] = principal
        if former?.namespace != principal?.namespace, let cluster = identity.cluster {
            if let name = former?.namespace {
                let key = NamespaceName(cluster: cluster, name: name)
                identitiesIn[key]?.remove(identity)
                if identitiesIn[key]?.isEmpty == true { identitiesIn[key] = nil }
            }
            if let name = principal?.namespace {
                identitiesIn[NamespaceName(cluster: cluster, name: name), default: []]
                    .insert(identity)
            }
        }
        for prefix in [nil] + (classesOf[identity] ?? [:]).keys.map({ Optional($0) }) {
            all[key(identity, prefix)] = principal.map { .endpoint($0) }
            changed.insert(key(identity, prefix))
        }
    }

    /// An endpoint is there, is gone, or has another identity.
    private mutating func place(
        _ address: Address, _ row: EndpointRow?, _ changed: inout Set<PeerKey>
    ) {
        let prefix = row == nil ? nil : classes.longest(containing: address)
        let former = classOf[address]
        guard former?.identity != row?.identity || former?.prefix != prefix else { return }
        if let former {
            classOf[address] = nil
            let left = classesOf[former.identity, default: [:]][former.prefix, default: 1] - 1
            classesOf[former.identity]?[former.prefix] = left == 0 ? nil : left
            if left == 0 {
                all[key(former.identity, former.prefix)] = nil
                changed.insert(key(former.identity, former.prefix))
            }
        }
        guard let row, let prefix else { return }
        classOf[address] = (row.identity, prefix)
        classesOf[row.identity, default: [:]][prefix, default: 0] += 1
        guard classesOf[row.identity]?[prefix] == 1 else { return }
        all[key(row.identity, prefix)] =
            row.identity.reserved == .initializing
            ? .initializing : principals[row.identity].map { .endpoint($0) }
        changed.insert(key(row.identity, prefix))
    }
}

extension Principal {
    /// Nil as long as the identity's cluster has no name here.
    fileprivate init?(_ row: IdentityRow, _ tables: MeshTables) {
        guard let id = row.identity.cluster, let cluster = tables.clusters[id] else { return nil }
        self.init(identity: row.labels, cluster: cluster.name) { namespace in
            tables.namespaces[NamespaceName(cluster: id, name: namespace)]?.labels ?? [:]
        }
    }
}
