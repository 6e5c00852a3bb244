// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import MeshModel
import Testing

@testable import MeshLab

@Suite(.tags(.lab), .serialized) struct DenyTests {
    @Test("a denied node is cut off in every cluster, can't come back, and is back when allowed")
    func deny() async throws {
        var file = LabFile.builtIn
        file.clusters = Array(file.clusters.prefix(2))
        try await withLab(file) { lab in
            let alpha = lab.plan.clusters[0].nodes
            let (home, denied) = (alpha[0], alpha[1])
            let beta = lab.plan.clusters[1].nodes
            let peer = "alpha/\(denied.name)"
            func links(of node: LabPlan.Node) async throws -> [String] {
                try await lab.agent(of: node).status().links.filter { $0.state == .connected }
                    .map(\.peer)
            }
            for node in beta {
                _ = try await awaiting("a link to \(peer)", atMost: .seconds(20)) {
                    try await links(of: node).contains(peer) ? true : nil
                }
            }
            let subject = DenialSubject(node: denied.name)
            let request = DenyRequest(subject: subject, reason: "stolen", isLocal: false)
            let elsewhere = await #expect(throws: AdminFault.self) {
                try await lab.agent(of: denied).deny(request)
            }
            #expect(elsewhere?.message.contains(home.name) == true, "only the home may")
            let oneself = await #expect(throws: AdminFault.self) {
                try await lab.agent(of: home).deny(
                    DenyRequest(
                        subject: DenialSubject(node: home.name), reason: "", isLocal: false))
            }
            #expect(oneself?.code == .conflict)

            try await lab.agent(of: home).deny(request)
            for node in beta + [home] {
                _ = try await awaiting("\(node.name) to cut it off", atMost: .seconds(20)) {
                    try await links(of: node).contains(peer) ? nil : true
                }
                let lines = try await lab.agent(of: node).denials()
                #expect(lines.map(\.owner) == ["alpha"] && lines.map(\.reason) == ["stolen"])
            }
            // It tries, and is refused with the reason.
            for node in beta {
                _ = try await awaiting("a refusal", atMost: .seconds(20)) {
                    try await lab.agent(of: node).status().links.first {
                        $0.lastError?.contains("stolen") == true
                    }
                }
                #expect(try await !links(of: node).contains(peer))
            }
            // Its own word for it: nobody answers it, so its heartbeats reach nobody either.
            _ = try await awaiting("its paths to fall", atMost: .seconds(20)) {
                try await lab.agent(of: beta[0]).clusters().first { $0.name == "alpha" }?.paths
                    .contains { $0.remoteNode == denied.name && $0.state == .up } == true
                    ? nil : true
            }
            // A restart forgets nothing.
            try await lab.endAgents("beta/\(beta[0].name)", orderly: true)
            try await lab.revive("beta/\(beta[0].name)")
            #expect(try await lab.agent(of: beta[0]).denials().count == 1)
            let metrics = try await lab.agent(of: home).metrics()
            #expect(metrics.contains("weft_trust_denials{cluster=\"alpha\"} 1"))
            #expect(metrics.contains("weft_trust_certificate_left_seconds{kind=\"root\""))

            try await lab.agent(of: home).allow(AllowRequest(subject: subject, isLocal: false))
            for node in beta + [home] {
                _ = try await awaiting("\(peer) to be back", atMost: .seconds(30)) {
                    try await links(of: node).contains(peer) ? true : nil
                }
                #expect(try await lab.agent(of: node).denials().isEmpty)
            }
            let log = try await lab.agent(of: home).trustStatus()
            #expect(log.home == home.name && log.audit.map { $0.sequence >= 2 } == true)
            #expect(
                log.certificates.map(\.kind) == [.root, .intermediate, .node, .root], "alpha, beta")
        }
    }

    @Test("a local denial concerns this node alone")
    func local() async throws {
        var file = LabFile.builtIn
        file.clusters = Array(file.clusters.prefix(2))
        try await withLab(file) { lab in
            let (alpha, beta) = (lab.plan.clusters[0].nodes, lab.plan.clusters[1].nodes)
            let agent = lab.agent(of: beta[0])
            let subject = DenialSubject(node: "alpha/\(alpha[1].name)")
            func isLinked(_ node: LabPlan.Node) async throws -> Bool {
                try await lab.agent(of: node).status().links.contains {
                    $0.peer == "alpha/\(alpha[1].name)" && $0.state == .connected
                }
            }
            for node in beta {
                _ = try await awaiting("links", atMost: .seconds(20)) {
                    try await isLinked(node) ? true : nil
                }
            }
            try await agent.deny(DenyRequest(subject: subject, reason: "odd", isLocal: true))
            _ = try await awaiting("the end of the link", atMost: .seconds(20)) {
                try await isLinked(beta[0]) ? nil : true
            }
            #expect(try await agent.denials().map(\.owner) == [nil])
            #expect(try await isLinked(beta[1]))
            #expect(try await lab.agent(of: beta[1]).denials().isEmpty)
            try await agent.allow(AllowRequest(subject: subject, isLocal: true))
            _ = try await awaiting("the link again", atMost: .seconds(30)) {
                try await isLinked(beta[0]) ? true : nil
            }
        }
    }
}
