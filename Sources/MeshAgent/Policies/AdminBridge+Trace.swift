// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import MeshModel
import MeshPolicy
import MeshReplication
import MeshStore

extension AdminBridge {
    func trace(
        from source: String, to destination: String, traffic text: String
    ) async throws -> PolicyTraceAnswer {
        let tables = store.snapshot()
        let reconciler = await reconciliation.policies
        guard let own = reconciler.book else {
            throw AdminFault(
                .unavailable, "this node doesn't know its cluster's policies yet",
                hint: "weft status says what it waits for")
        }
        let core = await state.core
        func ends(_ text: String) throws -> TracedEnd {
            try TracedEnd(text, tables, reconciler, core, configuration)
        }
        let from = try ends(source)
        let to = try ends(destination)
        let isIPv4 = !(from.addresses + to.addresses).contains { !$0.isIPv4 }
        let traffic = try PolicyTraffic(asked: text, isIPv4: isIPv4)
        var notes: [String] = from.notes + to.notes
        func book(_ end: TracedEnd) throws -> PolicyBook? {
            guard let cluster = end.cluster else { return nil }
            if cluster == configuration.cluster { return own }
            guard let name = tables.clusters[cluster]?.name else { return nil }
            notes.append(
                "what cluster \(name) says is judged by its ledger as it is here, with this "
                    + "node's setting of the scope")
            return try core.policyBook(
                of: cluster, PolicyEnvironment(cluster: name, scope: configuration.policy.scope))
        }
        let trace = PolicyTrace(
            from: FlowEnd(from.peer, at: from.address(isIPv4)), governedBy: try book(from),
            to: FlowEnd(to.peer, at: to.address(isIPv4)), governedBy: try book(to),
            traffic: traffic)
        let egress = PolicyTraceAnswer.Decision(trace.egress, isAudited: from.isAudited)
        let ingress = PolicyTraceAnswer.Decision(trace.ingress, isAudited: to.isAudited)
        return PolicyTraceAnswer(
            source: from.description(isIPv4), destination: to.description(isIPv4),
            traffic: "\(traffic)", egress: egress, ingress: ingress,
            allows: (egress.allows || egress.isAudited) && (ingress.allows || ingress.isAudited),
            notes: notes)
    }
}

extension PolicyTraceAnswer {
    fileprivate static func auditingIsUnknown(of name: String) -> String {
        "whether \(name) is only being audited is known on its own node"
    }

    /// Its own node has said it.
    mutating func forgetAuditing(of name: String) {
        notes.removeAll { $0 == Self.auditingIsUnknown(of: name) }
    }
}

extension PolicyTraceAnswer.Decision {
    fileprivate init(_ decision: PolicyDecision, isAudited: Bool) {
        self.init(
            allows: decision.allows, reason: "\(decision)",
            isAudited: isAudited && !decision.allows)
    }
}

extension PolicyTraffic {
    /// `5432`, `53/udp`, `icmp` for an echo request.
    fileprivate init(asked text: String, isIPv4: Bool) throws {
        if text == "icmp" {
            self = PolicyTraffic(
                protocolNumber: isIPv4 ? Self.icmp : Self.icmpv6, port: isIPv4 ? 8 : 128)
            return
        }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        let transport =
            parts.count == 1
            ? TransportProtocol.tcp
            : TransportProtocol.allCases.first { "\($0)".lowercased() == parts[1].lowercased() }
        guard (1...2).contains(parts.count), let port = UInt16(parts[0]), port > 0, let transport
        else {
            throw AdminFault(
                .invalidRequest, "'\(text)' names no traffic",
                hint: "write 5432, 53/udp, 9000/sctp or icmp")
        }
        self.init(transport, port)
    }
}

/// An end of a flow that somebody asked about.
private struct TracedEnd {
    let name: String
    let peer: PolicyPeer
    var addresses: [Address] = []
    var identity: Identity?
    var cluster: ClusterID?
    var isAudited = false
    var notes: [String] = []
    var clusterName: String?

    func address(_ isIPv4: Bool) -> Address? {
        addresses.first { $0.isIPv4 == isIPv4 } ?? addresses.first
    }

