// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability
import MeshSimulation
import Testing

@Suite("A whole cluster is lost", .tags(.simulation))
struct FailoverSimulationTests {
    /// Seconds from the kill until each observing node took its verdict, sorted.
    struct Times {
        var suspect: [Double] = []
        var unreachable: [Double] = []

        static func percentile(_ share: Double, of sorted: [Double]) -> Double {
            sorted[min(Int(share * Double(sorted.count)), sorted.count - 1)]
        }
    }

    static func measure(sizes: [Int], loss: Double, seeds: Int) -> Times {
        var times = Times()
        for seed in Replay.seeds(seeds) {
            var world = World(seed: seed, sizes: sizes, loss: loss)
            // Ten arrivals make the margin trustworthy, of those that arrive.
            world.run(for: loss > 0 ? .seconds(4) : .milliseconds(2300))
            let phase = world.simulation.generator.duration(below: .milliseconds(200))
            world.run(for: phase)
            world.kill(cluster: 2)
            let start = world.now
            world.run(for: .milliseconds(900))
            for (verdict, path) in [
                (Verdict.suspect, \Times.suspect), (.unreachable, \.unreachable),
            ] {
                for observer in world.others(than: 2) {
                    let first = world.changes(to: verdict, of: 2, since: start)
                        .first { $0.observer == observer }
                    #expect(first != nil, "\(observer) never took it; \(world.hint())")
                    if let first { times[keyPath: path].append((first.time - start).seconds) }
                }
            }
            #expect(
                world.changes(to: .unreachable).allSatisfy {
                    $0.change.cluster == world.clusters[1]
                },
                "a living cluster was given up; \(world.hint())")
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
