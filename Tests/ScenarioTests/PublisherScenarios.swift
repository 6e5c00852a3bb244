// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability
import MeshReplication
import MeshStore
import Testing

@testable import MeshAgent

@Suite("Nodes without a publisher, and links that come and go")
struct PublisherScenarios {
    private let world: World

    init() throws {
        world = try World()
        try world.write(1, service() + slice(at("10.1.0.1")))
        try world.write(1, service("other", ip: "10.96.0.2"), to: "b.yaml", on: "b")
        world.attach(1, "a", "pa", "10.1.0.5")
        world.attach(1, "b", "pb", "10.1.1.5")
        try world.run(for: .seconds(2))
    }

    /// Cluster 1 with a third node, so that two are left without a publisher.
    private static func threeNodes() throws -> World {
        let world = try World(clusters: 2, nodesPerCluster: 3)
        for (index, name) in ["a", "b", "c"].enumerated() {
            world.attach(1, name, "p\(name)", "10.1.\(index).5")
        }
        try world.write(1, service() + slice(at("10.1.1.1", node: "b")), to: "b.yaml", on: "b")
        try world.run(for: .seconds(2))
        return world
    }

    @Test("news reach the cluster's other nodes within a second of the publisher's silence")
    func newsWithoutPublisher() throws {
        let world = try Self.threeNodes()
        world.kill(1, "a")
        try world.run(for: .milliseconds(100))
        world.attach(1, "c", "new", "10.1.2.9", labels: ["app": "new"])
        try world.write(
            1,
            service("new", ip: "10.96.0.9")
                + slice(name: "new-1", of: "new", at("10.1.2.9", node: "c")), to: "new.yaml",
            on: "c")
        // Its own endpoint is there at once.
        try world.run(for: .milliseconds(20))
        #expect(world.endpoints(1, "c").contains("10.1.2.9"))
        try world.run(for: .milliseconds(1200))
        #expect(world.endpoints(1, "b") == ["10.1.0.5", "10.1.1.5", "10.1.2.5", "10.1.2.9"])
        for name in ["b", "c"] {
            #expect(!world.core(1, name).publisherAnswers)
            #expect(world.frontend(1, name, "10.96.0.9") == ["0.1*255 10.1.2.9:8080@c"])
            #expect(world.frontend(1, name) == ["0.1*255 10.1.1.1:8080@b"])
        }
        #expect(world.row(1, "b", "10.1.2.9")?.identity.reserved == .initializing)
        // Other clusters wait for the ledger.
        #expect(!world.endpoints(2, "b").contains("10.1.2.9"))
        #expect(world.frontend(1, "b", "10.96.0.9") != nil)
    }

    @Test("what was said meanwhile is in the ledger when the publisher returns; nothing blinks")
    func publisherReturns() throws {
        let world = try Self.threeNodes()
        let epoch = world.positions(of: 1).first?.epoch
        world.kill(1, "a")
        world.attach(1, "c", "new", "10.1.2.9", labels: ["app": "new"])
        world.detach(1, "b", "pb")
        try world.write(1, service() + slice(at("10.1.1.2", node: "b")), to: "b.yaml", on: "b")
        try world.run(for: .seconds(2))
        let own: Set = ["10.1.0.5", "10.1.2.5", "10.1.2.9"]
        #expect(world.endpoints(1, "b") == own)

        world.revive(1, "a")
        try world.run(for: .seconds(4)) {
            // Nothing is lost and nothing comes back, at no moment.
            for name in ["b", "c"] {
                #expect(world.endpoints(1, name) == own)
                #expect(world.frontend(1, name) == ["0.1*255 10.1.1.2:8080@b"])
            }
            // Other clusters never lose what stayed.
            #expect(world.endpoints(2, "c").isSuperset(of: ["10.1.0.5", "10.1.2.5"]))
        }
        for (number, name) in world.everyNode {
            #expect(world.core(number, name).publisherAnswers)
            #expect(world.endpoints(number, name) == own, "\(number)/\(name)")
        }
        #expect(world.positions(of: 1).count == 1)
        #expect(world.positions(of: 1).first?.epoch == epoch.map { $0 + 1 })
        #expect(world.row(2, "a", "10.1.2.9")?.identity.local == 1280, "of its own block")
        #expect(world.row(2, "a", "10.1.2.5")?.identity.local == 256, "known labels, known number")
        #expect(world.row(1, "c", "10.1.2.9")?.identity.local == 1280)
    }

