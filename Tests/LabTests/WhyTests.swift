// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import Testing

@testable import MeshLab

@Suite(.tags(.lab), .serialized) struct WhyTests {
    /// A client on the first of alpha's nodes, a server in beta, and a service that selects nobody.
    private static let file = LabFile.web(
        clients: ["client": "alpha-1"],
        services: [
            LabFile.Service(
                name: "empty", namespace: "demo", selector: ["app": "nobody"],
                ports: [LabFile.Port(name: "http", port: 80, targetPort: 8080)])
        ])

    private static func policy(of app: String, _ direction: String) -> String {
        """
        apiVersion: networking.k8s.io/v1
        kind: NetworkPolicy
        metadata: {name: \(app), namespace: demo}
        spec:
          podSelector: {matchLabels: {app: \(app)}}
          policyTypes: [\(direction)]
        """
    }

    @Test("a flow that is broken in six ways, and what is said of each")
    func broken() async throws {
        try await withLab(Self.file) { lab in
            let alpha = lab.plan.clusters[0].nodes
            let beta = try #require(lab.plan.clusters[1].nodes.first)
            let agent = lab.agent(of: alpha[0])
            func story(
                _ what: String, to destination: String = "demo/web:80",
                _ isWanted: (FlowStory) -> Bool
            ) async throws -> FlowStory {
                try await awaiting(what, atMost: .seconds(30), every: .milliseconds(100)) {
                    let story = try await agent.why(from: "demo/client", to: destination)
                    return isWanted(story) ? story : nil
                }
            }
            func weft(_ words: String...) async throws -> (code: LabProcess.Ending, said: String) {
                let file = "\(lab.plan.stateFolder)/said"
                try LabFolder.remove(file)
                let socket = "\(lab.plan.runFolder(of: alpha[0]))/weft.sock"
                let process = try lab.start(
                    ["weft"] + words + ["--socket", socket], in: "alpha/client", output: file)
                return (try await process.wait(atMost: .seconds(20)), try LabFolder.read(file))
            }

            let fine = try await story("a way") { $0.outcome == .works }
            #expect(fine.seenFrom == "alpha/alpha-1" && fine.source.isHere)
            #expect(fine.candidates.first?.node == beta.name)
            #expect(fine.steps.map(\.stage) == [.source, .service, .egress, .path, .ingress])
            let said = try await weft("why", "client", "web:80")
            #expect(said.code == .exited(0) && said.said.hasPrefix("Works: "), "\(said)")

            // Another node asks that one, and doesn't ask another cluster's.
            let elsewhere = try await lab.agent(of: alpha[1]).why(
                from: "demo/client", to: "demo/web:80")
            #expect(!elsewhere.source.isHere && elsewhere.seenFrom == "alpha/alpha-2")
            #expect(elsewhere.steps[0].saidBy == ["alpha/alpha-1"])
            #expect(elsewhere.sides.map(\.node) == ["alpha/alpha-1", "beta/\(beta.name)"])
            #expect(elsewhere.sides.map(\.state) == [.answered, .unasked])

            // 1: nobody of that name, or of that port.
            let unknown = try await weft("why", "client", "demo/wbe:80")
            #expect(unknown.code == .exited(5), "\(unknown)")
            #expect(unknown.said.contains("did you mean demo/web?"))
            let port = try await weft("why", "client", "demo/web:81")
            #expect(
                port.code == .exited(5) && port.said.contains("name one that it has: 80/tcp"),
                "\(port)")

            // 2: a service without backends.
            let empty = try await story("no backend", to: "demo/empty:80") { $0.outcome == .stops }
            #expect(empty.stoppedAt == .service && empty.conclusion.contains("no backend"))

            // 3: an address that nobody has.
            let address = try #require(lab.plan.clusters[1].endpoints.first?.addresses.first)
            let nobody = address.split(separator: ".").dropLast().joined(separator: ".") + ".222"
            let stray = try await story("nobody", to: "\(nobody):80") { $0.outcome == .stops }
            #expect(stray.stoppedAt == .path && stray.conclusion.contains("no endpoint has it"))

            // 4: a policy at the source.
            let egress = "\(lab.plan.manifestFolder(of: alpha[0]))/egress.yaml"
            try LabFolder.write(Self.policy(of: "client", "Egress"), to: egress)
            let leaving = try await story("the source's policy") { $0.outcome == .stops }
            #expect(leaving.stoppedAt == .egress)
            #expect(leaving.conclusion.contains("NetworkPolicy demo/client"))
            let stopped = try await weft("why", "demo/client", "demo/web:80", "-o", "json")
            #expect(stopped.code == .exited(8))
            #expect(stopped.said.contains("\"stoppedAt\" : \"egress\""), "\(stopped.said)")
            try LabFolder.remove(egress)
            _ = try await story("the way again") { $0.outcome == .works }

            // 5: a policy at the destination, and what the source saw of it.
            let ingress = "\(lab.plan.manifestFolder(of: beta))/ingress.yaml"
            try LabFolder.write(Self.policy(of: "web", "Ingress"), to: ingress)
            let reaching = try await story("the destination's policy") { $0.outcome == .stops }
            #expect(reaching.stoppedAt == .ingress)
            #expect(reaching.conclusion.contains("NetworkPolicy demo/web"))
            #expect(reaching.advice?.contains("cluster beta") == true)
            #expect(reaching.notes.contains { $0.contains("what cluster beta says") })
            try LabFolder.remove(ingress)
            _ = try await story("the way again") { $0.outcome == .works }

            // 6: the cluster drains, which its service's last backends survive; then it is dead.
            _ = try await lab.drain("beta", true)
            let draining = try await story("the drain") {
                $0.steps.contains { $0.sentence.contains("last resort") }
            }
            #expect(draining.outcome == .works)
            _ = try lab.kill("beta")
            let dead = try await story("the death", to: "beta:demo/web-1:8080") {
                $0.outcome == .stops
            }
            #expect(dead.stoppedAt == .path)
            #expect(dead.conclusion.contains("cluster beta is unreachable since"))
            let service = try await story("the service's death") { $0.outcome == .stops }
            #expect(service.stoppedAt == .path)
        }
    }

    /// A client and a server on two nodes of alpha; somebody in beta.
    private static let pair = LabFile(
        mesh: nil,
        clusters: [
            LabFile.Cluster(
                name: "alpha", id: 1, nodes: .count(2),
                endpoints: [
                    LabFile.Endpoint(
                        name: "client", namespace: "demo", node: "alpha-1",
                        labels: ["app": "client"]),
                    LabFile.Endpoint(
                        name: "db", namespace: "demo", node: "alpha-2", labels: ["app": "db"],
                        command: ["weft", "lab", "serve", "--port", "8080"]),
                ]),
            LabFile.Cluster(
                name: "beta", id: 2, nodes: .count(1),
                endpoints: [
                    LabFile.Endpoint(name: "far", namespace: "demo", labels: ["app": "far"])
                ]),
        ], services: [])

    @Test("a drop at the destination's node is told on any node of its cluster, with its policy")
    func dropThere() async throws {
        try await withLab(Self.pair) { lab in
            let (alpha, beta) = (lab.plan.clusters[0].nodes, lab.plan.clusters[1].nodes)
            let db = try #require(lab.plan.clusters[0].endpoints.last?.addresses.first)
            func story(
                _ what: String, on node: LabPlan.Node, from source: String = "demo/client",
                to destination: String = "demo/db:8080", _ isWanted: (FlowStory) -> Bool
            ) async throws -> FlowStory {
                let agent = lab.agent(of: node)
                return try await awaiting(what, atMost: .seconds(30), every: .milliseconds(100)) {
                    let story = try await agent.why(from: source, to: destination)
                    return isWanted(story) ? story : nil
                }
            }
            _ = try lab.startLoad(
                from: "alpha/client", "http://\(db):8080/",
                ["--interval", "50ms", "--timeout", "1s"])
            // Both kernels have the flow, and each node says so for itself.
            for node in alpha {
                let open = try await story("its flows", on: node) {
                    $0.outcome == .works && $0.sides.allSatisfy { $0.connections > 0 }
                }
                #expect(open.sides.map(\.node) == ["alpha/alpha-1", "alpha/alpha-2"])
                #expect(open.sides.map(\.roles) == [[.source], [.destination]])
                #expect(open.sides.allSatisfy { $0.state == .answered })
            }
            let ingress = "\(lab.plan.manifestFolder(of: alpha[1]))/ingress.yaml"
            try LabFolder.write(Self.policy(of: "db", "Ingress"), to: ingress)
            // The client's node refuses nothing itself, and shows what the other one did.
            let told = try await story("the drop there", on: alpha[0]) {
                $0.outcome == .stops && !$0.evidence.isEmpty
            }
            #expect(told.stoppedAt == .ingress && told.source.isHere)
            let drop = try #require(told.evidence.last)
            #expect(drop.node == "alpha/alpha-2" && drop.type == .denied)
            #expect(drop.reason == "policy_denied")
            #expect(drop.policy?.contains("NetworkPolicy demo/db") == true, "\(drop)")
            #expect(drop.source.name == "client" && drop.destination.name == "db")
            let step = try #require(told.steps.last { $0.stage == .evidence && $0.mark == .note })
            #expect(step.saidBy == ["alpha/alpha-2"])
            #expect(told.steps.first { $0.stage == .ingress }?.saidBy == ["alpha/alpha-2"])

            // Another cluster goes by the ledger, and says so.
            let far = try await story(
                "beta's view", on: beta[0], from: "alpha:demo/client", to: "alpha:demo/db:8080"
            ) { $0.outcome == .stops }
            #expect(far.stoppedAt == .ingress && far.evidence.isEmpty)
            #expect(far.sides.allSatisfy { $0.state == .unasked })
            #expect(far.steps.allSatisfy { $0.saidBy == ["beta/\(beta[0].name)"] })

            // Who stands still is named, and judged by what is known of it.
            try lab.freeze("alpha/alpha-2")
            let silent = try await story("a silent side", on: alpha[0]) {
                $0.sides.last?.state == .silent
            }
            #expect(silent.sides.last?.node == "alpha/alpha-2")
            #expect(silent.sides.last?.reason?.isEmpty == false)
            #expect(silent.evidence.isEmpty)
            try lab.thaw("alpha/alpha-2")
            _ = try await story("its word again", on: alpha[0]) {
                $0.sides.last?.state == .answered
            }
            let metrics = try await lab.agent(of: alpha[0]).metrics()
            #expect(metrics.contains("weft_flow_answers_total{result=\"answered\"}"))
            #expect(metrics.contains("weft_flow_answers_total{result=\"stray\"} 0"))
        }
    }
}
