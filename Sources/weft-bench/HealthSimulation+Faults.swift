// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability
import MeshSimulation

/// What is done to a mesh of ten clusters in ten regions, and whom it hits.
private struct MeshFault: Sendable {
    let name: String
    /// Pairs, the judge first, of which a hard verdict is no mistake.
    var excused: Set<[Int]> = []
    /// Does what is due in this second, and lets it pass.
    let pass: @Sendable (inout MeshWorld, Int) -> Void

    static let all = [
        MeshFault(name: "calm") { world, _ in world.run(for: .seconds(1)) },
        MeshFault(name: "pauses-300ms-a-minute") { world, second in
            let nodes = world.clusters.flatMap { world.members[$0]! }
            for (index, node) in nodes.enumerated() where (index * 7 + second) % 60 == 0 {
                world.simulation.pause(node, for: .milliseconds(300))
            }
            world.run(for: .seconds(1))
        },
        MeshFault(name: "relays-frozen-5s") { world, second in
            if second % 10 == 0 {
                let cluster = second / 10 % world.clusters.count + 1
                world.simulation.pause(world.nodes(of: cluster)[second / 10 % 3], for: .seconds(5))
            }
            world.run(for: .seconds(1))
        },
        // A quota of a tenth on every node of two clusters.
        MeshFault(name: "starved-20ms-of-200ms") { world, _ in
            for _ in 0..<5 {
                for node in world.nodes(of: 1) + world.nodes(of: 2) {
                    world.simulation.pause(node, for: .milliseconds(180))
                }
                world.run(for: .milliseconds(200))
            }
        },
        MeshFault(name: "overloaded-relay-300ms-late") { world, second in
            for cluster in [1, 2] where second == 0 {
                let relay = world.nodes(of: cluster)[0]
                for other in world.others(than: cluster) {
                    world.simulation.network[other, relay].latency += .milliseconds(300)
                    world.simulation.network[other, relay].jitter = .milliseconds(300)
                }
            }
            world.run(for: .seconds(1))
        },
        MeshFault(name: "one-path-of-three-dead") { world, second in
            if second == 0 {
                world.simulation.network.cut(
                    from: [world.nodes(of: 1)[0]], to: world.others(than: 1))
                world.simulation.network.partition(
                    [world.nodes(of: 2)[0]], world.others(than: 2))
            }
            world.run(for: .seconds(1))
        },
        MeshFault(name: "cut-one-way", excused: [[1, 2], [2, 1]]) { world, second in
            if second == 0 {
                world.simulation.network.cut(from: world.nodes(of: 1), to: world.nodes(of: 2))
            }
            world.run(for: .seconds(1))
        },
        MeshFault(
            name: "partial-partition",
            excused: [[1, 3], [3, 1], [1, 4], [4, 1], [2, 3], [3, 2], [2, 4], [4, 2]]
        ) { world, second in
            for (left, right) in [(1, 3), (1, 4), (2, 3), (2, 4)] where second == 0 {
                world.partition(left, right)
            }
            world.run(for: .seconds(1))
        },
        MeshFault(name: "flapping-link", excused: [[1, 2], [2, 1]]) { world, second in
            world.partition(1, 2, isCut: second % 5 == 0)
            world.run(for: .seconds(1))
        },
        MeshFault(name: "region-lost-350ms-of-5s") { world, second in
            if second % 5 == 0 { world.isolate(1) }
            world.run(for: .milliseconds(350))
            world.isolate(1, isCut: false)
            world.run(for: .milliseconds(650))
        },
        // The others are right to give it up.
        MeshFault(
            name: "isolated-5s-of-20s", excused: Set((2...10).map { [$0, 1] })
        ) { world, second in
            world.isolate(1, isCut: second % 20 < 5)
            world.run(for: .seconds(1))
        },
    ]
}

extension HealthSimulation {
    /// Hard verdicts of pairs that weren't hit, at 1 % loss besides.
    func faults() {
        let seconds = quick ? 20 : 120
        for fault in MeshFault.all {
            var world = MeshWorld(
                seed: 1, sizes: Array(repeating: 3, count: 10), spares: 1, drift: 1e-4
            ) { Region.link($0, $1, loss: 0.01) }
            world.run(for: .seconds(4))
            let start = world.now
            for second in 0..<seconds { fault.pass(&world, second) }
            let hard = world.changes(since: start).filter(\.change.endsFlows)
            let wrong = hard.filter {
                !fault.excused.contains([
                    Int($0.observer.cluster.rawValue), Int($0.change.cluster.rawValue),
                ])
            }
            let name = "fault.\(fault.name)"
            report("\(name).wrong", Double(wrong.count), "verdicts", goal: "value<=0")
            report("\(name).right", Double(hard.count - wrong.count), "verdicts")
            report("\(name).simulated", Double(seconds), "s")
        }
        oneWay()
        flapping()
    }

    /// Each direction of a pair by itself: the end that hears nothing, and the one that isn't heard.
    private func oneWay() {
        var deaf = MeshMeasure.Times()
        var mute = MeshMeasure.Times()
        for seed in 1...UInt64(quick ? 5 : 40) {
            var world = MeshWorld(seed: seed, sizes: [3, 3, 3, 3], spares: 1)
            world.run(for: .seconds(2.5))
            world.run(for: world.simulation.generator.duration(below: .milliseconds(200)))
            let start = world.now
            world.simulation.network.cut(from: world.nodes(of: 1), to: world.nodes(of: 2))
            world.run(for: .seconds(2))
            deaf.add(world, of: 1, seenBy: world.nodes(of: 2), since: start)
            mute.add(world, of: 2, seenBy: world.nodes(of: 1), since: start)
        }
        report(times: "one-way.deaf-end", deaf.unreachable, goal: "value<=0.9")
        report(times: "one-way.mute-end", mute.unreachable)
        report("one-way.missed", Double(deaf.missed + mute.missed), "nodes", goal: "value<=0")
    }

    /// A link that is cut for 1 s of every 10: how often flows over it are reset.
    private func flapping() {
        var world = MeshWorld(seed: 1, sizes: [3, 3, 3], spares: 1)
        world.run(for: .seconds(4))
        let cuts = quick ? 60 : 360
        for _ in 0..<cuts {
            world.partition(1, 2)
            world.run(for: .seconds(1))
            world.partition(1, 2, isCut: false)
            world.run(for: .seconds(9))
        }
        let node = world.nodes(of: 1)[0]
        let resets = world.changes.count { $0.observer == node && $0.change.endsFlows }
        report("flapping.resets-per-cut", Double(resets) / Double(cuts), "", baseline: 1)
        report("flapping.simulated", Double(cuts) * 10, "s")
    }
}
