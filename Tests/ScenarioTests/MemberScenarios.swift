// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshStore
import MeshTransport
import Testing

@testable import MeshAgent

@Suite("Nodes that are listed, or no longer, while agents run")
struct MemberScenarios {
    private let world: World

    /// Two clusters of three nodes; an endpoint on the last one of the first cluster.
    init() throws {
        world = try World(clusters: 2, nodesPerCluster: 3)
        world.attach(1, "c", "echo", "10.1.2.1")
        try world.run(for: .seconds(2))
        #expect(everybodyKnows(World.id(1, "c")) == true)
    }

    /// Whether all others have the node and its endpoint, nil if only some do.
    private func everybodyKnows(_ id: NodeID) -> Bool? {
        let known = world.everyNode.filter { World.id($0, $1) != id }.map { number, name in
            let hasNode = world.core(number, name).store.read { $0.nodes[id] != nil }
            let hasEndpoint = world.endpoints(number, name).contains("10.1.2.1")
            return hasNode == hasEndpoint ? hasNode : nil
        }
        return Set(known).count == 1 ? known[0] : nil
    }

    @Test("what a dead node had stays, until it isn't listed; listed and alive, it is back")
    func dead() throws {
        world.kill(1, "c")
        try world.run(for: .seconds(5))
        #expect(everybodyKnows(World.id(1, "c")) == true)
        world.setMembers(1, ["a", "b"])
        try world.run(for: .seconds(2))
        #expect(everybodyKnows(World.id(1, "c")) == false)

        world.setMembers(1, ["a", "b", "c"])
        world.revive(1, "c")
        try world.run(for: .seconds(2))
        #expect(everybodyKnows(World.id(1, "c")) == true)
    }

    @Test("a living one that isn't listed counts until its links have ended")
    func alive() throws {
        world.setMembers(1, ["a", "b"])
        try world.run(for: .seconds(5)) {
            #expect(everybodyKnows(World.id(1, "c")) == true)
        }
        world.kill(1, "c")
        try world.run(for: .seconds(2))
        #expect(everybodyKnows(World.id(1, "c")) == false)
    }

    @Test("while nobody publishes it is forgotten as well, and by the next publisher")
    func unpublished() throws {
        world.kill(1, "c")
        world.kill(1, "a")
        world.setMembers(1, ["a", "b"])
        try world.run(for: .seconds(2))
        #expect(world.core(1, "b").book.reports["c"] == nil)
        world.revive(1, "a")
        world.setMembers(1, ["a", "b"])
        try world.run(for: .seconds(10))
        #expect(everybodyKnows(World.id(1, "c")) == false)
    }

    @Test("only the listed are dialled, and relays before any are announced")
    func dialled() {
        func dialled() -> [String?] {
            world.core(1, "a").linkTargets.filter { $0.cluster?.rawValue == "c1" }.map(\.node)
        }
        #expect(dialled() == ["b", "c"])
        #expect(Set(world.core(1, "a").configuredRelays) == ["a", "b", "c"])
        world.setMembers(1, ["a", "c"])
        #expect(dialled() == ["c"])
        #expect(Set(world.core(1, "a").configuredRelays) == ["a", "c"])
        world.setMembers(1, ["a", "b", "c"])
        #expect(dialled() == ["b", "c"])
    }
}
