// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import Testing

@testable import MeshLab

@Suite(.tags(.lab), .serialized) struct DeniedTests {
    /// Two servers in beta, and on one node of alpha a client that may ask them and one that may not.
    private static let file = LabFile(
        mesh: nil,
        clusters: [
            LabFile.Cluster(
                name: "alpha", id: 1, nodes: .count(1),
                endpoints: ["client", "stranger"].map { name in
                    LabFile.Endpoint(name: name, namespace: "demo", labels: ["app": name])
                }),
            LabFile.Cluster(
                name: "beta", id: 2, nodes: .count(1),
                endpoints: ["web-1", "web-2"].map { name in
                    LabFile.Endpoint(
                        name: name, namespace: "demo", labels: ["app": "web"],
                        command: ["weft", "lab", "serve", "--port", "8080"])
                }),
        ],
        services: [
            LabFile.Service(
                name: "web", namespace: "demo", selector: ["app": "web"],
                ports: [LabFile.Port(name: "http", port: 80, targetPort: 8080)])
        ])

    private static let policy = """
        apiVersion: networking.k8s.io/v1
        kind: NetworkPolicy
        metadata: {name: web, namespace: demo}
        spec:
          podSelector: {matchLabels: {app: web}}
          ingress:
          - from: [{podSelector: {matchLabels: {app: client, io.weft.cluster: alpha}}}]
            ports: [{port: 8080}]
        """

    @Test(
        "who is denied at the far end and keeps trying takes no server from others of its node",
        arguments: ["drop", "reject"])
    func persistence(answer: String) async throws {
        try await withLab(Self.file) { lab in
            let alpha = try #require(lab.plan.clusters.first?.nodes.first)
            let beta = try #require(lab.plan.clusters.last?.nodes.first)
            let home = lab.agent(of: alpha)
            try await lab.endAgents("beta/\(beta.name)")
            let configuration = lab.plan.configurationFile(of: beta)
            try LabFolder.write(
                try LabFolder.read(configuration) + "\npolicy: {denied: \(answer)}\n",
                to: configuration)
            try LabFolder.write(Self.policy, to: "\(lab.plan.manifestFolder(of: beta))/policy.yaml")
            try await lab.startAgents(of: [beta])
            try await lab.converge([beta])
            let url = "http://10.201.0.10/"

            let stranger = try lab.startLoad(
                from: "alpha/stranger", url, ["--interval", "50ms", "--timeout", "4s"])
            _ = try await stranger.await("a denial", atMost: .seconds(20)) { $0.outcome != .ok }
            // Seldom enough that its answers don't outweigh failures.
            let client = try lab.startLoad(
                from: "alpha/client", url, ["--interval", "3s", "--timeout", "2s"])
            let first = try await client.await("an answer", atMost: .seconds(20)) {
                $0.outcome == .ok
            }
            let end = first.end + 10_000_000_000
            var quarantines: Set<String> = []
            _ = try await client.await("ten seconds more", atMost: .seconds(30)) { record in
                record.start > end
            } whileWaiting: {
                let backends = try await home.services().flatMap(\.slices).flatMap(\.backends)
                quarantines.formUnion(backends.compactMap(\.quarantine?.reason))
            }
            #expect(quarantines.isEmpty)
            #expect(try client.records().failures.isEmpty)
            let denied = try stranger.records().filter { $0.start > first.start }
            #expect(denied.count > 50 && denied.failures.count == denied.count)
            let drops = try await lab.agent(of: beta).drops()
            #expect(try #require(drops.first { $0.label == "policy_denied" }).packets > 50)
            // And nothing was even spared.
            let metrics = try await home.metrics().split(separator: "\n")
            for name in ["weft_backend_quarantines_total", "weft_backend_spared_total"] {
                let samples = metrics.filter { $0.hasPrefix(name) }
                #expect(samples.allSatisfy { $0.hasSuffix(" 0") }, "\(samples)")
            }
        }
    }
}
