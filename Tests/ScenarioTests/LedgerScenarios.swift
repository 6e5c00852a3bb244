// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReplication
import MeshStore
import Testing

@testable import MeshAgent

@Suite("Ledgers that outlive agents, publishers and partitions")
struct LedgerScenarios {
    /// Clusters of three nodes, of which two may publish.
    private static func leased() throws -> World {
        let world = try World(clusters: 2, nodesPerCluster: 3, candidates: 2)
        for (index, name) in ["a", "b", "c"].enumerated() {
            world.attach(1, name, "p\(name)", "10.1.\(index).5")
        }
        try world.write(1, service() + slice(at("10.1.1.1", node: "b")), to: "b.yaml", on: "b")
        try world.run(for: .seconds(6))
        return world
    }

    private static func publishers(_ world: World, _ number: UInt16) -> [String] {
        world.everyNode.filter { $0.number == number }.map(\.name).filter {
            world.node(number, $0).agent?.core.isOpen == true
        }
    }

    @Test("a leased publisher dies: another one publishes within four seconds, numbers stay")
    func failover() throws {
        let world = try Self.leased()
        let first = try #require(Self.publishers(world, 1).first)
        #expect(Self.publishers(world, 1).count == 1)
        let number = world.row(2, "a", "10.1.2.5")?.identity
        #expect(number?.local == 256)
        world.kill(1, first)
        world.attach(1, "c", "new", "10.1.2.9", labels: ["app": "new"])
        try world.run(for: .seconds(4)) {
            #expect(world.endpoints(2, "c").isSuperset(of: ["10.1.2.5"]))
        }
        let second = try #require(Self.publishers(world, 1).first)
        #expect(second != first && Self.publishers(world, 1).count == 1)
        try world.run(for: .seconds(1))
        #expect(world.row(2, "a", "10.1.2.5")?.identity == number)
        let new = try #require(world.row(2, "a", "10.1.2.9")?.identity)
        #expect(new.local >= 256 + 1024, "above what the first publisher had reserved")
        #expect(world.core(1, "c").publisherNode == second && world.core(1, "c").publisherAnswers)
    }

    @Test("a lease store that is gone stops publishing, not the traffic; it goes on afterwards")
    func storeGone() throws {
        let world = try Self.leased()
        world.leases[1]?.isReachable = false
        world.attach(1, "c", "new", "10.1.2.9")
        try world.run(for: .seconds(4))
        #expect(Self.publishers(world, 1).isEmpty)
        #expect(world.endpoints(1, "b").contains("10.1.2.9"), "by the nodes' own reports")
        #expect(world.frontend(2, "c") == nil || world.endpoints(2, "c").contains("10.1.2.5"))
        world.leases[1]?.isReachable = true
        try world.run(for: .seconds(5))
        #expect(Self.publishers(world, 1).count == 1)
        #expect(world.endpoints(2, "c").contains("10.1.2.9"))
        #expect(world.core(2, "c").frozen.isEmpty)
    }

    @Test("two publishers of one epoch freeze their cluster's ledger; the next epoch heals it")
    func twoPublishers() throws {
        let world = try Self.leased()
        let first = try #require(Self.publishers(world, 1).first)
        let other = first == "a" ? "b" : "a"
        // The lease store splits in two, and the network, too: both candidates open epoch 2.
        world.splitLease(1, other)
        world.kill(1, first)
        world.isolate(1, first, true)
        world.revive(1, first)
        try world.run(for: .seconds(15))
        #expect(Self.publishers(world, 1).sorted() == ["a", "b"])
        #expect(world.positions(of: 1).allSatisfy { $0.epoch == 2 })
        world.isolate(1, first, false)
        try world.run(for: .milliseconds(300)) {
            #expect(world.endpoints(2, "c").isSuperset(of: ["10.1.2.5"]))
        }
        #expect(world.everyNode.contains { !world.core($0.number, $0.name).frozen.isEmpty })
        world.uniteLease(1, other)
        try world.run(for: .seconds(10)) {
            #expect(world.endpoints(2, "c").isSuperset(of: ["10.1.2.5"]))
        }
        #expect(Self.publishers(world, 1).count == 1)
        #expect(world.positions(of: 1).count == 1)
        for (number, name) in world.everyNode {
            #expect(world.core(number, name).frozen.isEmpty, "\(number)/\(name)")
            #expect(world.endpoints(number, name).count == 3, "\(number)/\(name)")
        }
    }

