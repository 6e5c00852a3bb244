// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import Testing

@testable import MeshLab

@Suite(.tags(.lab), .serialized) struct RelayTests {
    @Test(
        "a relay that loses power, or its agent, is replaced, and its cluster is up all the while",
        arguments: [true, false])
    func replacement(losesPower: Bool) async throws {
        var file = LabFile.builtIn
        file.clusters = Array(file.clusters.prefix(2))
        file.clusters[1].nodes = .count(4)
        try await withLab(file) { lab in
            let observer = lab.agent(of: lab.plan.clusters[0].nodes[0])
            func relays() async throws -> Set<String> {
                Set(
                    try await observer.nodes().filter { $0.cluster.name == "beta" && $0.isRelay }
                        .map(\.name))
            }
            func beta() async throws -> ClusterStatus {
                try #require(try await observer.clusters().first { $0.name == "beta" })
            }
            func announcements() async throws -> [String] {
                try await observer.why("beta").events.map(\.text).filter {
                    $0.hasPrefix("its relays are")
                }
            }
            _ = try await awaiting("beta's word about its relays", atMost: .seconds(20)) {
                try await announcements().first
            }
            let before = try await relays()
            #expect(before.count == 3)
            let generation = try await beta().generation
            let dead = try #require(before.sorted().last { $0 != "beta-1" })
            if losesPower {
                try lab.kill("beta/\(dead)")
            } else {
                try await lab.endAgents("beta/\(dead)")
            }
            let after = try await awaiting("another relay", atMost: .seconds(15)) {
                let now = try await relays()
                return now.contains(dead) ? nil : now
            }
            #expect(after.count == 3)
            if !losesPower {
                // Its kernel answers for ten seconds, but heartbeats come from its agent.
                let node = try await observer.nodes().first { $0.name == dead }
                #expect(node?.verdict == .up)
            }
            let paths = try await awaiting("three paths", atMost: .seconds(15)) {
                let up = try await beta().paths.filter { $0.state == .up }.map(\.remoteNode)
                return Set(up) == after ? up : nil
            }
            #expect(paths.count == 3)
            let texts = try await observer.why("beta").events.map(\.text)
            #expect(texts.count { $0.contains("→ suspect") || $0.contains("→ unreachable") } == 0)
            #expect(try await announcements().count == 2)
            #expect(try await beta().verdict == .up)
            #expect(try await beta().generation == generation)
        }
    }
}
