// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability
import MeshSimulation

/// What happens to a mesh, and what must hold then. Each returns a sentence if it doesn't.
struct MeshStory: Sendable {
    let name: String
    var seeds = 2
    let tell: @Sendable (UInt64) -> String?

    /// Three relays and an ordinary node in each cluster, all over the world, 1 % loss.
    static func world(_ seed: UInt64, clusters: Int, loss: Double = 0.01) -> World {
        var world = World(
            seed: seed, sizes: Array(repeating: 3, count: clusters), spares: 1, drift: 1e-4
        ) { Region.link($0, $1, loss: loss) }
        world.run(for: .seconds(4))
        return world
    }

    /// Hard verdicts, but for those of `excused` pairs; and what must never happen.
    static func wrong(
        _ world: World, since start: Instant = .zero, apartFrom excused: (Int, Int)...
    ) -> String? {
        let hard = world.changes(since: start).first { change in
            change.change.endsFlows
                && !excused.contains {
                    change.observer.cluster == world.clusters[$0.0 - 1]
                        && change.change.cluster == world.clusters[$0.1 - 1]
                }
        }
        return hard.map { "\($0.observer) gave up \($0.change.cluster), which lives" }
            ?? world.violations.first
    }

    /// Whether every node of `observer` holds `word` of `cluster`.
    static func holds(
        _ world: World, _ observer: Int, of cluster: Int, _ verdict: Verdict, generation: UInt32?
    ) -> Bool {
        world.nodes(of: observer).allSatisfy {
            let word = world.word(of: cluster, seenBy: $0)
            return word.verdict == verdict && word.generation == generation ?? word.generation
        }
    }

    static let kill = MeshStory(name: "a dead cluster is given up by all within a second, p99") {
        seed in
        var world = world(seed, clusters: 12)
        let times = MeshMeasure.detection(
            &world, victims: [3, 7, 8], patience: .milliseconds(1500))
        let p99 = MeshMeasure.Times.percentile(0.99, of: times.unreachable)
        if times.missed > 0 { return "\(times.missed) nodes didn't give up a dead cluster" }
        if times.wrong > 0 { return "\(times.wrong) living clusters were given up" }
        return p99 > 1 ? "a dead cluster was given up after \(p99) s, p99" : world.violations.first
    }

    static let isolation = MeshStory(name: "who is cut off from all gives up nobody") { seed in
        var world = world(seed, clusters: 6)
        world.isolate(2)
        world.run(for: .seconds(5))
        for other in [1, 3, 4, 5, 6] {
            guard holds(world, other, of: 2, .unreachable, generation: 1) else {
                return "cluster \(other) didn't notice that 2 is gone"
            }
            guard holds(world, 2, of: other, .suspect, generation: 0) else {
                return "cut off, 2 doesn't merely suspect \(other)"
            }
            for node in world.nodes(of: 2) where world.word(of: other, seenBy: node).weight > 0 {
                return "cut off, \(node) still sends new flows to \(other)"
            }
        }
        world.isolate(2, isCut: false)
        world.run(for: .seconds(2))
        for other in [1, 3, 4, 5, 6] {
            guard holds(world, 2, of: other, .up, generation: 0) else {
                return "joined again, 2 doesn't trust \(other) as before"
            }
        }
        return wrong(world, apartFrom: (1, 2), (3, 2), (4, 2), (5, 2), (6, 2))
    }

    /// Cluster 5 lives throughout; a service has backends in 2...5, its clients are in 1.
    static let last = MeshStory(name: "new flows always have a cluster, a living one if there is") {
        seed in
        var world = world(seed, clusters: 5)
        var dead: Set<Int> = []
        for step in 0..<8 {
            let cluster = Int(world.simulation.generator.next() % 3) + 2
            if dead.remove(cluster) != nil {
                world.revive(cluster: cluster)
            } else {
                world.kill(cluster: cluster)
                dead.insert(cluster)
            }
            world.run(for: .seconds(2))
            for node in world.nodes(of: 1) {
                let choice = world.choice(among: [2, 3, 4, 5], seenBy: node)
                if !choice.contains(5) { return "after step \(step), \(node) avoids the living 5" }
                if let gone = choice.first(where: { dead.contains($0) }) {
                    return "after step \(step), \(node) chooses the dead \(gone)"
                }
            }
        }
        world.isolate(1)
        for _ in 0..<20 {
            world.run(for: .milliseconds(200))
            for node in world.nodes(of: 1) where world.choice(among: [5], seenBy: node) != [5] {
                return "cut off, \(node) has nowhere to go"
            }
            guard holds(world, 1, of: 5, .unreachable, generation: nil) == false else {
                return "cut off, the last cluster is given up"
            }
        }
        return world.violations.first
    }

