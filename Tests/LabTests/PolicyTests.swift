// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import Testing

@testable import MeshLab

@Suite(.tags(.lab), .serialized) struct PolicyTests {
    /// A server in beta, two clients on two nodes of alpha: what one is denied is no evidence against
    /// the server at the other's.
    private static let file = LabFile.web(clients: ["client": "alpha-1", "stranger": "alpha-2"])

    private static func policy(allowing peer: String) -> String {
        """
        apiVersion: networking.k8s.io/v1
        kind: NetworkPolicy
        metadata: {name: web, namespace: demo}
        spec:
          podSelector: {matchLabels: {app: web}}
          ingress:
          - from: [{podSelector: {matchLabels: \(peer)}}]
            ports: [{port: 8080}]
        """
    }

    @Test("a policy decides who reaches a cluster from another, from its first packet to its last")
    func enforcement() async throws {
        try await withLab(Self.file) { lab in
            let alpha = try #require(lab.plan.clusters.first?.nodes.first)
            let beta = try #require(lab.plan.clusters.last?.nodes.first)
            let path = "\(lab.plan.manifestFolder(of: beta))/policy.yaml"
            let arguments = ["--interval", "20ms", "--talkers", "1", "--timeout", "1s"]
            let load = try lab.startLoad(
                from: "alpha/client", "http://10.201.0.10/", arguments)
            func outcome(
                _ what: String, _ kind: LoadRecord.Kind, ok: Bool, after start: UInt64
            ) async throws -> UInt64 {
                try await load.await(what, atMost: .seconds(20)) {
                    $0.kind == kind && ($0.outcome == .ok) == ok && $0.start > start
                }.start
            }
            _ = try await outcome("an answer", .request, ok: true, after: 0)

            // Beta's own endpoints only: selectors mean the policy's cluster.
            try LabFolder.write(Self.policy(allowing: "{app: client}"), to: path)
            let written = Lab.now()
            _ = try await outcome("a denial", .request, ok: false, after: written)
            _ = try await outcome("the open connection's end", .talk, ok: false, after: written)
            let agent = lab.agent(of: beta)
            let flow = try await awaiting("the denial among the flows", atMost: .seconds(10)) {
                var found: Flow?
                try await agent.flows(follow: false) { flow in
                    if flow.type == .denied, flow.source.name == "client" { found = flow }
                }
                return found
            }
            #expect(
                flow.policy == "ingress: NetworkPolicy demo/web isolates it and no rule accepts")
            #expect(flow.source.cluster == "alpha" && flow.source.labels?["app"] == "client")
            let trace = try await agent.trace(
                from: "alpha:demo/client", to: "demo/web-1", traffic: "8080")
            #expect(!trace.allows && trace.egress.allows)
            #expect(trace.ingress.reason.contains("NetworkPolicy demo/web isolates it"))
            let list = try await agent.policies()
            #expect(list.map(\.state) == [.enforced] && list.map(\.endpointsHere) == [1])

            let stranger = try lab.startLoad(
                from: "alpha/stranger", "http://10.201.0.10/", arguments)
            try LabFolder.write(
                Self.policy(allowing: "{app: client, io.weft.cluster: alpha}"), to: path)
            let allowed = try await outcome(
                "an answer again", .request, ok: true, after: Lab.now())

            // A label changes in another cluster.
            let pods = "\(lab.plan.manifestFolder(of: alpha))/pods.yaml"
            let text = try LabFolder.read(pods)
            try LabFolder.write(
                text.replacing("\"app\": \"client\"", with: "\"app\": \"other\""), to: pods)
            let other = try await outcome("a denial again", .request, ok: false, after: allowed)
            try LabFolder.write(text, to: pods)
            _ = try await outcome("an answer at last", .request, ok: true, after: other)
            let calm = Lab.now() + 2_000_000_000
            _ = try await load.await("two seconds of calm", atMost: .seconds(20)) {
                $0.end > calm
            }

            // Without an agent everything stays as it is, for both of them.
            try await lab.endAgents("beta/\(beta.name)")
            let alone = Lab.now() + 2_000_000_000
            _ = try await load.await("two seconds alone", atMost: .seconds(20)) { $0.end > alone }
            try await lab.startAgents(of: [beta])
            try await lab.converge([beta])
            let after = Lab.now() + 6_000_000_000
            _ = try await load.await("six seconds more", atMost: .seconds(20)) { $0.end > after }
            let settled = try load.records().filter { $0.start > calm }
            // Beta's death resets the one request that is under way, and a denial would be seen as one that
            // is refused or isn't answered.
            let failed = settled.filter { $0.outcome != .ok && $0.kind == .request }
            #expect(failed.allSatisfy { [.reset, .aborted].contains($0.outcome) }, "\(failed)")
            #expect(failed.count <= 1, "\(failed)")
            #expect(settled.count > 100)
            _ = try await stranger.await("a word of the stranger", atMost: .seconds(10)) {
                $0.end > after - 2_000_000_000
            }
            #expect(try stranger.records().allSatisfy { $0.outcome != .ok })

            // Tried out, the stranger passes, and is reported.
            let audited = Lab.now()
            try LabFolder.write(
                try LabFolder.read("\(lab.plan.manifestFolder(of: beta))/namespaces.yaml")
                    .replacing(
                        "metadata:",
                        with: "metadata:\n  annotations: {weft.io/policy-audit: \"true\"}"),
                to: "\(lab.plan.manifestFolder(of: beta))/namespaces.yaml")
            _ = try await stranger.await("an answer to the stranger", atMost: .seconds(20)) {
                $0.kind == .request && $0.outcome == .ok && $0.start > audited
            }
            _ = try await awaiting("the audit among the flows", atMost: .seconds(10)) {
                var found: Flow?
                try await agent.flows(follow: false) { flow in
                    if flow.type == .audited, flow.source.name == "stranger" { found = flow }
                }
                return found
            }
        }
    }
}
