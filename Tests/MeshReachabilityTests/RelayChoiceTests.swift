// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability
import Testing

@Suite("Which nodes talk to other clusters")
struct RelayChoiceTests {
    static let cluster = ClusterID(rawValue: 1)!
    static let nodes = (1...9).map {
        RelayCandidate(name: "node-\($0)", zone: "zone-\($0 % 3)")
    }

    @Test("is the same in every process and whatever the order of the nodes")
    func deterministic() {
        // Written down once; another answer means two versions of Weft disagree.
        let chosen = ["node-3", "node-4", "node-2"]
        #expect(RelayChoice.relays(among: Self.nodes, of: Self.cluster) == chosen)
        #expect(RelayChoice.relays(among: Self.nodes.reversed(), of: Self.cluster) == chosen)
    }

    @Test("three zones give three relays in three zones, one zone gives three all the same")
    func zones() {
        for id in UInt16(1)...50 {
            let cluster = ClusterID(rawValue: id)!
            let spread = RelayChoice.relays(among: Self.nodes, of: cluster)
            let zones = Self.nodes.filter { spread.contains($0.name) }.map(\.zone)
            #expect(Set(zones).count == 3)
            let together = Self.nodes.map { RelayCandidate(name: $0.name, zone: "") }
            #expect(Set(RelayChoice.relays(among: together, of: cluster)).count == 3)
        }
    }

    @Test("a node that goes is replaced, the others stay")
    func stability() {
        let flat = Self.nodes.map { RelayCandidate(name: $0.name, zone: "") }
        let before = RelayChoice.relays(among: flat, of: Self.cluster)
        for gone in flat {
            let after = RelayChoice.relays(
                among: flat.filter { $0 != gone }, of: Self.cluster)
            #expect(before.filter { $0 != gone.name }.allSatisfy(after.contains))
            #expect(after.count == 3)
        }
    }

    @Test("fewer nodes than relays: all of them; none: none")
    func few() {
        #expect(RelayChoice.relays(among: Array(Self.nodes.prefix(2)), of: Self.cluster).count == 2)
        #expect(RelayChoice.relays(among: [], of: Self.cluster).isEmpty)
    }

    @Test(
        "relay i talks to relay i modulo the larger set, and both sides see the same pairs",
        arguments: [
            (1, 1, ["0-0"]), (2, 2, ["0-0", "1-1"]), (2, 3, ["0-0", "1-1", "0-2"]),
            (3, 1, ["0-0", "1-0", "2-0"]), (0, 3, []),
        ])
    func pairs(local: Int, remote: Int, expected: [String]) {
        func names(_ count: Int) -> [String] { (0..<count).map { "\($0)" } }
        func nodes(_ count: Int) -> [NodeID] {
            names(count).map { NodeID(cluster: Self.cluster, name: $0)! }
        }
        let here = RelayChoice.paths(from: names(local), to: nodes(remote))
        let there = RelayChoice.paths(from: names(remote), to: nodes(local))
        #expect(here.map { "\($0.local)-\($0.remote.name)" } == expected)
        #expect(there.map { "\($0.remote.name)-\($0.local)" } == expected)
    }
}