    @Test("the whole cluster restarts while others hold its ledger: numbers stay, nothing blinks")
    func clusterRestarts() throws {
        // Numbers in another order than a new publisher would give them.
        world.attach(1, "b", "pc", "10.1.1.6", labels: ["app": "c"])
        try world.run(for: .milliseconds(200))
        world.attach(1, "a", "pd", "10.1.0.6", labels: ["app": "d"])
        try world.run(for: .milliseconds(200))
        let all = ["10.1.0.5", "10.1.1.5", "10.1.1.6", "10.1.0.6"]
        func numbers() -> [UInt32?] { all.map { world.row(3, "b", $0)?.identity.local } }
        #expect(numbers() == [256, 256, 257, 258])

        world.kill(1, "a")
        world.kill(1, "b")
        try world.run(for: .seconds(1))
        world.revive(1, "b")
        try world.run(for: .milliseconds(300))
        world.revive(1, "a")
        try world.run(for: .seconds(4)) {
            for number in UInt16(2)...3 { #expect(world.endpoints(number, "b") == Set(all)) }
        }
        #expect(numbers() == [256, 256, 257, 258])
        #expect(world.positions(of: 1).first?.epoch == 2)
    }

    @Test(
        "a publisher whose links come up late takes nothing away from those that hold its ledger",
        arguments: [Duration.seconds(1), .seconds(4)])
    func lateLinks(delay: Duration) throws {
        world.kill(1, "a")
        world.isolate(1, "a", true)
        world.revive(1, "a")
        try world.run(for: delay)
        // Alone, it serves its own endpoints and services all the same.
        #expect(world.endpoints(1, "a").contains("10.1.0.5"))
        #expect(world.frontend(1, "a") == ["0.1*255 10.1.0.1:8080@a"])
        // Its own node b, whose endpoint nobody else can report, comes last.
        for (number, name) in world.everyNode where number != 1 {
            world.mend(World.id(1, "a"), World.id(number, name))
        }
        for _ in 1...2 {
            try world.run(for: .seconds(2)) {
                for number in UInt16(2)...3 {
                    #expect(world.endpoints(number, "b") == ["10.1.0.5", "10.1.1.5"])
                }
            }
            world.isolate(1, "a", false)
        }
        #expect(world.positions(of: 1).first?.epoch == 2)
        #expect(world.positions(of: 1).count == 1)
    }

    @Test(
        "a publisher that nobody answers opens on what its disk holds, or in the end without")
    func nobodyAnswers() throws {
        world.kill(1, "a")
        world.isolate(1, "a", true)
        world.revive(1, "a")
        try world.run(for: .seconds(2))
        #expect(world.core(1, "a").synchroniser.head(of: cluster(1))?.position.epoch == 2)
        #expect(world.core(1, "a").publisherAnswers)
        world.kill(1, "a")
        world.loseLedgers(1, "a")
        world.revive(1, "a")
        try world.run(for: StateCore.lonelyOpeningWait)
        #expect(world.core(1, "a").synchroniser.head(of: cluster(1))?.position == .origin)
        try world.run(for: .seconds(2))
        #expect(world.core(1, "a").synchroniser.head(of: cluster(1))?.position.epoch == 3)
        #expect(world.core(1, "a").publisherAnswers)
    }

    @Test("a publisher that lost its disk opens an epoch above every one that others know")
    func lostDisk() throws {
        for epoch in UInt32(2)...3 {
            world.kill(1, "a")
            world.loseDisk(1, "a")
            world.revive(1, "a")
            try world.run(for: .seconds(3))
            #expect(world.positions(of: 1).map(\.epoch) == [epoch])
        }
        #expect(world.core(2, "b").frozen.isEmpty)
    }

    @Test("the beginning of a report takes nothing away, with a publisher or without")
    func halfReport() throws {
        let world = try Self.threeNodes()
        for name in ["a", "b", "c"] { world.kill(1, name) }
        try world.run(for: .seconds(1))
        world.revive(1, "b")
        world.revive(1, "c", speakingAfter: .seconds(8))
        try world.run(for: .seconds(2))
        #expect(!world.core(1, "b").publisherAnswers)
        let beginning = Message.report(.init(opens: true, closes: false, puts: [], deletes: []))
        world.forge(beginning, from: World.id(1, "c"), to: World.id(1, "b"))
        try world.run(for: .seconds(1)) {
            #expect(world.endpoints(1, "b").contains("10.1.2.5"))
        }
        world.revive(1, "a")
        try world.run(for: .milliseconds(50))
        world.forge(beginning, from: World.id(1, "c"), to: World.id(1, "a"))
        try world.run(for: .seconds(6)) {
            #expect(world.endpoints(2, "a").contains("10.1.2.5"))
        }
    }

    @Test("what a node no longer says when it restarts goes, and only that")
    func nodeRestartsWithLess() throws {
        world.kill(1, "b")
        world.detach(1, "b", "pb")
        world.attach(1, "b", "pc", "10.1.1.6")
        try world.run(for: .milliseconds(200))
        world.revive(1, "b")
        try world.run(for: .seconds(1)) {
            #expect(world.endpoints(3, "a").contains("10.1.0.5"))
        }
        for (number, name) in world.everyNode {
            #expect(world.endpoints(number, name) == ["10.1.0.5", "10.1.1.6"])
        }
        #expect(world.frontend(1, "a", "10.96.0.2") != nil, "b's folder still says it")
    }

    @Test(
        "a node that restarts is missed by nobody, however long it takes to read its folder",
        arguments: [Duration.zero, .milliseconds(50), .seconds(2)])
    func nodeRestarts(delay: Duration) throws {
        world.kill(1, "b")
        try world.run(for: .milliseconds(300))
        world.revive(1, "b", speakingAfter: delay)
        try world.run(for: .seconds(3)) {
            for number in UInt16(1)...3 {
                #expect(world.endpoints(number, "a").contains("10.1.1.5"))
                #expect(world.endpoints(number, "a").contains("10.1.0.5"))
            }
            #expect(world.frontend(1, "a", "10.96.0.2") != nil)
        }
    }

    @Test("a link that flaps costs nothing: what changed meanwhile arrives, what didn't stays")
    func flap() throws {
        let (left, right) = (World.id(1, "a"), World.id(1, "b"))
        for round in 1...5 {
            world.sever(left, right)
            world.attach(1, "b", "late\(round)", "10.1.1.\(100 + round)")
            try world.run(for: .milliseconds(250))
            world.mend(left, right)
            try world.run(for: .milliseconds(250)) {
                #expect(world.endpoints(2, "a").isSuperset(of: ["10.1.0.5", "10.1.1.5"]))
            }
            #expect(world.endpoints(2, "a").contains("10.1.1.\(100 + round)"))
        }
        #expect(world.positions(of: 1).count == 1)
        #expect(world.positions(of: 1).first?.epoch == 1)
        // 250 ms are no silence.
        #expect(world.core(1, "b").publisherAnswers)
    }

    @Test("a node cut off from the publisher for long goes by reports and comes back unharmed")
    func cutOff() throws {
        let world = try Self.threeNodes()
        world.sever(World.id(1, "a"), World.id(1, "b"))
        try world.run(for: .seconds(2))
        #expect(!world.core(1, "b").publisherAnswers)
        #expect(world.core(1, "c").publisherAnswers)
        world.attach(1, "c", "new", "10.1.2.9")
        world.attach(1, "b", "own", "10.1.1.9")
        try world.run(for: .milliseconds(500))
        let all: Set = ["10.1.0.5", "10.1.1.5", "10.1.2.5", "10.1.2.9", "10.1.1.9"]
        #expect(world.endpoints(1, "b") == all)
        world.mend(World.id(1, "a"), World.id(1, "b"))
        try world.run(for: .seconds(2)) {
            #expect(world.endpoints(1, "b") == all)
        }
        #expect(world.core(1, "b").publisherAnswers)
        #expect(world.endpoints(2, "c") == all)
        #expect(world.positions(of: 1).count == 1)
    }

    @Test(
        "a publisher that restarts takes nothing back before it has read its own folder",
        arguments: [Duration.zero, .milliseconds(50), .seconds(3)])
    func publisherRestarts(delay: Duration) throws {
        world.kill(1, "a")
        world.detach(1, "a", "pa")
        world.attach(1, "a", "pc", "10.1.0.6")
        world.revive(1, "a", speakingAfter: delay)
        try world.run(for: .seconds(5)) {
            for number in UInt16(1)...3 {
                #expect(world.endpoints(number, "b").contains("10.1.1.5"))
                #expect(world.frontend(1, "b") == ["0.1*255 10.1.0.1:8080@a"])
            }
        }
        for (number, name) in world.everyNode {
            #expect(world.endpoints(number, name) == ["10.1.1.5", "10.1.0.6"])
        }
    }

    @Test(
        "a lone publisher that restarts with less takes back what it no longer says",
        arguments: [Duration.zero, .seconds(2)])
    func lonePublisher(delay: Duration) throws {
        let world = try World(clusters: 2, nodesPerCluster: 1)
        try world.write(1, service() + slice(at("10.1.0.1")))
        world.attach(1, "a", "stays", "10.1.0.5")
        world.attach(1, "a", "goes", "10.1.0.6", labels: ["app": "goes"])
        try world.run(for: .seconds(2))
        #expect(world.endpoints(2) == ["10.1.0.5", "10.1.0.6"])
        world.kill(1, "a")
        try world.remove(1)
        world.detach(1, "a", "goes")
        world.revive(1, "a", speakingAfter: delay)
        try world.run(for: .seconds(4)) {
            #expect(world.endpoints(2).contains("10.1.0.5"))
        }
        try world.run(for: Publisher.idleGrace)
        for number in UInt16(1)...2 {
            #expect(world.endpoints(number) == ["10.1.0.5"])
            #expect(world.core(number, "a").store.read { $0.identities.count } == 1)
        }
        #expect(world.core(2, "a").synchroniser.entries(of: cluster(1)).count == 4)
    }

    @Test("a cluster alone with itself publishes all the same, and again after a restart")
    func alone() throws {
        let world = try World(clusters: 1, nodesPerCluster: 1)
        try world.write(1, service() + slice(at("10.1.0.1")))
        world.attach(1, "a", "p", "10.1.0.5")
        try world.run(for: .seconds(2))
        #expect(world.core(1, "a").isComplete)
        #expect(world.row(1, "a", "10.1.0.5")?.identity.local == 256)
        world.kill(1, "a")
        world.revive(1, "a")
        try world.run(for: .seconds(2)) {
            #expect(world.frontend(1) == ["0.1*255 10.1.0.1:8080@a"])
        }
        #expect(world.positions(of: 1) == [Position(epoch: 2, revision: 1)])
    }

    @Test("two nodes whose manifests differ: the first to say it is in force, and it is shown")
    func conflict() throws {
        try world.write(1, service(ip: "10.96.0.77"), to: "c.yaml", on: "b")
        try world.run(for: .milliseconds(300))
        for (number, name) in world.everyNode where number == 1 {
            #expect(world.frontend(1, name) != nil)
            #expect(world.frontend(1, name, "10.96.0.77") == nil)
        }
        #expect(world.core(1, "a").reportConflicts.count == 1)
        try world.remove(1)
        try world.run(for: .milliseconds(300))
        #expect(world.frontend(1, "a", "10.96.0.77") != nil)
        #expect(world.core(1, "a").reportConflicts.isEmpty)
    }

    @Test("a wish to drain reaches every node of the cluster, survives restarts, and is taken back")
    func drain() throws {
        world.drain(1, "b", true, generation: 5)
        try world.run(for: .milliseconds(100))
        #expect(world.core(1, "a").drain.isDraining)
        #expect(!world.core(2, "a").drain.isDraining)
        world.kill(1, "a")
        world.revive(1, "a")
        try world.run(for: .milliseconds(100))
        #expect(world.core(1, "a").drain.isDraining)
        // A clock that is behind still counts on.
        world.drain(1, "a", false, generation: 1)
        try world.run(for: .milliseconds(100))
        #expect(!world.core(1, "b").drain.isDraining)
    }

    @Test("a node that says a drain with the highest generation has not the last word")
    func madClock() throws {
        for generation: UInt64 in [.max, .max - 1] {
            world.forge(
                .drain(.init(isDraining: true, generation: generation)),
                from: World.id(1, "b"), to: World.id(1, "a"))
            try world.run(for: .milliseconds(100))
            world.drain(1, "a", false, generation: 1)
            try world.run(for: .milliseconds(100))
        }
        #expect(world.core(1, "a").drain.generation < .max)
    }
}
