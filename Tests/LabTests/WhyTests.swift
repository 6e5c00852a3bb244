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

            // Another node says whose view it is, and where to ask.
            let elsewhere = try await lab.agent(of: alpha[1]).why(
                from: "demo/client", to: "demo/web:80")
            #expect(!elsewhere.source.isHere)
            #expect(elsewhere.steps[0].details.contains("there: weft why demo/client demo/web:80"))

            // 1: nobody of that name, or of that port.
            let unknown = try await weft("why", "client", "demo/wbe:80")
            #expect(unknown.code == .exited(5), "\(unknown)")
            #expect(unknown.said.contains("did you mean demo/web?"))
            let port = try await weft("why", "client", "demo/web:81")
            #expect(port.code == .exited(5) && port.said.contains("only 80/tcp"), "\(port)")

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
}
