// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshStore
import Testing

@testable import MeshAgent

@Suite("Nodes that the API server has")
struct NodeScenarios {
    /// Two clusters of three nodes that know of each other from their API servers alone; an endpoint on
    /// the last one of the first cluster.
    private static func world(_ names: [String] = ["a", "b", "c"]) throws -> World {
        let world = try World(
            clusters: 2, nodesPerCluster: 3, seeds: ["a"], hasServers: true, listsNodes: false)
        world.serveNodes(1, names)
        world.serveNodes(2, ["a", "b", "c"])
        world.attach(1, "c", "echo", "10.1.2.1")
        try world.run(for: .seconds(6))
        return world
    }

    private static func members(_ world: World, _ number: UInt16, _ name: String) -> [String] {
        world.core(number, name).members.map(\.name)
    }

    /// Nodes that have the first cluster's endpoint.
    private static func knowing(_ world: World) -> Int {
        world.everyNode.count {
            World.id($0.number, $0.name) != World.id(1, "c")
                && world.nodes[World.id($0.number, $0.name)]?.agent != nil
                && world.endpoints($0.number, $0.name).contains("10.1.2.1")
        }
    }

    @Test("find each other there, ask once, and hear the rest from the publisher")
    func discovery() throws {
        let world = try Self.world()
        for (number, name) in world.everyNode {
            #expect(Self.members(world, number, name) == ["a", "b", "c"])
        }
        #expect(world.areLinked(World.id(1, "b"), World.id(1, "c")))
        #expect(Self.knowing(world) == 5)
        #expect(world.servers[1]?.searches == ["a": 1, "b": 1, "c": 1])
        #expect(world.servers[1]?.lists == ["a": 1])
        #expect(Set(world.core(1, "b").configuredRelays) == ["a", "b", "c"])
    }

    @Test("are dialled when they appear, and forgotten when they are gone and dead")
    func comeAndGo() throws {
        let world = try Self.world(["a", "b"])
        #expect(Self.members(world, 1, "b") == ["a", "b"])
        world.serveNodes(1, ["a", "b", "c"])
        try world.run(for: .milliseconds(500))
        for name in ["a", "b", "c"] { #expect(Self.members(world, 1, name) == ["a", "b", "c"]) }

        world.kill(1, "c")
        try world.run(for: .seconds(5))
        #expect(Self.knowing(world) == 5)
        world.serveNodes(1, ["a", "b"])
        try world.run(for: .seconds(2))
        #expect(Self.knowing(world) == 0)
        world.serveNodes(1, ["a", "b", "c"])
        world.revive(1, "c")
        try world.run(for: .seconds(3))
        #expect(Self.knowing(world) == 5)
    }

    @Test("stay members while the server is away, whoever restarts meanwhile")
    func serverAway() throws {
        let world = try Self.world()
        world.servers[1]?.isDown = true
        for name in ["b", "a", "c"] {
            world.kill(1, name)
            try world.run(for: .seconds(1))
            world.revive(1, name)
            try world.run(for: .seconds(8))
            for name in ["a", "b", "c"] {
                #expect(Self.members(world, 1, name) == ["a", "b", "c"])
            }
            #expect(Self.knowing(world) == 5)
        }
    }

    @Test("that were deleted while nobody published are waited for by no later publisher")
    func deletedUnpublished() throws {
        let world = try Self.world()
        world.kill(1, "c")
        world.kill(1, "a")
        world.serveNodes(1, ["a", "b"])
        try world.run(for: .seconds(2))
        world.revive(1, "a")
        try world.run(for: .seconds(10))
        #expect(Self.members(world, 1, "b") == ["a", "b"])
        #expect(Self.knowing(world) == 0)
    }

    @Test("a publisher that lost everything takes nobody's endpoints away")
    func emptyPublisher() throws {
        let world = try Self.world()
        world.servers[1]?.isDown = true
        world.kill(1, "a")
        world.loseLedgers(1, "a")
        try world.run(for: .seconds(1))
        world.revive(1, "a")
        // The others still dial it; it learns from them who belongs.
        try world.run(for: .seconds(20)) {
            #expect(world.endpoints(1, "b").contains("10.1.2.1"))
            #expect(world.endpoints(2, "b").contains("10.1.2.1"))
        }
        #expect(Self.members(world, 1, "a") == ["a", "b", "c"])
    }

    @Test("stand beside configured ones, whose addresses are the configuration's")
    func mixed() throws {
        let world = try World(clusters: 1, nodesPerCluster: 3, hasServers: true)
        let b = world.node(1, "b").configuration.underlay
        world.serve(
            1,
            nodes: [
                MemberRecord(name: "a", addresses: [Address("192.0.2.77")!], zone: ""),
                MemberRecord(name: "elsewhere", addresses: [b], zone: ""),
                MemberRecord(
                    name: "x", addresses: [Address("fd00::99")!, Address("192.0.2.99")!], zone: ""),
                MemberRecord(name: "y", addresses: [Address("fd00::98")!], zone: ""),
            ])
        try world.run(for: .seconds(4))
        for name in ["a", "b", "c"] {
            let members = world.core(1, name).members
            #expect(members.map(\.name) == ["a", "b", "c", "x"])
            #expect(members[0].address == world.node(1, "a").configuration.underlay)
            #expect(members[3].address == Address("192.0.2.99"))
        }
        // What isn't configured goes with its object; what is stays.
        world.serve(1, nodes: [])
        try world.run(for: .seconds(2))
        #expect(Self.members(world, 1, "c") == ["a", "b", "c"])
        #expect(world.servers[1]?.searches == [:])
    }

    @Test("no node can name members: only the API server does")
    func forged() throws {
        let world = try Self.world()
        let record = MemberRecord(name: "evil", addresses: [Address("192.0.2.66")!], zone: "")
        world.act(World.id(1, "b")) { core, effects in
            core.trustRecords[record.key] = record.encoded
            _ = effects
        }
        world.speak(World.id(1, "b"))
        try world.run(for: .seconds(2))
        world.kill(1, "a")
        try world.run(for: .seconds(2))
        for name in ["b", "c"] { #expect(Self.members(world, 1, name) == ["a", "b", "c"]) }
    }
}
