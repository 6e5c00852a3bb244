// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import Testing

@testable import MeshLab

@Suite(.tags(.lab), .serialized) struct DepartureTests {
    /// What a lab's file says of each node.
    private static let nodeCapacity: UInt32 = 100_000

    @Test("a node leaves under load and goes off: nobody fails, and nobody takes it for dead")
    func leave() async throws {
        var file = LabFile.builtIn
        file.clusters = Array(file.clusters.prefix(2))
        file.clusters[1].nodes = .count(4)
        try await withLab(file) { lab in
            let beta = lab.plan.clusters[1]
            let home = try #require(beta.endpoints.first { $0.name == "web-2" }).node
            let node = try #require(beta.nodes.first { $0.name == home })
            try #require(node.name != "beta-1", "it would be the publisher")
            let agent = lab.agent(of: node)
            let observers = (lab.plan.clusters[0].nodes + beta.nodes).filter { $0.name != home }
                .map { lab.agent(of: $0) }
            /// How all others see it.
            func verdicts() async throws -> Set<VerdictName> {
                var verdicts: Set<VerdictName> = []
                for observer in observers {
                    for row in try await observer.nodes() where row.name == home {
                        verdicts.insert(row.verdict)
                    }
                }
                return verdicts
            }
            func isThere(_ record: LoadRecord) -> Bool {
                record.cluster == "beta" && record.endpoint == "web-2"
            }

            let load = try lab.startLoad(
                from: "alpha/client", "http://10.201.0.10/",
                ["--interval", "5ms", "--talkers", "32"])
            let talker = try await load.await("a talker served there", atMost: .seconds(10)) {
                $0.kind == .talk && isThere($0)
            }
            func capacity() async throws -> UInt32 {
                let row = try await observers[0].clusters().first { $0.name == "beta" }
                return row?.capacity?.capacity ?? 0
            }
            // Four nodes alike; in the beginning some haven't spoken.
            _ = try await awaiting("the capacity of all four", atMost: .seconds(15)) {
                try await capacity() == 4 * Self.nodeCapacity ? true : nil
            }
            let began = Lab.now()
            let departure = try await agent.depart(DepartureRequest(timeoutSeconds: 60))
            #expect(departure.phase == .draining)
            let known = began + 1_000_000_000
            _ = try await load.await("the same talker, later", atMost: .seconds(15)) {
                $0.kind == .talk && $0.connection == talker.connection
                    && $0.start > known + 8_000_000_000
            }
            let records = try load.records()
            #expect(records.failures.isEmpty, "\(records.failures.prefix(3))")
            let new = records.filter { $0.kind == .request && $0.start > known }
            #expect(new.count > 100 && !new.contains(where: isThere))
            #expect(
                records.contains {
                    $0.kind == .talk && $0.start > known + 8_000_000_000 && isThere($0)
                })
            #expect(try await verdicts() == [.draining])
            let waiting = try await agent.departure()
            #expect(waiting.phase == .draining)
            #expect(waiting.open.contains { $0.hasSuffix("connections to its endpoints are open") })
            #expect(try await agent.nodes().first { $0.name == home }?.isRelay == false)
            #expect(try await capacity() == 3 * Self.nodeCapacity)
            // What came over the path that is kept for a while counts, too.
            #expect(
                try await agent.metrics().contains(
                    "weft_membership_rejected_total{reason=\"strange-testimony\"} 0"))

            try load.process.signal(15)
            _ = try await awaiting("the node to have left", atMost: .seconds(20)) {
                let status = try await agent.departure()
                return status.phase == .left ? status : nil
            }
            let second = try lab.startLoad(
                from: "alpha/client", "http://10.201.0.10/", ["--interval", "5ms"])
            let off = try lab.kill("beta/\(home)").ended
            _ = try await second.await("five seconds without it", atMost: .seconds(20)) {
                $0.start > off + 5_000_000_000
            }
            #expect(try second.records().failures.isEmpty)
            #expect(try await verdicts() == [.draining])
            // Switched on, it stays out until it is told to take part.
            try await lab.revive("beta/\(home)")
            #expect(try await agent.departure().phase == .left)
            #expect(try await verdicts() == [.draining])
            #expect(try await agent.depart(DepartureRequest(timeoutSeconds: nil)).phase == .serving)
            _ = try await second.await("an answer from there", atMost: .seconds(20), isThere)
            #expect(try second.records().failures.isEmpty)
            _ = try await awaiting("everybody to know", atMost: .seconds(10)) {
                try await verdicts() == [.up] ? true : nil
            }
            for observer in observers {
                let texts = try await observer.why("beta/\(home)").events.map(\.text)
                #expect(!texts.contains { $0.contains("dead") || $0.contains("unreachable") })
                let row = try await observer.nodes().first { $0.name == home }
                #expect(row?.generation == 0, "no flow looked again")
            }
        }
    }

    @Test("a node's gossip key is replaced under way, and nobody refuses a datagram")
    func rotation() async throws {
        var file = LabFile.builtIn
        file.clusters = Array(file.clusters.prefix(1))
        file.clusters[0].nodes = .count(3)
        try await withLab(file) { lab in
            let agents = lab.plan.clusters[0].nodes.map { lab.agent(of: $0) }
            func refused() async throws -> [String] {
                var lines: [String] = []
                for agent in agents {
                    lines += try await agent.metrics().split(separator: "\n").map(String.init)
                        .filter { $0.hasPrefix("weft_transport_rejected_total{reason=\"gossip") }
                }
                return lines
            }
            func see(
                _ what: String, _ isWanted: ([GossipKeyStatus]) -> Bool
            ) async throws {
                _ = try await awaiting(what, atMost: .seconds(20)) {
                    isWanted(try await agents[0].gossipKeys()) ? true : nil
                }
            }
            try await see("both others to gossip") { $0.count == 1 && $0[0].users == 2 }
            let before = try await refused()
            let old = try await agents[0].gossipKeys()
            let both = try await agents[0].rotateGossipKey()
            #expect(both.count == 2 && both[0].key == old[0].key && both[1].isNewest)
            await #expect(throws: AdminFault.self) { try await agents[0].rotateGossipKey() }
            try await see("both others to use the new key") { $0.last?.users == 2 }
            #expect(try await refused() == before)
            #expect(try await agents[0].metrics().contains("weft_membership_events_total"))
        }
    }
}
