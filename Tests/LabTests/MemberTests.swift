// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshAdmin
import Testing

@testable import MeshLab

extension LabTests {
    @Test("a node leaves the list of nodes and returns to it, and no other agent restarts")
    func members() async throws {
        var file = LabFile.builtIn
        file.clusters = Array(file.clusters.prefix(2))
        file.clusters[1].nodes = .count(3)
        try await withLab(file) { lab in
            let beta = lab.plan.clusters[1]
            let home = try #require(beta.endpoints.first { $0.name == "web-2" }).node
            let node = try #require(beta.nodes.first { $0.name == home })
            try #require(!beta.publishers.contains(node))
            let others = lab.plan.clusters[0].nodes + beta.nodes.filter { $0.name != home }
            /// Waits until all others know the node and its endpoint, or neither.
            func known(_ isKnown: Bool) async throws {
                for other in others {
                    let agent = lab.agent(of: other)
                    _ = try await awaiting(
                        "\(other.name) to \(isKnown ? "know" : "forget") \(home)",
                        atMost: .seconds(20)
                    ) {
                        let hasNode = try await agent.nodes().contains { $0.name == home }
                        let hasEndpoint = try await agent.endpoints()
                            .contains { $0.cluster.name == "beta" && $0.name == "web-2" }
                        return hasNode == isKnown && hasEndpoint == isKnown ? true : nil
                    }
                }
            }
            /// Has the other nodes of its cluster list it, or not.
            func list(_ isListed: Bool) throws {
                for other in beta.nodes where other.name != home {
                    let path = lab.plan.configurationFile(of: other)
                    let text = try LabFolder.read(path)
                    let entry = "{name: \(quote(home)), address: \(quote(node.underlay))}"
                    try #require(isListed || text.contains(entry))
                    let next =
                        isListed
                        ? text.replacing(
                            "nodes:\n", with: "nodes:\n  - \(entry)\n", maxReplacements: 1)
                        : text.split(separator: "\n").filter { !$0.contains(entry) }
                            .joined(separator: "\n")
                    try LabFolder.write(next, to: path)
                }
            }
            /// Waits until one of the others asks these nodes in vain for their flows, and no more.
            func missing(_ wanted: [String]) async throws {
                let agent = lab.agent(of: try #require(others.last))
                _ = try await awaiting("\(wanted) to be missed", atMost: .seconds(20)) {
                    var missed: [String] = []
                    try await agent.flows(FlowQuestion(last: 0, allNodes: true)) { line in
                        if case .node(let notice) = line { missed.append(notice.node) }
                    }
                    return missed == wanted ? true : nil
                }
            }
            let running = try agents(of: others, in: lab)
            _ = try lab.kill("beta/\(home)")
            try list(false)
            try await known(false)
            try await missing([])
            let load = try lab.startLoad(
                from: "alpha/client", "http://10.201.0.10/", ["--interval", "5ms"])
            try list(true)
            try await missing(["beta/\(home)"])
            _ = try await lab.revive("beta/\(home)")
            try await known(true)
            let end = Lab.now()
            _ = try await load.await("an answer after that", atMost: .seconds(20)) {
                $0.start > end && $0.cluster == "beta" && $0.endpoint == "web-2"
            }
            #expect(try load.records().failures.isEmpty)
            #expect(try agents(of: others, in: lab) == running)
        }
    }

    private func agents(of nodes: [LabPlan.Node], in lab: Lab) throws -> [[pid_t]] {
        try nodes.map {
            try LabCgroup.processes(in: lab.cgroup.agent(of: $0, in: try lab.cluster(of: $0)))
        }
    }
}
