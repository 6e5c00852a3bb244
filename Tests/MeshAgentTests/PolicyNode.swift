// SPDX-License-Identifier: Apache-2.0

import MeshDatapath
import MeshKubernetes
import MeshModel
import MeshPolicy
import MeshReconciler
import MeshStore
import Testing

@testable import MeshAgent

/// The policies of one node `a` of cluster `north`, over maps of memory.
struct PolicyNode {
    let store = MeshStore()
    let datapath: MemoryDatapath
    var reconciler: PolicyReconciler
    private var endpoints: Reconciler<EndpointTarget>
    private var now = Instant.zero
    private let environment = PolicyEnvironment(cluster: ClusterName(rawValue: "north")!)

    init(capacities: MapCapacities = MapCapacities()) throws {
        datapath = try MemoryDatapath(node: own, capacities: capacities)
        reconciler = PolicyReconciler(
            datapath: datapath, environment: environment, own: own.cluster, renewsFlows: true)
        endpoints = Reconciler(EndpointTarget(datapath), table: \.endpoints)
        store.write { tables in
            for (number, name) in [(1, "north"), (2, "south")] as [(UInt16, String)] {
                tables.clusters.upsert(
                    ClusterRow(
                        id: cluster(number), name: ClusterName(rawValue: name)!,
                        podPrefixes: prefixes("10.\(number).0.0/16"), sourceCheck: .node,
                        isLocal: number == 1))
            }
        }
    }

    static func name(_ name: String) -> PolicyName {
        PolicyName(kind: .networkPolicy, namespace: "shop", name: name)
    }

    func know() { store.write { $0.policies.declareComplete() } }

    mutating func pass() {
        now = now + .seconds(60)
        let tables = store.snapshot()
        let replaced = reconciler.pass(store, tables, now: now)
        endpoints.target.placements = reconciler.placements
        _ = endpoints.pass(store, now: now, tables: tables)
        let rows = replaced.compactMap { tables.endpoints[$0] }
        #expect(endpoints.target.update(rows).isEmpty)
    }

    func status(_ address: String) -> RowStatus? {
        store.read { $0.endpoints.entry(for: Address(address)!)?.status }
    }

    func policyStatus(_ name: String) -> RowStatus? {
        store.read { $0.policies.entry(for: Self.name(name))?.status }
    }

    func judge(
        _ direction: FlowPolicy.Direction, _ address: String, peer: Identity,
        at peerAddress: String = "192.0.2.7", _ traffic: PolicyTraffic = PolicyTraffic(.tcp, 80)
    ) throws -> MemoryDatapath.Judgement {
        try datapath.judge(
            direction, endpoint: Address(address)!, peer: peer, at: Address(peerAddress)!,
            traffic: traffic.index)
    }

    // MARK: What changes

    func attach(
        _ name: String, _ address: String, _ labels: Labels, in namespace: String = "shop",
        identity: Identity = Identity(cluster: cluster(1), reserved: .initializing)
    ) {
        store.write {
            _ = $0.endpoints.upsert(
                EndpointRow(
                    address: Address(address)!, record: RecordHash(rawValue: 1),
                    object: ObjectName(namespace: namespace, name: name), identity: identity,
                    node: own, local: LocalInterface(ifindex: 7, mac: LinkAddress(rawValue: 1)!),
                    workload: LocalWorkload(labels: labels)))
        }
    }

    func identify(_ identity: Identity, _ labels: Labels, in namespace: String = "shop") {
        store.write {
            _ = $0.identities.upsert(
                IdentityRow(
                    identity: identity,
                    labels: labels.merging([IdentityLabels.namespace: namespace]) { $1 }))
        }
    }

    /// - Parameter spec: of a NetworkPolicy in the namespace shop.
    func apply(_ name: String, _ spec: String, in namespace: String = "shop") {
        let manifest = PolicyManifest(
            bytes: Array(
                """
                apiVersion: networking.k8s.io/v1
                kind: NetworkPolicy
                metadata: {name: \(name), namespace: \(namespace)}
                \(spec)
                """.utf8), file: name, nowUnixSeconds: 0)
        #expect(manifest.problems.isEmpty, "\(manifest.problems)")
        store.write { tables in
            for policy in manifest.policies { tables.policies.upsert(PolicyRow(policy)) }
        }
    }

    func remove(_ name: String) { store.write { _ = $0.policies.delete(Self.name(name)) } }
}

// MARK: Churn

extension PolicyNode {
    private static let apps = ["web", "db", "client"]
    private static let namespaces = ["shop", "pay"]
    private static let blocks = [
        "10.0.0.0/8", "10.1.0.0/16", "10.2.0.8/29", "192.0.2.0/24", "0.0.0.0/0",
    ]
    private static let identities: [Identity] =
        (300..<312).map { identity($0) } + (300..<306).map { identity($0, in: 2) }
    private static let locals = (1...6).map { "10.1.0.\($0)" }
    private static let remotes = (1...12).map { "10.2.0.\($0)" }