    func description(_ isIPv4: Bool) -> PolicyTraceAnswer.End {
        var labels: Labels = [:]
        if case .endpoint(let principal) = peer { labels = principal.labels }
        return PolicyTraceAnswer.End(
            name: name, address: address(isIPv4).map { "\($0)" }, identity: identity?.rawValue,
            labels: labels, cluster: clusterName)
    }

    init(
        _ text: String, _ tables: MeshTables, _ reconciler: PolicyReconciler, _ core: StateCore,
        _ configuration: AgentConfiguration
    ) throws {
        let nameless: [String: PolicyPeer] = [
            "world": .world, "host": .host, "remote-node": .remoteNode,
        ]
        if let peer = nameless[text] {
            self.init(text, peer)
            return
        }
        if let address = Address(text) {
            guard let row = tables.endpoints[address] else {
                self.init(text, .world)
                addresses = [address]
                return
            }
            self.init(
                text, row.identity, row.node.cluster, [address], tables, reconciler)
            return
        }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        let path = parts[parts.count - 1].split(separator: "/").map(String.init)
        guard (1...2).contains(parts.count), (1...2).contains(path.count) else {
            throw Self.fault(text)
        }
        let object = ObjectName(
            namespace: path.count == 2 ? path[0] : "default", name: path[path.count - 1])
        let wanted = parts.count == 2 ? parts[0] : configuration.clusterName.rawValue
        guard let cluster = tables.clusters.rows.first(where: { $0.name.rawValue == wanted })
        else { throw AdminFault.unknownCluster(wanted, tables) }
        guard let found = core.endpoint(object, of: cluster.id, tables) else {
            throw AdminFault(
                .notFound, "cluster \(wanted) has no endpoint \(object)",
                hint: "weft endpoint list shows the endpoints; name another cluster before a colon")
        }
        self.init(
            "\(object)", found.identity, cluster.id, found.addresses, tables, reconciler)
    }

    private init(_ name: String, _ peer: PolicyPeer) {
        self.name = name
        self.peer = peer
    }

    private init(
        _ name: String, _ identity: Identity, _ cluster: ClusterID, _ addresses: [Address],
        _ tables: MeshTables, _ reconciler: PolicyReconciler
    ) {
        let subject = addresses.lazy.compactMap { reconciler.subjectsByAddress[$0] }.first
        self.init(
            name,
            subject.map { .endpoint($0.principal) }
                ?? reconciler.peers[PeerKey(identity: identity, prefix: nil)] ?? .unknown)
        self.identity = identity
        self.cluster = cluster
        self.addresses = addresses
        clusterName = tables.clusters[cluster]?.name.rawValue
        if let subject {
            isAudited = subject.isAudited
            return
        }
        notes.append(PolicyTraceAnswer.auditingIsUnknown(of: name))
        switch peer {
        case .unknown: notes.append("the identity of \(name), \(identity), isn't known here yet")
        case .initializing: notes.append("\(name) has no identity yet")
        default: break
        }
    }

    private static func fault(_ text: String) -> AdminFault {
        AdminFault(
            .invalidRequest, "'\(text)' names no end of a flow",
            hint: "write [CLUSTER:]NAMESPACE/NAME, an address, world, host or remote-node")
    }
}

extension StateCore {
    /// Of any cluster, as it is known here; nil if it isn't.
    func endpoint(
        _ object: ObjectName, of cluster: ClusterID, _ tables: MeshTables
    ) -> (identity: Identity, addresses: [Address])? {
        let key = RecordKey(kind: .endpoint, name: "\(object)")
        let bytes =
            cluster == configuration.cluster
            ? view.record(for: key) : synchroniser.replica(of: cluster)?.value(of: key)
        guard let bytes, let record = try? EndpointRecord(encoded: bytes) else { return nil }
        let identity =
            record.identity.rawValue == 0
            ? Identity(cluster: cluster, reserved: .initializing) : record.identity
        return (identity, record.addresses)
    }

    /// Another cluster's policies as its ledger has them here.
    fileprivate func policyBook(
        of cluster: ClusterID, _ environment: PolicyEnvironment
    ) throws -> PolicyBook {
        let prefix = "\(RecordKind.policy.rawValue)/"
        let policies = try synchroniser.entries(of: cluster)
            .filter { $0.key.hasPrefix(prefix) }
            .map { try PolicyRecord(encoded: $0.value).policy }
        return try PolicyBook(policies, environment: environment)
    }
}
