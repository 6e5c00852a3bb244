// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshSimulation
import Testing

@testable import MeshReachability

@Suite("The overlay breaks and the underlay doesn't", .tags(.simulation))
struct OverlaySimulationTests {
    @Test(
        "both ends leave each other, whatever their relays and whichever way broke; nobody else does",
        arguments: [[1, 1], [2, 2], [3, 3], [3, 1], [1, 1, 1], [3, 3, 3]], [true, false])
    func broken(sizes: [Int], bothWays: Bool) {
        var left: [Double] = []
        var unreachable: [Double] = []
        for seed in Replay.seeds(25) {
            var world = World(seed: seed, sizes: sizes)
            world.run(for: .seconds(4))
            let blow = world.now
            world.breakOverlay(from: 1, to: 2)
            if bothWays { world.breakOverlay(from: 2, to: 1) }
            world.run(for: .seconds(4))
            let changes = world.changes(since: blow)
            for (observer, subject) in [(1, 2), (2, 1)] {
                for node in world.nodes(of: observer) {
                    let own = changes.filter { $0.observer == node }
                    #expect(
                        own.allSatisfy { $0.change.cluster == world.clusters[subject - 1] },
                        "\(world.hint())")
                    left +=
                        own.first { $0.change.word.weight == 0 }.map { [$0.time - blow] }?
                        .map(\.seconds) ?? [.infinity]
                    unreachable +=
                        own.first { $0.change.word.verdict == .unreachable }
                        .map { [$0.time - blow] }?.map(\.seconds) ?? [.infinity]
                    #expect(
                        world.evidence(of: subject, seenBy: node).isOverlayOnly, "\(world.hint())")
                }
            }
            #expect(
                world.clusters.dropFirst(2).allSatisfy { third in
                    !changes.contains { $0.observer.cluster == third }
                }, "\(world.hint())")
        }
        left.sort()
        unreachable.sort()
        print(
            "overlay broken, relays \(sizes), both ways \(bothWays):",
            "left after p50 \(MeshMeasure.Times.percentile(0.5, of: left)) max \(left.last!) s,",
            "unreachable p50 \(MeshMeasure.Times.percentile(0.5, of: unreachable))",
            "max \(unreachable.last!) s")
        #expect(left.last! <= 1.8 && unreachable.last! <= 2.2)
    }

    @Test("mended, they return as from any silence, and no datagram more is sent meanwhile")
    func mended() {
        var world = World(seed: 1, sizes: [3, 3])
        world.run(for: .seconds(4))
        let before = world.beatsSent
        world.run(for: .seconds(20))
        let usual = world.beatsSent - before
        world.breakOverlay(from: 1, to: 2)
        world.breakOverlay(from: 2, to: 1)
        world.run(for: .seconds(5))
        let start = world.beatsSent
        world.run(for: .seconds(20))
        #expect(world.beatsSent - start <= usual + usual / 20)
        world.breakOverlay(from: 1, to: 2, isBroken: false)
        world.breakOverlay(from: 2, to: 1, isBroken: false)
        world.run(for: .seconds(10))
        #expect(world.verdicts(of: 2, seenBy: 1) == [.probation, .probation, .probation])
        world.run(for: .seconds(30))
        #expect(world.verdicts(of: 2, seenBy: 1) == [.up, .up, .up])
        #expect(world.violations.isEmpty)
    }

    @Test("one relay's overlay of three is a path's affair; two are the cluster's")
    func quorum() {
        var world = World(seed: 2, sizes: [3, 3])
        world.run(for: .seconds(4))
        for broken in 1...2 {
            world.breakOverlay(
                from: Array(world.nodes(of: 1).prefix(broken)), to: world.nodes(of: 2))
            world.run(for: .seconds(3))
            for cluster in 1...2 {
                let node = world.nodes(of: cluster)[0]
                let evidence = world.evidence(of: 3 - cluster, seenBy: node)
                #expect(evidence.down == broken && evidence.overlaySilent == broken)
                #expect(
                    world.word(of: 3 - cluster, seenBy: node).verdict
                        == (broken == 1 ? .up : .unreachable))
            }
        }
    }

    @Test(
        "one is missed if the beats around it came, until any comes, however late",
        arguments: [
            ([1, 2, 3, 4, 5], 0), ([1, 3, 5, 7], 3), ([1, 3, 5, 6, 7], 0), ([1, 3, 5, 4, 7], 1),
            ([1, 8, 9, 16, 17], 0), ([1, 6, 9, 14], 0), ([1, 5, 9, 13], 0), ([1, 3, 7, 9], 2),
        ] as [([UInt64], UInt8)])
    func neighbours(heard: [UInt64], missed: UInt8) {
        var inside = InsideBeats()
        var last: Heartbeat?
        for sequence in heard {
            var beat = HeartbeatCodingTests.beat
            beat.sequence = sequence
            beat.insideMissed = 0
            beat.takesInside = true
            beat.followsInside = sequence % 2 == 1
            inside.observe(beat, isInside: sequence % 2 == 0, after: last)
            if sequence > last?.sequence ?? 0 { last = beat }
        }
        #expect(inside.unheard == missed)
        #expect(inside.missed == 0, "nothing goes there yet")
        let goesInside = inside.next(mayGo: true)
        #expect(goesInside && inside.missed == missed)
    }

    @Test("a relay that was held up reads one way first, and accuses the other one of nothing")
    func backlog() {
        var world = World(seed: 4, sizes: [3, 3])
        world.run(for: .seconds(4))
        let relay = world.nodes(of: 1)[0]
        // Meanwhile nothing arrives inside, as if it lay there unread.
        world.breakOverlay(from: world.nodes(of: 2), to: [relay])
        world.simulation.pause(relay, for: .seconds(3))
        world.run(for: .milliseconds(3010))
        world.breakOverlay(from: world.nodes(of: 2), to: [relay], isBroken: false)
        for _ in 0..<100 {
            world.run(for: .milliseconds(20))
            for cluster in 1...2 {
                let evidence = world.evidence(
                    of: 3 - cluster, seenBy: world.nodes(of: cluster)[1])
                #expect(evidence.overlaySilent == 0)
            }
        }
        #expect(world.changes.allSatisfy { $0.change.word.weight > 0 })
    }

    @Test("a link that loses everything for a while is judged as before: by its silence alone")
    func silence() {
        var world = World(seed: 3, sizes: [2, 2])
        world.run(for: .seconds(4))
        world.partition(1, 2)
        world.run(for: .milliseconds(390))
        world.partition(1, 2, isCut: false)
        world.run(for: .seconds(1))
        #expect(world.verdicts(of: 2, seenBy: 1) == [.up, .up])
        #expect(world.changes(to: .unreachable).isEmpty)
    }
}