    static let flapping = MeshStory(name: "a link that flaps is kept out") { seed in
        var world = world(seed, clusters: 4)
        for _ in 0..<30 {
            world.partition(1, 2)
            world.run(for: .seconds(1))
            world.partition(1, 2, isCut: false)
            world.run(for: .seconds(9))
        }
        for node in world.nodes(of: 1) + world.nodes(of: 2) {
            let deaths = world.changes.count { $0.observer == node && $0.change.endsFlows }
            if !(3...8).contains(deaths) { return "\(node) reset flows \(deaths) times in 300 s" }
        }
        return wrong(world, apartFrom: (1, 2), (2, 1))
    }

    /// Three beats of a path don't fit.
    static let shortBurst = MeshStory(name: "a burst of 0.38 s resets nothing", seeds: 40) { seed in
        var world = world(seed, clusters: 4)
        world.partition(1, 2)
        world.run(for: .milliseconds(380))
        world.partition(1, 2, isCut: false)
        world.run(for: .seconds(1))
        for (observer, other) in [(1, 2), (2, 1)]
        where !holds(world, observer, of: other, .up, generation: 0) {
            return "a second later \(observer) doesn't trust \(other) as before"
        }
        return wrong(world)
    }

    /// Three beats of each path at least.
    static let longBurst = MeshStory(name: "a burst of 0.9 s is an outage, once", seeds: 20) {
        seed in
        var world = world(seed, clusters: 4)
        world.partition(1, 2)
        world.run(for: .milliseconds(900))
        world.partition(1, 2, isCut: false)
        world.run(for: .seconds(2))
        for (observer, other) in [(1, 2), (2, 1)]
        where !holds(world, observer, of: other, .unreachable, generation: 1) {
            return "\(observer) doesn't hold \(other) unreachable"
        }
        world.run(for: .seconds(8))
        for (observer, other) in [(1, 2), (2, 1)]
        where !holds(world, observer, of: other, .probation, generation: 2) {
            return "10 s later \(observer) doesn't try \(other) again"
        }
        return wrong(world, apartFrom: (1, 2), (2, 1))
    }

    /// Clusters 1 and 11, 2 and 12 share a region.
    static let region = MeshStory(name: "a region that loses its roads gives up nobody outside") {
        seed in
        var world = world(seed, clusters: 12)
        let inside = world.nodes(of: 1) + world.nodes(of: 11)
        let outside = world.others(than: 1).filter { !inside.contains($0) }
        world.simulation.network.partition(inside, outside)
        world.run(for: .seconds(2))
        world.simulation.network.partition(inside, outside, isCut: false)
        world.run(for: .seconds(2))
        for observer in [1, 11] {
            for other in 2...10 where !holds(world, observer, of: other, .up, generation: 0) {
                return "in the region, \(observer) doesn't trust \(other) as before"
            }
        }
        for other in 2...10 where !holds(world, other, of: 1, .unreachable, generation: 1) {
            return "\(other) didn't notice that the region is gone"
        }
        let excused = ([2, 3, 4, 5, 6, 7, 8, 9, 10, 12]).flatMap { [($0, 1), ($0, 11)] }
        return world.changes.first { change in
            change.change.endsFlows
                && !excused.contains {
                    change.observer.cluster == world.clusters[$0.0 - 1]
                        && change.change.cluster == world.clusters[$0.1 - 1]
                }
        }.map { "\($0.observer) gave up \($0.change.cluster)" } ?? world.violations.first
    }

