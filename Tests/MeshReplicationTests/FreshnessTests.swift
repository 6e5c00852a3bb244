// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshSimulation
import Testing

@testable import MeshReplication

@Suite("The age of a picture is the time it was held, summed over all hops")
struct FreshnessTests {
    private func at(_ milliseconds: Int) -> Instant { .zero + .milliseconds(milliseconds) }

    @Test("a word about a position that isn't here yet counts once it is")
    func pending() {
        let (one, two) = (Position(epoch: 1, revision: 1), Position(epoch: 1, revision: 2))
        var freshness = Freshness()
        #expect(freshness.age(at: at(0)) == nil)
        freshness.learn(one, age: .zero, at: at(100), holding: one)
        freshness.learn(two, age: .milliseconds(50), at: at(1000), holding: one)
        #expect(freshness.age(at: at(1000)) == .milliseconds(900))
        freshness.reached(two)
        #expect(freshness.age(at: at(1000)) == .milliseconds(50))
        // An older word never makes a picture older.
        freshness.learn(two, age: .seconds(5), at: at(1000), holding: two)
        #expect(freshness.age(at: at(1000)) == .milliseconds(50))
    }

    @Test("a picture may be older than this node's clock")
    func beforeBoot() {
        var freshness = Freshness()
        freshness.learn(.origin, age: .seconds(3600), at: at(1000), holding: .origin)
        #expect(freshness.age(at: at(3000)) == .seconds(3602))
    }

    /// A publisher and nodes behind it in a row.
    private func row(_ nodes: Int) throws -> World {
        var random = SeededGenerator(seed: 21)
        var world = try World(owners: 1, nodes: nodes)
        try world.openLedger(of: world.owners[0], at: 0, epoch: 1)
        for node in 1..<nodes { world.connect(node - 1, node) }
        try world.publish([put("a", "1")], of: world.owners[0], at: 0)
        world.settle(using: &random)
        return world
    }

    @Test("each hop adds what it held, and a link that is gone lets a picture age")
    func hops() throws {
        var random = SeededGenerator(seed: 22)
        var world = try row(3)
        let id = world.owners[0]
        func age(at node: Int) -> Duration? { world.age(of: id, at: node) }
        for second in 1...3 {
            world.tick(at: .zero + .seconds(second))
            world.settle(using: &random)
        }
        #expect(age(at: 0) == .zero)
        #expect(age(at: 1) == .zero)
        // What node 1 said was a tick old, for it spoke before it heard.
        #expect(age(at: 2) == .seconds(1))
        world.disconnect(0, 1)
        for second in 4...60 {
            world.tick(at: .zero + .seconds(second))
            world.settle(using: &random)
        }
        #expect(age(at: 1) == .seconds(57))
        #expect(age(at: 2) == .seconds(57))
    }

    @Test("it is never younger than the truth", arguments: 1...40 as ClosedRange<UInt64>)
    func truth(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var world = try row(4)
        let id = world.owners[0]
        var published: [(Position, Instant)] = []
        var now = Instant.zero
        for _ in 0..<120 {
            now = now + .microseconds(Int.random(in: 1...400_000, using: &random))
            switch Int.random(in: 0..<6, using: &random) {
            case 0:
                world.advance(to: now)
                try world.publish([put("a", "\(now.nanoseconds)")], of: id, at: 0)
                published.append((world.head(of: id, at: 0).position, now))
            case 1: world.disconnect(1, 2)
            case 2: world.connect(1, 2)
            default: world.tick(at: now)
            }
            // Messages take no time here: what is under way isn't in an age.
            world.settle(using: &random)
            for node in 0..<4 {
                let position = world.head(of: id, at: node).position
                guard let age = world.age(of: id, at: node),
                    let outdated = published.first(where: { $0.0 > position })?.1
                else { continue }
                #expect(age >= now - outdated, "seed \(seed), node \(node)")
            }
        }
    }
}

@Suite("An owner that changes too much is taken later, and whole")
struct ChangeRateTests {
    @Test("tokens come back with time, to the burst and no further; one message may overdraw")
    func tokens() {
        var rate = ChangeRate(ChangeRateLimit(perSecond: 10, burst: 5))
        var admitted = [rate.admits(at: .zero)]
        rate.spend(25)
        for milliseconds in [2000, 2001, 100_000] {
            admitted.append(rate.admits(at: .zero + .milliseconds(milliseconds)))
        }
        rate.spend(5)
        // A clock that went back earns nothing.
        for seconds in [100, 50] { admitted.append(rate.admits(at: .zero + .seconds(seconds))) }
        #expect(admitted == [true, false, true, true, false, false])
    }

    @Test("nothing is lost, and no more is taken than the rate admits")
    func postponed() throws {
        var random = SeededGenerator(seed: 31)
        var world = try World(
            owners: 1, nodes: 2, rate: ChangeRateLimit(perSecond: 10, burst: 10))
        let id = world.owners[0]
        try world.openLedger(of: id, at: 0, epoch: 1)
        world.connect(0, 1)
        world.settle(using: &random)
        for index in 0..<100 { try world.publish([put("r-\(index)", "1")], of: id, at: 0) }
        for second in 0..<12 {
            world.tick(at: .zero + .seconds(second))
            world.settle(using: &random)
            #expect(world.head(of: id, at: 1).position.revision <= UInt64(10 * (second + 2)))
            world.checkViews()
        }
        #expect(world.head(of: id, at: 1) == world.head(of: id, at: 0))
        let reasons = Set(world.nodes[1].rejections)
        #expect(reasons == [.overRate(id)])
    }
}