    @Test("a publisher that forgot its later epochs opens the next one once it hears of them")
    func forgottenEpochs() throws {
        let world = try World()
        world.attach(1, "a", "pa", "10.1.0.5")
        try world.run(for: .seconds(3))
        world.kill(1, "a")
        world.revive(1, "a")
        try world.run(for: .seconds(4))
        #expect(world.positions(of: 1).map(\.epoch) == [2])
        world.kill(1, "a")
        world.loseDisk(1, "a")
        world.isolate(1, "a", true)
        world.revive(1, "a")
        try world.run(for: StateCore.lonelyOpeningWait + .seconds(2))
        #expect(world.core(1, "a").synchroniser.publishedEpoch == 1, "nobody told it better")
        world.isolate(1, "a", false)
        world.attach(1, "a", "new", "10.1.0.6")
        try world.run(for: .seconds(6))
        #expect(world.positions(of: 1).map(\.epoch) == [3])
        #expect(world.endpoints(2, "b").isSuperset(of: ["10.1.0.5", "10.1.0.6"]))
    }

    @Test("an agent that restarts with no link has the last good picture at once")
    func darkRestart() throws {
        let world = try World()
        try world.write(1, service() + slice(at("10.1.0.1")))
        try world.write(2, service() + slice(at("10.2.0.1")))
        world.attach(1, "b", "pb", "10.1.1.5")
        try world.run(for: .seconds(3))
        let picture = try #require(world.frontend(2, "b"))
        let position = world.core(2, "b").synchroniser.head(of: cluster(1))?.position
        world.kill(2, "b")
        world.isolate(2, "b", true)
        world.revive(2, "b", speakingAfter: .seconds(60))
        try world.run(for: .milliseconds(100))
        let core = world.core(2, "b")
        #expect(core.synchroniser.head(of: cluster(1))?.position == position)
        #expect(world.row(2, "b", "10.1.1.5") != nil)
        #expect(core.store.read { $0.frontends.count } == 1)
        try world.run(for: .seconds(8)) {
            #expect(world.frontend(2, "b") == picture)
            #expect(world.endpoints(2, "b").contains("10.1.1.5"))
        }
    }

    @Test("ages add up over the hops and grow when the owner is silent")
    func ages() throws {
        let world = try World()
        world.attach(1, "a", "pa", "10.1.0.5")
        try world.run(for: .seconds(4))
        func age(_ number: UInt16, _ name: String) throws -> Duration {
            try #require(
                world.core(number, name).synchroniser.age(of: cluster(1), at: world.now))
        }
        #expect(try age(1, "a") == .zero)
        #expect(try age(2, "b") < .seconds(3))
        world.kill(1, "a")
        world.kill(1, "b")
        try world.run(for: .seconds(10))
        #expect(try age(2, "b") >= .seconds(10) && age(2, "b") < .seconds(13))
        #expect(try age(3, "b") >= .seconds(10))
    }

    @Test("a cluster that imports only what it needs widens its interest with its own services")
    func interest() throws {
        let world = try World(clusters: 2, imports: .needed)
        try world.write(1, service() + slice(at("10.1.0.1")))
        world.attach(1, "a", "pa", "10.1.0.5")
        try world.run(for: .seconds(4))
        let entries = world.core(2, "b").synchroniser.entries(of: cluster(1))
        #expect(!entries.contains { $0.key.hasPrefix("service/") || $0.key.hasPrefix("slice/") })
        #expect(world.endpoints(2, "b") == ["10.1.0.5"])
        #expect(world.positions(of: 1).count == 1, "headers are followed all the same")
        try world.write(2, service())
        try world.run(for: .seconds(4))
        #expect(world.frontend(2, "b") == ["0.1*255 10.1.0.1:8080@a"])
    }

    @Test("a restarted node holds an endpoint back only until its tables are complete")
    func heldEndpoint() throws {
        let world = try World(clusters: 1)
        try world.run(for: .seconds(2))
        world.kill(1, "b")
        world.kill(1, "a")
        // Made while nobody could give it an identity, on a node that knows no ledger any more.
        world.attach(1, "b", "pb", "10.1.1.5")
        world.loseLedgers(1, "b")
        world.revive(1, "b")
        try world.run(for: .seconds(1))
        #expect(!world.endpoints(1, "b").contains("10.1.1.5"), "held, for its identity may come")
        try world.run(for: StateCore.completionPatience + .seconds(1))
        #expect(world.endpoints(1, "b").contains("10.1.1.5"))
        #expect(world.row(1, "b", "10.1.1.5")?.identity.reserved == .initializing)
    }
}
