// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability
import MeshSimulation
import Testing

@Suite("Who looks dead, and who looks", .tags(.simulation))
struct SelfDoubtSimulationTests {
    @Test(
        "cut off from everybody, a cluster gives up nobody and resets nothing",
        arguments: [[2, 2, 2], [3, 3, 3], [1, 1, 1], [3, 3, 3, 3]])
    func isolation(sizes: [Int]) {
        for seed in Replay.seeds(6) {
            var world = World(seed: seed, sizes: sizes, loss: 0.01)
            world.run(for: .seconds(3))
            world.simulation.network.partition(world.nodes(of: 1), world.others(than: 1))
            world.run(for: .seconds(4))
            let mine = Set(world.nodes(of: 1))
            #expect(
                !world.changes(to: .unreachable).contains { mine.contains($0.observer) },
                "\(world.hint())")
            for cluster in 2...sizes.count {
                // New flows avoid them all the same.
                #expect(
                    world.verdicts(of: cluster, seenBy: 1).allSatisfy { $0 == .suspect },
                    "\(world.hint())")
            }
            let told = world.events.contains {
                guard case .selfDoubtBegan = $0.event else { return false }
                return mine.contains($0.node)
            }
            #expect(told, "\(world.hint())")
            // The others lost one cluster and say so.
            #expect(
                world.verdicts(of: 1, seenBy: 2).allSatisfy { $0 == .unreachable },
                "\(world.hint())")

            world.simulation.network.partition(
                world.nodes(of: 1), world.others(than: 1), isCut: false)
            world.run(for: .seconds(1))
            for cluster in 2...sizes.count {
                for node in world.nodes(of: 1) {
                    let word = world.word(of: cluster, seenBy: node)
                    #expect(
                        word == LivenessWord(verdict: .up, weight: 255, generation: 0),
                        "no hold-down, no ramp; \(world.hint())")
                }
            }
        }
    }

    @Test("of two lost clusters, one that returns lets the other be given up")
    func doubtEnds() {
        var world = World(seed: 7, sizes: [2, 2, 2])
        world.run(for: .seconds(3))
        world.kill(cluster: 2)
        world.kill(cluster: 3)
        world.run(for: .seconds(5))
        #expect(world.verdicts(of: 2, seenBy: 1) == [.suspect, .suspect])
        world.revive(cluster: 3)
        world.run(for: .seconds(2))
        #expect(world.verdicts(of: 3, seenBy: 1) == [.up, .up])
        #expect(world.verdicts(of: 2, seenBy: 1) == [.unreachable, .unreachable])
    }

    @Test("with one remote cluster there is nobody to ask: it is given up", arguments: [1, 2, 3])
    func oneRemote(size: Int) {
        for seed in Replay.seeds(8) {
            var world = World(seed: seed, sizes: [size, size])
            world.run(for: .seconds(3))
            world.kill(cluster: 2)
            world.run(for: .milliseconds(900))
            #expect(
                world.verdicts(of: 2, seenBy: 1).allSatisfy { $0 == .unreachable },
                "\(world.hint())")
        }
    }

    @Test(
        "a relay that was held up accuses nobody",
        arguments: [
            Duration.milliseconds(150), .milliseconds(700), .seconds(2), .seconds(15),
        ])
    func paused(pause: Duration) {
        for sizes in [[1, 1], [2, 2, 2], [3, 3]] {
            for seed in Replay.seeds(4) {
                var world = World(seed: seed, sizes: sizes)
                world.run(for: .seconds(3))
                let start = world.now
                let relay = world.nodes(of: 1)[0]
                world.simulation.pause(relay, for: pause)
                world.run(for: pause + .seconds(3))
                let accusations = world.changes.filter {
                    $0.observer.cluster == relay.cluster && $0.time >= start
                        && [.suspect, .unreachable].contains($0.change.word.verdict)
                }
                #expect(accusations.isEmpty, "relays \(sizes); \(world.hint())")
                let told = world.pathEvents.contains {
                    guard case .late = $0.event else { return false }
                    return $0.node == relay
                }
                // A short pause may fall between two timers, and then it was none.
                #expect(told || pause < .milliseconds(500), "relays \(sizes); \(world.hint())")
            }
        }
    }

    @Test("with all relays of a cluster held up, its nodes change nothing")
    func allPaused() {
        for seed in Replay.seeds(8) {
            var world = World(seed: seed, sizes: [3, 3, 3])
            world.run(for: .seconds(3))
            let start = world.now
            for relay in world.nodes(of: 1) { world.simulation.pause(relay, for: .seconds(5)) }
            world.run(for: .seconds(8))
            #expect(
                !world.changes.contains {
                    $0.observer.cluster == world.clusters[0] && $0.time >= start
                }, "\(world.hint())")
        }
    }

    @Test(
        "loss in one direction is seen at both ends", arguments: [[2, 2, 2], [3, 3, 3], [1, 1]])
    func oneWay(sizes: [Int]) {
        for seed in Replay.seeds(8) {
            var world = World(seed: seed, sizes: sizes)
            world.run(for: .seconds(3))
            world.simulation.network.cut(from: world.nodes(of: 1), to: world.nodes(of: 2))
            world.run(for: .milliseconds(1500))
            for (observer, observed) in [(1, 2), (2, 1)] {
                #expect(
                    world.verdicts(of: observed, seenBy: observer).allSatisfy {
                        $0 == .unreachable
                    },
                    "\(observer) of \(observed); \(world.hint())")
            }
        }
    }
}
