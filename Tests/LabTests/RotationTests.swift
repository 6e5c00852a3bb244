// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshAdmin
import MeshTrust
import Testing

@testable import MeshLab

extension Lab {
    fileprivate func home(_ cluster: String) throws -> AdminClient {
        agent(of: try #require(plan.clusters.first { $0.name == cluster }).nodes[0])
    }

    fileprivate func join(_ cluster: String, _ id: UInt16, through introducer: String) async throws
    {
        let token = try await home(introducer).makeToken(TokenRequest(cluster: cluster, id: id))
        _ = try await home(cluster).join(token.target)
    }

    /// Waits until the rotation of a cluster's root is in one of these phases.
    fileprivate func awaitPhase(_ cluster: String, _ phases: String...) async throws {
        let home = try home(cluster)
        _ = try await awaiting("a rotation that is \(phases)", atMost: .seconds(150)) {
            // The agent may be starting.
            guard let status = try? await home.rotation() else { return nil as Bool? }
            return phases.contains(status.phase) ? true : nil
        }
    }

    /// Key identifiers of the roots by which a node knows a cluster.
    fileprivate func roots(
        of cluster: String, at node: LabPlan.Node
    ) async throws -> [String] {
        try await agent(of: node).trustStatus().certificates
            .filter { $0.kind == .root && $0.cluster == cluster }.map(\.keyIdentifier)
    }
}

@Suite(.tags(.lab), .serialized) struct RotationTests {
    @Test(
        "a second candidate asks the home for its first intermediate, and for one below a new root")
    func delegates() async throws {
        var file = LabFile.builtIn
        file.clusters = [file.clusters[0]]
        file.clusters[0].nodes = .count(3)
        file.clusters[0].etcd = true
        try await withLab(file) { lab in
            let nodes = lab.plan.nodes
            func intermediate(_ node: LabPlan.Node) async throws -> String? {
                try await lab.agent(of: node).trustStatus().certificates
                    .first { $0.kind == .intermediate }?.keyIdentifier
            }
            let folder = "\(lab.plan.folder(of: nodes[1]))/trust/authority"
            _ = try await awaiting("a first intermediate", atMost: .seconds(30)) {
                LabFolder.exists("\(folder)/intermediate.pem") ? true : nil
            }
            #expect(!LabFolder.exists("\(folder)/root.pem") && !LabFolder.exists("\(folder)/next"))
            let first = try #require(try await intermediate(nodes[1]))
            #expect(try await intermediate(nodes[0]) != first)
            let before = try LabFolder.read("\(folder)/intermediate.pem")

            _ = try await lab.agent(of: nodes[0]).rotate(RotationRequest(.begin, .root))
            let status = try await lab.agent(of: nodes[0]).trustStatus()
            #expect(status.rotation?.kind == .root && status.rotation?.isOver == false)
            try await lab.awaitPhase("alpha", "removed")
            #expect(try await lab.agent(of: nodes[0]).trustStatus().rotation == nil)
            #expect(try await intermediate(nodes[1]) != first)
            #expect(try LabFolder.read("\(folder)/intermediate.pem") != before)
            for name in ["next", "former", "root.pem", "pending.pem"] {
                #expect(!LabFolder.exists("\(folder)/\(name)"), "\(name)")
            }
            // It publishes what everybody believes, when the home is gone.
            try await lab.endAgents("alpha/\(nodes[0].name)")
            _ = try await awaiting("the second to publish", atMost: .seconds(30)) {
                let publisher = try? await lab.agent(of: nodes[2]).status().publisher
                return publisher?.node == nodes[1].name && publisher?.isReachable == true
                    ? true : nil
            }
            let ledger = try await awaiting("its epoch", atMost: .seconds(30)) {
                try await lab.agent(of: nodes[2]).status().ledgers.first { $0.epoch > 2 }
            }
            #expect(!ledger.isFrozen)
        }
    }

    @Test("a root is replaced under way of everybody, though its home is killed and a peer is away")
    func root() async throws {
        var file = LabFile.builtIn
        file.apart = true
        file.clusters[0].nodes = .count(2)
        for index in 1...2 { file.clusters[index].nodes = .count(1) }
        try await withLab(file) { lab in
            let (alpha, beta) = (lab.plan.clusters[0].nodes, lab.plan.clusters[1].nodes)
            try await lab.join("beta", 2, through: "alpha")
            try await lab.join("gamma", 3, through: "alpha")
            try await lab.converge(lab.plan.nodes, joined: ["alpha", "beta", "gamma"])
            let former = try await lab.roots(of: "alpha", at: alpha[0])
            #expect(former.count == 1)
            await #expect(throws: AdminFault.self, "only the home may") {
                try await lab.agent(of: alpha[1]).rotate(RotationRequest(.begin, .root))
            }

            try await lab.endAgents("beta")
            _ = try await lab.home("alpha").rotate(RotationRequest(.begin, .root))
            try await lab.awaitPhase("alpha", "published")
            _ = try await awaiting("beta alone to be waited for", atMost: .seconds(30)) {
                try await lab.home("alpha").rotation().waitingFor == ["beta"] ? true : nil
            }
            #expect(try await lab.roots(of: "alpha", at: alpha[1]).count == 2)
            await #expect(throws: AdminFault.self, "one at a time") {
                try await lab.home("alpha").rotate(RotationRequest(.begin, .intermediate))
            }
            try await lab.endAgents("alpha/\(alpha[0].name)")
            try await lab.startAgents(of: [alpha[0]])
            try await lab.startAgents(of: beta)
            try await lab.awaitPhase("alpha", "active", "retiring", "removed")
            try await lab.awaitPhase("alpha", "removed")

            for node in lab.plan.nodes {
                _ = try await awaiting("the new root at \(node.name)", atMost: .seconds(30)) {
                    let roots = try await lab.roots(of: "alpha", at: node)
                    return roots.count == 1 && roots != former ? true : nil
                }
            }
            // Nothing of the former is needed any more.
            let folder = "\(lab.plan.folder(of: alpha[0]))/trust/authority"
            #expect(try LabFolder.names(in: folder).filter { $0 == "next" || $0 == "former" } == [])
            for node in alpha + beta {
                try await lab.endAgents("\(node.name.prefix { $0 != "-" })/\(node.name)")
                try await lab.startAgents(of: [node])
            }
            for node in lab.plan.nodes {
                _ = try await awaiting("\(node.name) to be linked", atMost: .seconds(30)) {
                    let links = try? await lab.agent(of: node).status().links
                    let linked = Set((links ?? []).filter { $0.state == .connected }.map(\.peer))
                    return linked.count == lab.plan.nodes.count - 1 ? true : nil
                }
            }
            for log in try lab.logs() {
                #expect(try !LabFolder.read(log).contains("PRIVATE KEY"), "\(log)")
            }
        }
    }
}
