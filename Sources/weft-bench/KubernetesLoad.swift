// SPDX-License-Identifier: Apache-2.0

import APIServerDouble
import Glibc
import Logging
import MeshKubernetes
import MeshLab
import MeshLease
import MeshModel

/// What agents ask of an API server: some nodes with the reflectors of real ones, a publisher and another
/// candidate, each with a connection of its own over TLS. A cluster of 1,000 costs what its publisher and
/// candidates do, and a thousand times one node's share; that is computed, not measured.
struct KubernetesLoad {
    /// What a node, and a publisher, cost in one phase.
    private struct Cost {
        /// A second.
        var requests: Double
        var bytes: Double

        init(_ counters: DoubleCounters, seconds: Double) {
            requests = Double(counters.total) / seconds
            bytes = Double(counters.bytes) / seconds
        }
    }

    private static let whole = 1000.0
    private static let token = "bench"
    /// Of pods and of slices, a second, in the whole cluster.
    private static let churn = 100
    /// A kubelet says every five minutes how its node is.
    private static let heartbeatsPerSecond = 1000.0 / 300
    private static let podsPerNode = 30
    private static let services = 1000

    let quick: Bool
    private let nodes: Int
    private let seconds: Int

    init(quick: Bool) {
        self.quick = quick
        nodes = quick ? 20 : 100
        // One bookmark of each watch falls into it.
        seconds = quick ? 10 : 70
    }

    func run() async throws {
        let certificate = try DoubleCertificate()
        var configuration = APIServerDouble.Configuration()
        configuration.tls = certificate.configuration
        let log = Logger(label: "bench") { _ in SwiftLogNoOpLogHandler() }
        let server = APIServerDouble(state(), configuration: configuration, logger: log)
        try await withThrowingTaskGroup { group in
            group.addTask { try await server.run() }
            while server.port == nil { try await Task.sleep(for: .milliseconds(10)) }
            try await measure(server, certificate.pem)
            group.cancelAll()
        }
    }

    private func state() -> DoubleState {
        var state = DoubleState(
            resources: DoubleResource.builtIn + DoubleResource.multicluster)
        state.admit(DoubleUser("agent"), token: Self.token)
        state.put(.namespaces, ["metadata": ["name": "bench"]])
        for number in 0..<Int(Self.whole) { state.put(.nodes, KubernetesObjects.node(number)) }
        let names = (0..<Int(Self.whole)).map { "node-\($0)" }
        for number in 0..<Self.services {
            state.put(.services, KubernetesObjects.service(number))
            state.put(.endpointSlices, KubernetesObjects.slice(number, nodes: names))
        }
        for number in 0..<nodes * Self.podsPerNode {
            state.put(.pods, KubernetesObjects.pod(number, on: "node-\(number % nodes)"))
        }
        return state
    }

    // MARK: Phases

    private func measure(_ server: APIServerDouble, _ authority: String) async throws {
        try await withThrowingTaskGroup { group in
            let publisher = Client(server, authority, Self.token)
            group.addTask { await publisher.publish() }
            group.addTask { await Client(server, authority, Self.token).stand() }
            try await publisher.synced(Client.clusterWide.count)
            let first = server.counters
            Figure("kubernetes.load.publisher.join.requests", Double(first.total), "").report()
            Figure("kubernetes.load.publisher.join", Double(first.bytes) / 1024, "KiB").report()
            let publishing = try await phase(server, publisher: true, pods: [])

            server.forgetCounters()
            let clients = (0..<nodes).map { _ in Client(server, authority, Self.token) }
            for (number, client) in clients.enumerated() {
                group.addTask { await client.follow(node: "node-\(number)") }
            }
            for client in clients { try await client.synced(1) }
            let joined = server.counters
            Figure("kubernetes.load.node.join.requests", Double(joined.total) / Double(nodes), "")
                .report()
            Figure(
                "kubernetes.load.node.join", Double(joined.bytes) / Double(nodes) / 1024, "KiB"
            ).report()
            let all = try await phase(server, publisher: true, pods: Array(0..<nodes))
            report("idle", publishing.idle, all.idle)
            report("busy", publishing.busy, all.busy)
            group.cancelAll()
        }
    }

    private func phase(
        _ server: APIServerDouble, publisher: Bool, pods: [Int]
    ) async throws -> (idle: Cost, busy: Cost) {
        server.forgetCounters()
        try await Task.sleep(for: .seconds(seconds))
        let idle = Cost(server.counters, seconds: Double(seconds))
        server.forgetCounters()
        let begin = ContinuousClock.now
        try await change(server, pods: pods.count)
        let busy = Cost(
            server.counters,
            seconds: Double((ContinuousClock.now - begin) / .milliseconds(1)) / 1000)
        return (idle, busy)
    }

