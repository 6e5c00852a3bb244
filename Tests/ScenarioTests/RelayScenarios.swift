// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability
import Testing

@testable import MeshAgent

@Suite("Relays that die, return and move, from the outside")
struct RelayScenarios {
    private static let names = ["a", "b", "c", "d", "e"]

    private let world: World
    /// Of cluster 1, in the order in which it announced them.
    private let first: [String]

    /// Two clusters of five nodes; other clusters know a cluster's first two nodes by configuration.
    init() throws {
        world = try World(clusters: 2, nodesPerCluster: 5, seeds: ["a", "b"])
        try world.run(for: .seconds(10))
        first = world.relays(of: 1, seenBy: 1)
    }

    /// A relay that neither publishes nor is known by configuration.
    private func victim() throws -> String {
        try #require(world.relays(of: 1, seenBy: 1).first { !["a", "b"].contains($0) })
    }

    private func expectAgreement(on relays: [String]) {
        for (number, name) in world.everyNode where world.node(number, name).agent != nil {
            #expect(world.relays(of: 1, seenBy: number, name) == relays, "\(number)/\(name)")
        }
    }

    @Test("a cluster announces its relays once everybody is there; both sides pair them alike")
    func bootstrap() {
        #expect(first.count == 3)
        expectAgreement(on: first)
        for number in UInt16(1)...2 {
            #expect(world.generation(of: number, seenBy: 3 - number) == 1)
        }
        let there = world.relays(of: 2, seenBy: 1)
        #expect(world.paths(1, 2) == Set(zip(first, there).map { "\($0)-\($1)" }))
        #expect(world.alarms == [])
    }

    @Test("a dead relay is replaced, the cluster is never suspect, and it waits when it returns")
    func replacement() throws {
        let dead = try victim()
        world.kill(1, dead)
        try world.run(for: .seconds(4))
        let relays = world.relays(of: 1, seenBy: 2)
        let successor = try #require(relays.first { !first.contains($0) })
        #expect(relays == first.map { $0 == dead ? successor : $0 }, "the others keep their places")
        expectAgreement(on: relays)
        #expect(world.generation(of: 1, seenBy: 2, "c") == 2)
        let pairs = Set(zip(relays, world.relays(of: 2, seenBy: 1)).map { "\($0)-\($1)" })
        #expect(world.paths(1, 2) == pairs)

        world.revive(1, dead)
        try world.run(for: .seconds(60)) {
            #expect(!world.relays(of: 1, seenBy: 2).contains(dead), "it has to live for a minute")
        }
        #expect(world.core(1, dead).isRelay == false)
        try world.run(for: .seconds(10))
        #expect(world.relays(of: 1, seenBy: 2).contains(dead) == first.contains(dead))
        #expect(world.generation(of: 1, seenBy: 2) == 3)
        #expect(world.paths(1, 2).count == 3)
        #expect(world.alarms == [])
    }

    @Test(
        "one relay dies after the other, and nobody outside takes the cluster for anything but up")
    func succession() throws {
        let one = try victim()
        world.kill(1, one)
        try world.run(for: .seconds(5))
        let other = try victim()
        world.kill(1, other)
        try world.run(for: .seconds(5))
        let relays = world.relays(of: 1, seenBy: 2)
        #expect(relays.count == 3)
        #expect(!relays.contains(one) && !relays.contains(other))
        expectAgreement(on: relays)
        #expect(world.generation(of: 1, seenBy: 2) == 3)
        #expect(world.paths(1, 2).count == 3)
        #expect(world.alarms == [])
    }

    @Test(
        "a side that learns late of the other's relays is late, not wrong: the old paths are kept",
        arguments: [UInt16(1), 2])
    func lateness(changing: UInt16) throws {
        let other = 3 - changing
        let before = world.relays(of: changing, seenBy: other)
        let dead = try #require(before.first { $0 != "a" })
        world.kill(changing, dead)
        world.streams = .standing
        try world.run(for: .seconds(20))
        #expect(world.relays(of: changing, seenBy: other) == before)
        #expect(world.relays(of: changing, seenBy: changing) != before)
        #expect(world.alarms == [])
        world.streams = .flowing
        try world.run(for: .seconds(10))
        #expect(world.relays(of: changing, seenBy: other) != before)
        #expect(world.paths(1, 2).count == 3)
        #expect(world.alarms == [])
    }

