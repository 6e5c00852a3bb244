// SPDX-License-Identifier: Apache-2.0

import APIServerDouble
import MeshKubernetes
import MeshModel
import MeshSimulation
import Testing

@Suite("A reflector over real sockets")
struct ReflectorSocketTests {
    private func quick(streaming: Bool) -> ReflectorParameters {
        var parameters = ReflectorParameters()
        parameters.prefersStreaming = streaming
        parameters.pageLimit = 7
        parameters.watchSeconds = 2..<4
        parameters.settledAfter = .milliseconds(200)
        return parameters
    }

    /// Runs a reflector while `body` runs.
    private func reflecting(
        _ selection: ObjectSelection, _ configuration: KubernetesConfiguration,
        streaming: Bool, _ body: (MirrorConsumer) async throws -> Void
    ) async throws {
        let client = try KubernetesClient(configuration, readTimeout: .seconds(2))
        let consumer = MirrorConsumer()
        let reflector = Reflector(
            selection, client: client, consumer: consumer,
            parameters: quick(streaming: streaming))
        let running = Task { await reflector.run() }
        defer {
            running.cancel()
            client.close()
        }
        try await body(consumer)
    }

    @Test(
        "ends with exactly the server's state, whatever broke on the way",
        arguments: [(1, false), (2, true), (3, false), (4, true)])
    func faults(seed: UInt64, streaming: Bool) async throws {
        var generator = SeededGenerator(seed: seed)
        let certificate = streaming ? try DoubleCertificate() : nil
        var state = DoubleState()
        for index in 0..<20 { state.put(.pods, pod("pod-\(index)")) }
        try await APIServerDouble.serve(
            state, tls: certificate, bookmarkInterval: .milliseconds(200)
        ) {
            server, configuration in
            try await reflecting(
                ObjectSelection(.pods), configuration, streaming: streaming
            ) { consumer in
                for round in 0..<60 {
                    let name = "pod-\(Int.random(in: 0..<30, using: &generator))"
                    server.change { state in
                        if generator.chance(0.3) {
                            state.remove(.pods, namespace: "shop", name: name)
                        } else {
                            state.put(.pods, pod(name, text: "\(round)"))
                        }
                    }
                    switch Int.random(in: 0..<12, using: &generator) {
                    case 0: server.cutConnections()
                    case 1: server.inject(.cut(afterBytes: 300))
                    case 2: server.inject(.fail)
                    case 3: server.inject(.throttle(seconds: 0))
                    case 4: server.change { $0.compact() }
                    case 5:
                        server.change { $0.compact() }
                        server.cutConnections()
                    case 6: server.inject(.slow(.milliseconds(100)))
                    case 7:
                        server.change { $0.restore($0) }
                        server.cutConnections()
                    default: break
                    }
                    // Spreads the faults over requests; nothing waits for anything.
                    try await Task.sleep(for: .milliseconds(20))
                }
                // Those that met nothing yet would each double a pause.
                server.forgetFaults()
                try await eventually(within: .seconds(120)) {
                    consumer.value.objects == server.state.texts(.pods)
                }
                #expect(consumer.value.violations == [])
            }
        }
    }

    @Test("follows the pods of one node alone, in pages that the server cuts short")
    func selection() async throws {
        var state = DoubleState()
        for index in 0..<30 {
            state.put(.pods, pod("pod-\(index)", node: "node-\(index % 2)"))
        }
        try await APIServerDouble.serve(state) { server, configuration in
            let selection = ObjectSelection(.pods, fieldSelector: "spec.nodeName=node-1")
            try await reflecting(selection, configuration, streaming: false) { consumer in
                try await eventually { consumer.value.objects.count == 15 }
                #expect(consumer.value.largestPage <= 7)
                // A pod that is bound elsewhere is gone, here.
                server.change { $0.put(.pods, pod("pod-1", node: "node-0")) }
                server.change { $0.put(.pods, pod("pod-2", node: "node-1")) }
                try await eventually {
                    consumer.value.objects == server.state.texts(.pods, nodeName: "node-1")
                }
                #expect(consumer.value.objects["shop/pod-1"] == nil)
            }
        }
    }

    @Test(
        "an optional resource is absent until its CRD comes; a server without streaming lists is paged"
    )
    func absence() async throws {
        var state = DoubleState()
        state.offersStreaming = false
        state.put(.pods, pod("pod"))
        try await APIServerDouble.serve(state) { server, configuration in
            try await reflecting(
                ObjectSelection(.serviceExports("v1beta1"), isOptional: true), configuration,
                streaming: true
            ) { consumer in
                try await eventually { consumer.value.health.last == .absent }
                #expect(consumer.value.objects.isEmpty)
            }
            try await reflecting(ObjectSelection(.pods), configuration, streaming: true) {
                consumer in
                try await eventually { consumer.value.health.last == .synced }
                #expect(consumer.value.objects == server.state.texts(.pods))
            }
        }
    }

    @Test("a watch that falls silent is taken up again, and nothing is missed")
    func silence() async throws {
        var state = DoubleState()
        state.put(.pods, pod("pod"))
        state.sendsBookmarks = false
        try await APIServerDouble.serve(state) { server, configuration in
            server.inject(.hang, into: .watches)
            try await reflecting(ObjectSelection(.pods), configuration, streaming: false) {
                consumer in
                try await eventually { consumer.value.objects.count == 1 }
                server.change { $0.put(.pods, pod("other")) }
                try await eventually { consumer.value.objects.count == 2 }
                #expect(consumer.value.lists == 1)
            }
        }
    }
}
