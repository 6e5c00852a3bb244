// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import Synchronization
import Testing

@testable import MeshLab

@Suite("Flows of a cluster", .tags(.lab), .serialized) struct FlowTests {
    /// Clients on two nodes of alpha, a server in beta.
    private static let file = LabFile.web(clients: ["near": "alpha-1", "far": "alpha-2"])

    /// What one reader got so far.
    private final class Lines: Sendable {
        private let lines = Mutex<[FlowLine]>([])

        func add(_ line: FlowLine) { lines.withLock { $0.append(line) } }

        var flows: [Flow] {
            lines.withLock { $0 }.compactMap { if case .flow(let flow) = $0 { flow } else { nil } }
        }

        var notices: [FlowNodeNotice] {
            lines.withLock { $0 }.compactMap {
                if case .node(let notice) = $0 { notice } else { nil }
            }
        }
    }

    @Test(
        "are followed from one of its nodes; a node that stands still is named, and is back later")
    func following() async throws {
        try await withLab(Self.file) { lab in
            let alpha = try #require(lab.plan.clusters.first)
            let agent = lab.agent(of: alpha.nodes[0])
            let arguments = ["--interval", "50ms", "--timeout", "1s"]
            _ = try lab.startLoad(from: "alpha/near", "http://10.201.0.10/", arguments)
            _ = try lab.startLoad(from: "alpha/far", "http://10.201.0.10/", arguments)
            let lines = Lines()
            let filter = try FlowFilter("to.service=demo/web from.label=app=far type=opened")
            let reader = Task {
                try await agent.flows(FlowQuestion(filter, last: 0, follow: true, allNodes: true)) {
                    lines.add($0)
                }
            }
            func soon(_ what: String, _ condition: () -> Bool) async throws {
                _ = try await awaiting(what, atMost: .seconds(20)) { condition() ? true : nil }
            }
            do {
                try await soon("the other node's flows") { lines.flows.count > 10 }
                let flow = try #require(lines.flows.first)
                #expect(flow.node == "alpha/alpha-2" && flow.source.name == "far")
                #expect(flow.source.cluster == "alpha" && flow.destination.cluster == "beta")
                #expect(flow.destination.service == "demo/web")
                #expect(flow.destination.name == "web-1")
                // The filter is each agent's: nothing of the near one.
                #expect(lines.flows.allSatisfy { $0.node == "alpha/alpha-2" })

                try lab.freeze("alpha/alpha-2")
                try await soon("a word about the frozen node") { !lines.notices.isEmpty }
                let notice = try #require(lines.notices.first)
                #expect(notice.node == "alpha/alpha-2" && notice.state == .unreachable)
                // Without following everybody else is heard all the same.
                let (kept, missing) = (Lines(), Lines())
                try await agent.flows(FlowQuestion(allNodes: true)) { line in
                    kept.add(line)
                    if case .node = line { missing.add(line) }
                }
                #expect(kept.flows.contains { $0.node == "alpha/alpha-1" })
                #expect(missing.notices.map(\.node) == ["alpha/alpha-2"])

                try lab.thaw("alpha/alpha-2")
                try await soon("the word that it is back") {
                    lines.notices.last?.state == .reachable
                }
                let count = lines.flows.count
                try await soon("its flows again") { lines.flows.count > count + 10 }
            } catch {
                reader.cancel()
                throw error
            }
            reader.cancel()
            let text = try await agent.metrics()
            #expect(
                text.contains(
                    "weft_flows_total{namespace=\"demo\",workload=\"near\",direction=\"egress\","
                        + "peer_cluster=\"beta\",verdict=\"forwarded\"}"))
        }
    }
}