    @Test("a set that heartbeats tell of and no stream brought is fetched")
    func fetching() throws {
        let dead = try victim()
        world.streams = .losing
        world.kill(1, dead)
        try world.run(for: .milliseconds(1600))
        #expect(world.relays(of: 1, seenBy: 1) != first)
        world.streams = .flowing
        #expect(world.relays(of: 1, seenBy: 2) == first)
        try world.run(for: .seconds(3))
        #expect(world.relays(of: 1, seenBy: 2) == world.relays(of: 1, seenBy: 1))
    }

    @Test("when all its relays die at once the cluster is away, and comes back by others that dial")
    func allAtOnce() throws {
        // Those of cluster 2, which cluster 1 dials and not the other way round.
        let seeds = ["b", "c", "e"]
        let world = try World(clusters: 2, nodesPerCluster: 5, seeds: seeds)
        try world.run(for: .seconds(10))
        #expect(Set(world.relays(of: 2, seenBy: 1)) == Set(seeds))
        for name in seeds { world.kill(2, name) }
        try world.run(for: .seconds(3))
        #expect(world.health(1, "a").verdict(of: cluster(2)) == .unreachable)
        try world.run(for: .seconds(17))
        #expect(Set(world.relays(of: 2, seenBy: 1)) == ["a", "d"])
        world.attach(2, "a", "late", "10.2.0.9")
        try world.run(for: Acknowledgement.patience + .milliseconds(500))
        #expect(world.endpoints(1).contains("10.2.0.9"))
        #expect(!world.core(2, "a").acknowledgement.isAlone, "the new relay owes receipts")
        #expect(world.paths(1, 2).count == 3)
        #expect(world.health(1, "a").verdict(of: cluster(2)) == .probation)
    }

    @Test("the publisher's own death leaves the set as it is until another one publishes")
    func publisherDies() throws {
        let world = try World(clusters: 2, nodesPerCluster: 5, candidates: 2, seeds: Self.names)
        try world.run(for: .seconds(15))
        let publisher = try #require(world.core(1, "a").publisherNode)
        let relays = world.relays(of: 1, seenBy: 2)
        let generation = world.generation(of: 1, seenBy: 2)
        world.kill(1, publisher)
        try world.run(for: .seconds(2))
        #expect(world.relays(of: 1, seenBy: 2) == relays)
        try world.run(for: .seconds(15))
        let now = world.relays(of: 1, seenBy: 2)
        #expect(!now.contains(publisher))
        #expect(now.filter(relays.contains) == relays.filter { $0 != publisher })
        let isRelay = relays.contains(publisher)
        #expect(world.generation(of: 1, seenBy: 2) == generation + (isRelay ? 1 : 0))
        #expect(world.alarms == [])
    }

    @Test("without any word of a cluster about its relays the configured ones are gone by")
    func fallback() throws {
        let world = try World(clusters: 2, nodesPerCluster: 5, seeds: Self.names)
        world.kill(1, "e")
        try world.run(for: .seconds(4))
        let ranked = RelayChoice.relays(
            among: Self.names.map { RelayCandidate(name: $0, zone: "") },
            of: cluster(1))
        #expect(world.generation(of: 1, seenBy: 1) == 0)
        #expect(world.relays(of: 1, seenBy: 1) == ranked)
        #expect(world.relays(of: 1, seenBy: 2) == ranked.filter { $0 != "e" })
        try world.run(for: .seconds(4))
        #expect(world.generation(of: 1, seenBy: 1) == 1, "it won't wait for ever")
        #expect(!world.relays(of: 1, seenBy: 2).contains("e"))
    }
}
