// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshSimulation
import Testing

@testable import MeshMembership

@Suite("How fast, and how often wrong", .tags(.simulation))
struct DetectionSimulationTests {
    @Test(
        "a crash is known to all within 2.3 s, p99",
        arguments: [(2, 0, 20), (2, 2, 20), (3, 0, 30), (3, 2, 30), (10, 0, 25), (100, 0, 40)])
    func crash(size: Int, witnesses: Int, crashes: Int) async throws {
        let worlds = try await Replay.run(2) { seed in
            MembershipMeasure.detection(
                [seed], crashes: crashes, warmup: .seconds(4), patience: .seconds(8)
            ) { MembershipMeasure.world(seed: $0, size: size, witnesses: witnesses) }
        }
        let all = worlds.flatMap(\.result.all).sorted()
        let p50 = MembershipMeasure.Times.percentile(0.5, of: all)
        let p99 = MembershipMeasure.Times.percentile(0.99, of: all)
        print("\(size) members, \(witnesses) witnesses: all know p50 \(p50) p99 \(p99) s")
        #expect(worlds.allSatisfy { $0.result.missed == 0 })
        // Of two without a witness, nobody confirms: the longest suspicion, 2.4 s, and a probe.
        #expect(p99 <= (size == 2 && witnesses == 0 ? 2.9 : 2.3))
    }

    @Test("members that fall behind by 2 s make the healthy ones kill nobody healthy")
    func overloaded() {
        var world = MembershipMeasure.world(seed: 5, size: 20, weather: .init(loss: 0.1))
        world.run(for: .seconds(5))
        for loaded in 0..<2 {
            for other in world.members where other != loaded {
                world.simulation.network[other, loaded].latency = .seconds(2)
            }
        }
        world.run(for: .seconds(60))
        #expect(world.core(0).counters.accusations > 10, "they do accuse")
        #expect(!world.falseDeaths().contains { $0.subject > 1 && $0.observer > 1 })
    }

    @Test("one that hardly runs, 100 ms of every 12 s, accuses nobody")
    func starved() {
        var world = MembershipMeasure.world(seed: 5, size: 20)
        world.run(for: .seconds(10))
        world.starve(3, running: .milliseconds(100), of: .seconds(12), for: .seconds(60))
        world.run(for: .seconds(65))
        #expect(world.core(3).counters.accusations == 0)
        #expect(!world.falseDeaths().contains { $0.subject != 3 })
    }

    @Test("pauses below the shortest suspicion kill nobody, nor does a quota of a tenth")
    func pauses() {
        for seed in Replay.seeds(2) {
            var world = MembershipMeasure.world(seed: seed, size: 30)
            world.run(for: .seconds(5))
            world.starve(2, running: .milliseconds(20), of: .milliseconds(200), for: .seconds(40))
            for second in 0..<40 {
                world.pause(3 + second % 27, for: .milliseconds(600))
                world.run(for: .seconds(1))
            }
            let wrong = world.changes.filter { $0.change.to == .dead }
            #expect(wrong.isEmpty, "\(wrong.count) deaths; \(world.hint())")
        }
    }

    @Test("a link cut in one direction, or between two members, kills nobody")
    func partial() {
        var world = MembershipMeasure.world(seed: 3, size: 10)
        world.run(for: .seconds(5))
        world.simulation.network.cut(from: [1], to: [2])
        world.partition([3], [4, 5])
        world.run(for: .seconds(60))
        #expect(!world.changes.contains { $0.change.to == .dead })
    }

    @Test("one that hears nothing is dead, though it can still be heard; the others live")
    func deaf() {
        var world = MembershipMeasure.world(seed: 3, size: 10)
        world.run(for: .seconds(5))
        world.simulation.network.cut(from: (0..<10).filter { $0 != 1 }, to: [1])
        world.run(for: .seconds(30))
        #expect(world.allHold(.dead, of: [1], seenBy: (0..<10).filter { $0 != 1 }))
        #expect(!world.falseDeaths().contains { $0.subject != 1 && $0.observer != 1 })
    }

    @Test("one that leaves is out everywhere within 300 ms, and nobody accused it")
    func leaving() {
        var world = MembershipMeasure.world(seed: 4, size: 100)
        world.run(for: .seconds(4))
        world.leave(9)
        world.run(for: .milliseconds(300))
        world.crash(9)
        #expect(world.allHold(.left, of: [9]))
        world.run(for: .seconds(10))
        #expect(world.allHold(.left, of: [9]))
        world.restart(9)
        world.run(for: .seconds(2))
        #expect(world.allHold(.alive, of: [9]))
    }

    @Test("one that starts anew learns who is dead from the others")
    func newcomer() {
        var world = MembershipMeasure.world(seed: 6, size: 40)
        world.run(for: .seconds(5))
        world.crash(1)
        world.run(for: .seconds(5))
        world.crash(2)
        world.restart(2)
        #expect(world.state(of: 1, seenBy: 2) == .unknown)
        world.run(for: .milliseconds(7000))
        #expect(world.state(of: 1, seenBy: 2) == .dead)
        #expect(world.allHold(.alive, of: world.running))
    }

    @Test("the same seed gives the same run")
    func deterministic() {
        func story() -> [String] {
            var world = MembershipMeasure.world(seed: 9, size: 12, weather: .init(loss: 0.2))
            world.run(for: .seconds(10))
            world.crash(4)
            world.run(for: .seconds(10))
            return world.changes.map { "\($0)" }
        }
        let first = story()
        #expect(!first.isEmpty)
        #expect(first == story())
    }

    @Test("memory stays bounded whatever happens")
    func bounded() {
        var world = MembershipMeasure.world(seed: 2, size: 30, weather: .init(loss: 0.4))
        for round in 0..<10 {
            world.crash(round)
            world.run(for: .seconds(6))
            world.restart(round)
        }
        for member in world.members {
            let core = world.core(member)
            #expect(core.queue.count <= 30)
            #expect(core.timerCount <= 4 * 30 + 65)
            #expect(core.errands.count <= MembershipParameters.Limit.errands)
            #expect(core.tellings.count <= MembershipParameters.Limit.tellings)
        }
        #expect(world.largestDatagram <= MembershipParameters.Limit.datagram)
    }

    @Test("100 idle members send at most 210 bytes a second each, tables included")
    func traffic() {
        let rate = MembershipMeasure.traffic(
            MembershipMeasure.world(seed: 1, size: 100), warmup: .seconds(15), over: .seconds(15))
        print("100 idle members: \(rate.bytes) B/s, \(rate.datagrams) datagrams/s each")
        #expect(rate.bytes <= 210)
    }
}
