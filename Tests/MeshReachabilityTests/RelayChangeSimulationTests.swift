// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability
import MeshSimulation
import Testing

@Suite("Relays of a cluster change", .tags(.simulation))
struct RelayChangeSimulationTests {
    /// Words that a living cluster must not get.
    private func alarms(_ world: World) -> [World.Change] {
        world.changes(to: .suspect) + world.changes(to: .unreachable)
    }

    @Test(
        "a dead one is replaced, and nobody takes the cluster for anything but up, however late the other side learns of it",
        arguments: [0, 60, 2000, 30_000], [0, 0.01])
    func replacement(lateness: Int, loss: Double) {
        for seed in Replay.seeds(5) {
            var world = World(seed: seed, sizes: [3, 3], spares: 1, loss: loss)
            world.run(for: .seconds(4))
            let dead = world.nodes(of: 2)[1]
            world.kill(dead)
            world.run(for: .milliseconds(1500))
            world.adopt([0, 3, 2], of: 2, by: world.nodes(of: 2))
            world.run(for: .milliseconds(lateness))
            world.adopt([0, 3, 2], of: 2, by: world.nodes(of: 1))
            world.run(for: .seconds(6))
            #expect(loss > 0 || alarms(world).isEmpty, "\(world.hint())")
            #expect(world.changes(to: .unreachable).isEmpty, "\(world.hint())")
            // Where beats are lost, two in a row may just be missing on one path.
            let paths = world.paths(of: world.nodes(of: 1)[1])
            #expect(paths.keys.elementsEqual(["n3"]), "\(world.hint())")
            #expect(loss > 0 || paths["n3"] == .up, "\(world.hint())")
            for node in world.nodes(of: 1) {
                let up = world.evidence(of: 2, seenBy: node).up
                #expect(up == 3 || loss > 0 && up == 2, "\(world.hint())")
            }
        }
    }

    @Test("a living one is displaced: what is known is never less than two paths say")
    func displacement() {
        for seed in Replay.seeds(20) {
            var world = World(seed: seed, sizes: [3, 3], spares: 1)
            world.run(for: .seconds(4))
            // Every node learns of it at a time of its own.
            var waiting = world.nodes(of: 1) + world.nodes(of: 2)
            waiting.shuffle(using: &world.simulation.generator)
            for step in 0..<120 {
                if step % 20 == 0, let next = waiting.popLast() {
                    world.adopt([0, 3, 2], of: 2, by: [next])
                }
                world.run(for: .milliseconds(100))
                for observer in world.nodes(of: 1) {
                    #expect(
                        world.evidence(of: 2, seenBy: observer).up >= 2, "\(world.hint())")
                }
            }
            for node in waiting { world.adopt([0, 3, 2], of: 2, by: [node]) }
            world.run(for: .seconds(8))
            #expect(alarms(world).isEmpty, "\(world.hint())")
            #expect(world.paths(of: world.nodes(of: 2)[1]).isEmpty, "it has nothing more to say")
            #expect(world.paths(of: world.nodes(of: 1)[1]) == ["n3": .up])
        }
    }

    @Test("all of them move away one by one, unknown to the other side for half a minute")
    func ignorance() {
        for seed in Replay.seeds(10) {
            var world = World(seed: seed, sizes: [3, 2], spares: 3)
            world.run(for: .seconds(4))
            for set in [[3, 1, 2], [3, 4, 2], [3, 4, 5]] {
                world.adopt(set, of: 1, by: world.nodes(of: 1))
                world.run(for: .seconds(10))
            }
            for observer in world.nodes(of: 1) {
                #expect(world.evidence(of: 2, seenBy: observer).up == 3, "the old paths are kept")
            }
            world.adopt([3, 4, 5], of: 1, by: world.nodes(of: 2))
            world.run(for: .seconds(8))
            #expect(alarms(world).isEmpty, "\(world.hint())")
            for relay in world.nodes(of: 1).prefix(3) { #expect(world.paths(of: relay).isEmpty) }
            for relay in world.nodes(of: 1).suffix(3) {
                #expect(world.paths(of: relay).values.allSatisfy { $0 == .up })
            }
        }
    }

    @Test("a cluster that dies while its relays change is given up as soon as ever")
    func death() {
        for seed in Replay.seeds(40) {
            var world = World(seed: seed, sizes: [3, 3], spares: 1)
            world.run(for: .seconds(4))
            world.adopt([0, 3, 2], of: 2, by: world.nodes(of: 2))
            world.run(for: .milliseconds(50))
            world.adopt([0, 3, 2], of: 2, by: world.nodes(of: 1))
            let phase = world.simulation.generator.duration(below: .seconds(6))
            world.run(for: phase)
            world.kill(cluster: 2)
            world.run(for: .milliseconds(900))
            #expect(
                world.verdicts(of: 2, seenBy: 1).allSatisfy { $0 == .unreachable },
                "killed \(phase) after the change; \(world.hint())")
        }
    }
}