    static let oneWay = MeshStory(name: "loss in one direction is noticed at both ends") { seed in
        var world = world(seed, clusters: 6)
        world.simulation.network.cut(from: world.nodes(of: 1), to: world.nodes(of: 4))
        world.run(for: .milliseconds(1500))
        for (observer, other) in [(1, 4), (4, 1)]
        where !holds(world, observer, of: other, .unreachable, generation: 1) {
            return "\(observer) doesn't hold \(other) unreachable"
        }
        return wrong(world, apartFrom: (1, 4), (4, 1))
    }

    static let partial = MeshStory(name: "one dead path is no dead cluster") { seed in
        var world = world(seed, clusters: 4)
        world.simulation.network.partition([world.nodes(of: 1)[0]], world.others(than: 1))
        world.simulation.network.cut(
            from: [world.nodes(of: 2)[1]], to: world.nodes(of: 3))
        world.run(for: .seconds(60))
        return wrong(world)
    }

    /// Of three paths between two clusters one is broken, and every 20th beat is lost.
    static let broken = MeshStory(name: "with a path broken, loss is not taken for death") {
        seed in
        var world = World(seed: seed, sizes: [3, 3, 3], spares: 1, loss: 0.05)
        world.run(for: .seconds(4))
        for cluster in 1...3 {
            let relay = world.nodes(of: cluster)[0]
            world.simulation.network.partition([relay], world.others(than: cluster))
        }
        world.run(for: .seconds(300))
        if let wrong = wrong(world) { return wrong }
        let times = MeshMeasure.detection(&world, victims: [2], patience: .milliseconds(1100))
        return times.missed > 0 ? "\(times.missed) nodes didn't give up a dead cluster" : nil
    }

    static let held = MeshStory(name: "held up, hearing late or behind a leap nobody accuses") {
        seed in
        var world = world(seed, clusters: 4)
        let nodes = world.nodes(of: 1)
        for (index, node) in nodes.enumerated() {
            world.simulation.pause(node, for: .milliseconds(400 + 300 * Int64(index)))
            world.run(for: .seconds(2))
            world.leap(node, by: .seconds(7200))
            world.run(for: .seconds(2))
        }
        // All at once for longer would be an outage to the others.
        for node in nodes { world.simulation.pause(node, for: .milliseconds(380)) }
        world.run(for: .seconds(2))
        // A quota of a tenth: 20 ms of every 200 ms.
        for _ in 0..<50 {
            for node in nodes { world.simulation.pause(node, for: .milliseconds(180)) }
            world.run(for: .milliseconds(200))
        }
        world.run(for: .seconds(1))
        // Overloaded: hears everything 300...600 ms late.
        for other in world.others(than: 1) {
            world.simulation.network[other, nodes[0]].latency += .milliseconds(300)
            world.simulation.network[other, nodes[0]].jitter = .milliseconds(300)
        }
        world.run(for: .seconds(20))
        return wrong(world)
    }

    /// Nobody else to ask, and no other relay to outvote it.
    static let heldAlone = MeshStory(
        name: "of two clusters of one relay, who is held up accuses nobody", seeds: 10
    ) { seed in
        var world = World(seed: seed, sizes: [1, 1], spares: 1)
        world.run(for: .seconds(4))
        let nodes = world.nodes(of: 1)
        for pause in [300, 800, 2500, 30_000] as [Int64] {
            for node in nodes { world.simulation.pause(node, for: .milliseconds(pause)) }
            world.run(for: .milliseconds(pause) + .seconds(5))
        }
        world.leap(nodes[0], by: .seconds(7200))
        world.run(for: .seconds(5))
        world.leap(nodes[1], by: .seconds(7200))
        world.run(for: .seconds(5))
        for _ in 0..<20 {
            for node in nodes { world.simulation.pause(node, for: .milliseconds(450)) }
            world.run(for: .milliseconds(500))
        }
        world.run(for: .seconds(5))
        return wrong(world, apartFrom: (2, 1))
    }

    static let all = [
        kill, isolation, last, flapping, shortBurst, longBurst, region, oneWay, partial, broken,
        held, heldAlone,
    ]
}
