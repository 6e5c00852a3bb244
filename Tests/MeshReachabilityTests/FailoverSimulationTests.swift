// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability
import MeshSimulation
import Testing

@Suite("A whole cluster is lost", .tags(.simulation))
struct FailoverSimulationTests {
    typealias Times = MeshMeasure.Times

    static func measure(sizes: [Int], loss: Double, seeds: Int) -> Times {
        var times = Times()
        for seed in Replay.seeds(seeds) {
            var world = World(seed: seed, sizes: sizes, loss: loss)
            // Ten arrivals make the margin trustworthy, of those that arrive.
            world.run(for: loss > 0 ? .seconds(4) : .milliseconds(2300))
            let found = MeshMeasure.detection(
                &world, victims: [2], patience: .milliseconds(900))
            #expect(found.missed == 0, "somebody never took it; \(world.hint())")
            #expect(
                world.changes(to: .unreachable).allSatisfy {
                    $0.change.cluster == world.clusters[1]
                },
                "a living cluster was given up; \(world.hint())")
            times.suspect += found.suspect
            times.unreachable += found.unreachable
        }
        times.suspect.sort()
        times.unreachable.sort()
        return times
    }

    @Test(
        "no new flow after 0.55 s and switched after 0.9 s, at a round trip of 80 ms",
        arguments: [
            ([2, 2, 2], 0, 200), ([3, 3, 3], 0, 200), ([1, 1, 1], 0, 50), ([3, 2, 1], 0, 50),
            ([3, 3, 3], 0.03, 50),
        ] as [([Int], Double, Int)])
    func silence(sizes: [Int], loss: Double, seeds: Int) {
        let times = Self.measure(sizes: sizes, loss: loss, seeds: seeds)
        print(
            "whole cluster lost, relays \(sizes), \(loss * 100) % loss:",
            "suspect p50 \(Times.percentile(0.5, of: times.suspect))",
            "p99 \(Times.percentile(0.99, of: times.suspect)) s,",
            "unreachable p50 \(Times.percentile(0.5, of: times.unreachable))",
            "p99 \(Times.percentile(0.99, of: times.unreachable))",
            "max \(times.unreachable.last ?? 0) s")
        #expect(Times.percentile(0.99, of: times.suspect) <= 0.55)
        #expect(Times.percentile(0.99, of: times.unreachable) <= 0.9)
    }
}