    func change(using random: inout SplitMix64) {
        func any<Element>(_ elements: [Element]) -> Element {
            elements[Int.random(in: elements.indices, using: &random)]
        }
        let namespace = any(Self.namespaces)
        switch Int.random(in: 0..<10, using: &random) {
        case 0, 1, 2:
            let number = Int.random(in: 0..<5, using: &random)
            if Int.random(in: 0..<4, using: &random) == 0 {
                remove("p\(number)")
            } else {
                apply("p\(number)", Self.spec(using: &random))
            }
        case 3:
            store.write { _ = $0.identities.delete(any(Self.identities)) }
        case 4, 5, 6:
            identify(any(Self.identities), ["app": any(Self.apps)], in: namespace)
        case 7:
            store.write {
                _ = $0.namespaces.upsert(
                    NamespaceRow(
                        key: NamespaceName(cluster: cluster(any([1, 2])), name: namespace),
                        labels: ["team": any(["red", "blue"])]))
            }
        case 8:
            let address = any(Self.locals)
            if Int.random(in: 0..<3, using: &random) == 0 {
                store.write { _ = $0.endpoints.delete(Address(address)!) }
            } else {
                attach(
                    "e", address, ["app": any(Self.apps)], in: namespace,
                    identity: any(Self.identities.filter { $0.cluster == own.cluster }))
            }
        default:
            let address = Address(any(Self.remotes))!
            let row =
                Int.random(in: 0..<3, using: &random) == 0
                ? nil
                : EndpointRow(
                    address: address, record: RecordHash(rawValue: 2), object: nil,
                    identity: any(Self.identities.filter { $0.cluster != own.cluster }),
                    node: NodeID(cluster: cluster(2), name: "b")!, local: nil)
            store.write { tables in
                tables.endpoints.delete(address)
                if let row { tables.endpoints.upsert(row) }
            }
        }
    }

    private static func spec(using random: inout SplitMix64) -> String {
        func any(_ texts: [String]) -> String {
            texts[Int.random(in: texts.indices, using: &random)]
        }
        func peer() -> String {
            switch Int.random(in: 0..<5, using: &random) {
            case 0: "{podSelector: {matchLabels: {app: \(any(apps))}}}"
            case 1: "{podSelector: {matchLabels: {app: \(any(apps)), io.weft.cluster: south}}}"
            case 2: "{namespaceSelector: {matchLabels: {team: \(any(["red", "blue"]))}}}"
            default: "{ipBlock: {cidr: \(any(blocks))}}"
            }
        }
        let ports = any(["", ", ports: [{port: 80}]", ", ports: [{port: 70, endPort: 90}]"])
        let subject = any(["{}", "{matchLabels: {app: \(any(apps))}}"])
        return """
            spec:
              podSelector: \(subject)
              policyTypes: [Ingress, Egress]
              ingress: [{from: [\(peer()), \(peer())]\(ports)}]
              egress: [{to: [\(peer())]\(ports)}]
            """
    }

    /// Asks the maps and the engine about a random flow; nil if they agree.
    func compare(
        _ answers: inout [MemoryDatapath.Judgement.Outcome: Int], using random: inout SplitMix64
    ) throws -> String? {
        func any<Element>(_ elements: [Element]) -> Element {
            elements[Int.random(in: elements.indices, using: &random)]
        }
        let tables = store.snapshot()
        let book = try PolicyBook(tables.policies.rows.map(\.policy), environment: environment)
        let address = Address(any(Self.locals))!
        guard let row = tables.endpoints[address], let object = row.object,
            let workload = row.workload
        else { return nil }
        let subject = Principal(
            workload: workload, namespace: object.namespace, cluster: environment.cluster,
            namespaceLabels: tables.namespaces[
                NamespaceName(cluster: own.cluster, name: object.namespace)]?.labels ?? [:])
        // An endpoint as its row says, or a stranger.
        let peerAddress = Address(any(Self.remotes + Self.locals + ["192.0.2.7", "203.0.113.5"]))!
        guard peerAddress != address else { return nil }
        let identity = tables.endpoints[peerAddress]?.identity ?? .world
        let peer: PolicyPeer
        if identity == .world {
            guard !Self.remotes.contains("\(peerAddress)"), !Self.locals.contains("\(peerAddress)")
            else { return nil }
            peer = .world
        } else if let labels = tables.identities[identity]?.labels {
            peer = .endpoint(
                Principal(
                    identity: labels, cluster: tables.clusters[identity.cluster!]!.name
                ) { namespace in
                    tables.namespaces[
                        NamespaceName(cluster: identity.cluster!, name: namespace)]?.labels ?? [:]
                })
        } else {
            peer = .unknown
        }
        let direction: PolicyDirection = any([.egress, .ingress])
        let traffic = PolicyTraffic(any([.tcp, .udp]), any([69, 70, 80, 90, 91]))
        let expected = book.decide(
            direction, subject: subject, peer: peer, at: peerAddress, traffic: traffic)
        let found = try datapath.judge(
            direction == .egress ? .egress : .ingress, endpoint: address, peer: identity,
            at: peerAddress, traffic: traffic.index)
        answers[found.outcome, default: 0] += 1
        let outcome: MemoryDatapath.Judgement.Outcome =
            expected.allows ? .allowed : expected.dependsOnPeer ? .unknownIdentity : .denied
        let reason = reconciler.history.reason(version: found.version, code: found.rule)
        guard found.outcome != outcome || reason.map({ $0 != expected.reason }) ?? false else {
            return nil
        }
        return "\(direction) of \(subject) with \(peer) at \(peerAddress), \(traffic): "
            + "\(found) because of \(reason.map { "\($0)" } ?? "nothing"), should be \(expected)"
    }
}
