// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability
import MeshSimulation
import Testing

@Suite("Capacity told by heartbeats", .tags(.simulation))
struct CapacitySimulationTests {
    @Test(
        "all nodes of all clusters come to the same weight for one that fills up, its own included")
    func allAlike() {
        var world = World(seed: 7, sizes: [3, 3, 2], loss: 0.01)
        for cluster in 1...3 { world.load(cluster: cluster, Workload(capacity: 800, used: 400)) }
        world.run(for: .seconds(10))
        #expect(world.changes.allSatisfy { $0.change.word.weight == 255 })
        world.load(cluster: 2, Workload(capacity: 800, used: 720))
        world.run(for: .seconds(30))
        for observer in 1...3 {
            let weights = world.nodes(of: observer).map { world.word(of: 2, seenBy: $0).weight }
            // The law says 89; steps may differ by the second in which they fall.
            #expect(weights.allSatisfy { (85...121).contains($0) }, "\(weights) \(world.hint())")
            let others = world.nodes(of: observer).map { world.word(of: 1, seenBy: $0).weight }
            #expect(others.allSatisfy { $0 == 255 }, "\(others) \(world.hint())")
        }
        world.load(cluster: 2, Workload(capacity: 800, used: 400))
        world.run(for: .seconds(70))
        for node in world.nodes(of: 1) {
            #expect(world.word(of: 2, seenBy: node).weight == 255, "\(world.hint())")
        }
    }

    @Test(
        "a cluster that is full dies and returns: its weight is nothing, then a ramp, then its own")
    func deathOfTheFull() {
        var world = World(seed: 8, sizes: [2, 2, 2])
        for cluster in 1...3 { world.load(cluster: cluster, Workload(capacity: 800, used: 400)) }
        world.run(for: .seconds(5))
        world.load(cluster: 2, Workload(capacity: 800, used: 720))
        world.run(for: .seconds(20))
        let observer = world.nodes(of: 1)[0]
        #expect(world.word(of: 2, seenBy: observer).weight < 128)
        world.kill(cluster: 2)
        world.run(for: .seconds(1))
        #expect(world.word(of: 2, seenBy: observer).weight == 0)
        // The others have the same room each: nothing to change between them.
        #expect(world.word(of: 1, seenBy: observer).weight == 255)
        #expect(world.word(of: 3, seenBy: observer).weight == 255)
        world.revive(cluster: 2)
        world.run(for: .seconds(60))
        #expect(world.word(of: 2, seenBy: observer).weight == 255, "it says nothing any more")
    }
}
