// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes
import MeshModel
import Testing

@testable import MeshAgent

@Suite("Objects of an API server")
struct ObjectScenarios {
    private static let first = service() + slice(at("10.1.0.1"))
    private static let second = service() + slice(at("10.1.1.1", node: "b"))

    /// Two clusters of three nodes; `a` and `b` may publish.
    private static func world(candidates: Int = 1) throws -> World {
        let world = try World(
            clusters: 2, nodesPerCluster: 3, candidates: candidates, hasServers: true)
        try world.serve(1, first)
        try world.serve(2, service() + slice(at("10.2.0.1")))
        try world.run(for: .seconds(6))
        return world
    }

    private static func story(_ own: String, node: String = "a") -> [String] {
        ["0.1*255 \(own):8080@\(node)", "0.2*255 10.2.0.1:8080@a"]
    }

    @Test("reach every node through the publisher, who alone asks for them")
    func throughPublisher() throws {
        let world = try Self.world()
        for (number, name) in world.everyNode {
            #expect(world.frontend(number, name).map(Set.init) == Set(Self.story("10.1.0.1")))
        }
        #expect(world.servers[1]?.lists == ["a": 1] && world.servers[2]?.lists == ["a": 1])
        try world.serve(1, Self.second)
        try world.run(for: .milliseconds(200))
        for name in ["a", "b", "c"] {
            #expect(world.frontend(1, name) == Self.story("10.1.1.1", node: "b"))
        }
        try world.serve(1, "")
        try world.run(for: .milliseconds(200))
        for name in ["a", "b", "c"] { #expect(world.frontend(1, name) == nil) }
        #expect(world.servers[1]?.lists == ["a": 1])
    }

    @Test(
        "stand beside those of folders; of one object in both the server's is in force, and it is told"
    )
    func besideFolders() throws {
        let world = try Self.world()
        try world.write(1, service("local", ip: "10.96.0.7") + Self.second, on: "b")
        try world.run(for: .milliseconds(500))
        for name in ["a", "b", "c"] {
            #expect(world.frontend(1, name) == Self.story("10.1.0.1"))
            #expect(world.frontend(1, name, "10.96.0.7") != nil)
        }
        #expect(
            world.core(1, "a").reportConflicts == [
                "slice/default/echo-1 differs between the API server, whose word is in force, and "
                    + "the folder of b; remove it there"
            ])
        // Gone from the server, it is the folder's.
        try world.serve(1, "")
        try world.run(for: .milliseconds(500))
        #expect(world.frontend(1, "c") == Self.story("10.1.1.1", node: "b"))
    }

    @Test("stay in force while the server is away, whoever restarts meanwhile")
    func serverAway() throws {
        let world = try Self.world()
        world.servers[1]?.isDown = true
        func unchanged() {
            for name in ["a", "b", "c"] where world.nodes[World.id(1, name)]?.agent != nil {
                #expect(world.frontend(1, name) == Self.story("10.1.0.1"))
            }
            #expect(world.frontend(2, "c").map(Set.init) == Set(Self.story("10.1.0.1")))
        }
        try world.run(for: .seconds(10), watching: unchanged)
        world.kill(1, "a")
        try world.run(for: .seconds(8), watching: unchanged)
        world.revive(1, "a")
        try world.run(for: .seconds(12), watching: unchanged)
        world.kill(1, "c")
        world.revive(1, "c")
        try world.run(for: .seconds(10), watching: unchanged)
        // Back, with something else than before.
        try world.serve(1, Self.second)
        world.servers[1]?.isDown = false
        try world.run(for: .seconds(1))
        for name in ["a", "b", "c"] {
            #expect(world.frontend(1, name) == Self.story("10.1.1.1", node: "b"))
        }
    }

    @Test("move to the next publisher without a gap; what the last one knew doesn't come back")
    func nextPublisher() throws {
        let world = try Self.world(candidates: 2)
        let publisher = try #require(world.core(1, "c").publisherNode)
        let next = publisher == "a" ? "b" : "a"
        world.kill(1, publisher)
        try world.serve(1, Self.second)
        try world.run(for: .seconds(20)) {
            for (number, name) in world.everyNode where (number, name) != (1, publisher) {
                #expect(world.frontend(number, name)?.count == 2)
            }
        }
        #expect(world.core(1, "c").publisherNode == next)
        world.revive(1, publisher)
        try world.run(for: .seconds(10)) {
            for name in [next, "c"] {
                #expect(world.frontend(1, name) == Self.story("10.1.1.1", node: "b"))
            }
        }
        #expect(world.frontend(2, "b").map(Set.init) == Set(Self.story("10.1.1.1", node: "b")))
    }

    @Test("are asked for by every node while no publisher answers, and only then")
    func directWatch() throws {
        let world = try Self.world()
        world.kill(1, "a")
        try world.run(for: .seconds(2))
        #expect(world.servers[1]?.lists == ["a": 1], "a short silence moves nobody")
        try world.run(for: .seconds(3))
        #expect(world.servers[1]?.lists == ["a": 1, "b": 1, "c": 1])
        try world.serve(1, Self.second)
        try world.run(for: .milliseconds(100))
        for name in ["b", "c"] {
            #expect(world.frontend(1, name) == Self.story("10.1.1.1", node: "b"))
        }
        // Its ledger is older than what they have: they stay with that until it has caught up.
        world.revive(1, "a")
        try world.run(for: .seconds(10)) {
            for name in ["b", "c"] {
                #expect(world.frontend(1, name) == Self.story("10.1.1.1", node: "b"))
            }
        }
        for name in ["b", "c"] {
            #expect(world.core(1, name).publisherAnswers)
            #expect(!world.core(1, name).wantsObjects(at: world.now))
        }
        #expect(world.servers[1]?.lists == ["a": 2, "b": 1, "c": 1])
    }

    @Test("that are gone stay gone without a publisher, and when it is back")
    func deletedWithoutPublisher() throws {
        let world = try Self.world()
        world.kill(1, "a")
        try world.run(for: .seconds(5))
        try world.serve(1, "")
        try world.run(for: .milliseconds(100))
        for name in ["b", "c"] { #expect(world.frontend(1, name) == nil) }
        world.revive(1, "a")
        try world.run(for: .seconds(10)) {
            for name in ["b", "c"] { #expect(world.frontend(1, name) == nil) }
        }
        #expect(world.core(1, "b").publisherAnswers && world.frontend(2, "a")?.count == 1)
    }
}