    /// A tenth of a second at a time: slices and nodes as in the whole cluster, pods of the nodes that
    /// are here in proportion.
    private func change(_ server: APIServerDouble, pods count: Int) async throws {
        let names = (0..<Int(Self.whole)).map { "node-\($0)" }
        let begin = ContinuousClock.now
        var (slices, pods, beats) = (0, 0, 0)
        for tick in 1...seconds * 10 {
            let time = Double(tick) / 10
            server.change { state in
                while Double(slices) < time * Double(Self.churn) {
                    slices += 1
                    let number = slices * 7 % Self.services
                    state.put(
                        .endpointSlices,
                        KubernetesObjects.slice(number, nodes: names, shift: slices))
                }
                while Double(pods) < time * Double(Self.churn * count) / Self.whole {
                    pods += 1
                    let number = pods * 7 % (count * Self.podsPerNode)
                    state.put(
                        .pods,
                        KubernetesObjects.pod(number, on: "node-\(number % count)", restarts: pods))
                }
                while Double(beats) < time * Self.heartbeatsPerSecond {
                    beats += 1
                    state.put(
                        .nodes,
                        KubernetesObjects.node(beats % Int(Self.whole), heartbeat: beats))
                }
            }
            try await Task.sleep(until: begin + .milliseconds(tick * 100))
        }
    }

    /// - Parameters:
    ///   - publishing: without nodes.
    ///   - all: with them.
    private func report(_ name: String, _ publishing: Cost, _ all: Cost) {
        let share = Self.whole / Double(nodes)
        // The measured time is shorter than a watch lasts.
        let range = ReflectorParameters().watchSeconds
        let watches = Self.whole + Double(Client.clusterWide.count)
        let renewals = watches / (Double(range.lowerBound + range.upperBound) / 2)
        let requests =
            publishing.requests + max(all.requests - publishing.requests, 0) * share + renewals
        let bytes = publishing.bytes + max(all.bytes - publishing.bytes, 0) * share
        Figure("kubernetes.load.\(name).1000.requests", requests, "1/s").report()
        Figure("kubernetes.load.\(name).1000.requests.renewed-watches", renewals, "1/s").report()
        Figure("kubernetes.load.\(name).1000.bytes", bytes / 1024, "KiB/s").report()
        Figure("kubernetes.load.\(name).publisher.requests", publishing.requests, "1/s").report()
        Figure("kubernetes.load.\(name).publisher.bytes", publishing.bytes / 1024, "KiB/s")
            .report()
        Figure(
            "kubernetes.load.\(name).node.bytes",
            max(all.bytes - publishing.bytes, 0) / Double(nodes), "bytes/s"
        ).report()
    }

    // MARK: Clients

    /// One agent, as far as an API server sees it.
    private actor Client: ObjectConsumer {
        /// As a publisher asks for it, where the multi-cluster API is installed.
        static let clusterWide: [ObjectSelection] = [
            .init(.namespaces), .init(.nodes), .init(.services), .init(.endpointSlices),
            .init(.networkPolicies), .init(.clusterNetworkPolicies, isOptional: true),
            .init(.serviceExports("v1beta1"), isOptional: true),
            .init(.serviceImports("v1beta1"), isOptional: true),
        ]

        private let server: APIServerDouble
        private let authority: String
        private let token: String
        private var complete: Set<ObjectSelection> = []

        init(_ server: APIServerDouble, _ authority: String, _ token: String) {
            self.server = server
            self.authority = authority
            self.token = token
        }

        private func client() throws -> KubernetesClient {
            try KubernetesClient(
                KubernetesConfiguration(
                    server: "https://127.0.0.1:\(server.port ?? 0)",
                    authorities: .inline(Array(authority.utf8)), credentials: .token(token)))
        }

        func follow(node: String) async {
            await reflect([ObjectSelection(.pods, fieldSelector: "spec.nodeName=\(node)")])
        }

        func publish() async {
            async let lease: Void = stand()
            await reflect(
                Self.clusterWide + [ObjectSelection(.pods, fieldSelector: "spec.nodeName=node-0")])
            await lease
        }

        private func reflect(_ selections: [ObjectSelection]) async {
            guard let client = try? client() else { return }
            await withDiscardingTaskGroup { group in
                for selection in selections {
                    group.addTask {
                        await Reflector(selection, client: client, consumer: self).run()
                    }
                }
            }
            client.close()
        }

        /// Stands for the lease, and renews it if it gets it.
        func stand() async {
            guard let client = try? client() else { return }
            let store = KubernetesLeaseStore(client: client, namespace: "weft-system")
            var generator = SystemRandomNumberGenerator()
            var keeper = LeaseKeeper(
                holder: LeaseHolder(
                    node: "node-\(UInt32.random(in: 0..<1000))", instance: .random(in: 1...(.max))),
                parameters: store.parameters)
            while !Task.isCancelled {
                var effects = keeper.step(at: .bootNow, using: &generator)
                while !effects.isEmpty {
                    guard case .call(let call) = effects.removeFirst() else { continue }
                    let answer = await store.answer(to: call.request)
                    effects += keeper.receive(
                        answer, to: call.id, at: .bootNow, using: &generator)
                }
                try? await Task.sleep(for: max(keeper.wake - .bootNow, .milliseconds(1)))
            }
            client.close()
        }

        func receive(_ event: ObjectEvent, of selection: ObjectSelection) {
            switch event {
            case .listEnded: complete.insert(selection)
            case .health(let health) where health.phase == .absent: complete.insert(selection)
            default: break
            }
        }

        func synced(_ count: Int) async throws {
            let deadline = ContinuousClock.now + .seconds(60)
            while complete.count < count {
                guard ContinuousClock.now < deadline else {
                    throw LabError(.timedOut, "a client has listed \(complete.count) of \(count)")
                }
                try await Task.sleep(for: .milliseconds(20))
            }
        }
    }
}
