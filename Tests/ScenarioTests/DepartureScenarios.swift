// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshStore
import Testing

@testable import MeshAgent

@Suite("A node that leaves its cluster in order, from the outside")
struct DepartureScenarios {
    private let world: World
    /// A relay that neither publishes nor is known by configuration.
    private let leaver: String

    init() throws {
        world = try World(clusters: 2, nodesPerCluster: 5, seeds: ["a", "b"])
        try world.run(for: .seconds(10))
        leaver = try #require(
            world.relays(of: 1, seenBy: 1).first { !["a", "b"].contains($0) })
    }

    private func phase() -> NodeDeparture.Phase { world.node(1, leaver).departure.phase }

    private func isDraining(seenBy number: UInt16, _ name: String) -> Bool {
        let id = World.id(1, leaver)
        let isKnown = world.core(number, name).store.read { $0.nodes[id]?.isDraining == true }
        guard world.node(number, name).id != id else { return isKnown }
        #expect(world.health(number, name).plan.draining == (isKnown ? [id] : []))
        return isKnown
    }

    /// Steps as its agent would.
    private func run(_ seconds: Int, connections: Int) throws {
        for _ in 0..<seconds {
            try world.run(for: .seconds(1))
            world.stepDeparture(1, leaver, connections: connections)
        }
    }

    @Test("every cluster reads it, another relay takes its place, and it goes when all is done")
    func inOrder() throws {
        world.leave(1, leaver, within: .seconds(60))
        try run(2, connections: 0)
        for (number, name) in world.everyNode { #expect(isDraining(seenBy: number, name)) }
        let relays = world.relays(of: 1, seenBy: 2)
        #expect(relays.count == 3 && !relays.contains(leaver))
        #expect(phase() == .draining)
        #expect(
            world.core(1, leaver).departure.burden.paths > 0, "the old path goes on for a while")
        try run(10, connections: 2)
        #expect(phase() == .draining)
        #expect(world.core(1, leaver).departure.burden == .init(connections: 2))
        try run(1, connections: 0)
        #expect(phase() == .left)

        world.kill(1, leaver)
        try world.run(for: .seconds(5))
        #expect(world.relays(of: 1, seenBy: 2) == relays)
        // A restart changes nothing; the operator does.
        world.revive(1, leaver)
        try world.run(for: .seconds(5))
        #expect(isDraining(seenBy: 2, "c"))
        world.leave(1, leaver, within: nil)
        try world.run(for: .seconds(1))
        for (number, name) in world.everyNode { #expect(!isDraining(seenBy: number, name)) }
        #expect(phase() == .serving)
        #expect(world.paths(1, 2).count == 3)
        #expect(world.alarms == [])
    }

    @Test("without a publisher it waits until its time is over, for nobody else can know")
    func unannounced() throws {
        world.kill(1, "a")
        try world.run(for: .seconds(3))
        world.leave(1, leaver, within: .seconds(20))
        try run(19, connections: 0)
        #expect(phase() == .draining)
        #expect(world.core(1, leaver).departure.burden.isUnannounced)
        try run(2, connections: 0)
        #expect(phase() == .left)
    }

    @Test("who publishes hands that over first; back in service, it waits for its turn")
    func publisher() throws {
        let world = try World(clusters: 2, nodesPerCluster: 3, candidates: 2, seeds: ["a", "b"])
        try world.run(for: .seconds(10))
        let first = try #require(["a", "b"].first { world.core(1, $0).isOpen })
        let second = first == "a" ? "b" : "a"
        world.leave(1, first, within: .seconds(60))
        try world.run(for: .seconds(3))
        #expect(!world.core(1, first).isOpen && world.core(1, second).isOpen)
        let position = world.positions(of: 1)
        for _ in 0..<15 {
            try world.run(for: .seconds(1))
            world.stepDeparture(1, first, connections: 0)
        }
        #expect(world.node(1, first).departure.phase == .left)
        #expect(world.core(1, first).departure.burden == .init())
        // The other one dies: somebody has to publish, and that is who has left.
        world.kill(1, second)
        try world.run(for: .seconds(10))
        #expect(world.core(1, first).isOpen)
        #expect(world.positions(of: 1) != position)
        world.revive(1, second)
        try world.run(for: .seconds(10))
        #expect(!world.core(1, first).isOpen && world.core(1, second).isOpen)
        world.leave(1, first, within: nil)
        world.kill(1, second)
        try world.run(for: .seconds(10))
        #expect(world.core(1, first).isOpen)
    }

    @Test("a cluster's only publisher leaves all the same, and says that it publishes on")
    func onlyPublisher() throws {
        world.leave(1, "a", within: .seconds(60))
        for _ in 0..<15 {
            try world.run(for: .seconds(1))
            world.stepDeparture(1, "a", connections: 0)
        }
        #expect(world.node(1, "a").departure.phase == .left)
        #expect(world.core(1, "a").isOpen)
        let said = world.core(1, "a").departure.burden.sentences
        #expect(
            said.count == 1 && said[0].contains("publishes for its cluster until it is stopped"))
    }

    @Test("the last nodes of a cluster stay its relays")
    func everybodyLeaves() throws {
        let world = try World(clusters: 2, nodesPerCluster: 2, seeds: ["a", "b"])
        try world.run(for: .seconds(10))
        for name in ["a", "b"] { world.leave(1, name, within: .seconds(60)) }
        try world.run(for: .seconds(10))
        #expect(!world.relays(of: 1, seenBy: 2).isEmpty)
        #expect(world.alarms == [])
    }
}
