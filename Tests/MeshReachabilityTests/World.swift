// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability
import MeshSimulation

/// Clusters of relays that watch each other, in virtual time.
///
/// Every node is a relay of its cluster and runs both cores. Paths are paired as in production; nodes
/// of a cluster are 0.2...0.4 ms apart and lose nothing.
struct World {
    enum Event {
        case wake
        case beat(Heartbeat, PathID)
        case report(RelayReport)
    }

    struct Node {
        var monitor: PathMonitor
        var engine: VerdictEngine
        var wake: Instant?
    }

    struct Change {
        let time: Instant
        let observer: NodeID
        let change: LivenessChange
    }

    /// How late timers are: evenly in zero..<this.
    static let timerJitter = Duration.milliseconds(1)

    let seed: UInt64
    let parameters: ReachabilityParameters
    let clusters: [ClusterID]
    let relays: [ClusterID: [NodeID]]
    private var nodes: [Node] = []
    private var indices: [NodeID: Int] = [:]
    var simulation: Simulation<NodeID, Event>
    private(set) var changes: [Change] = []
    private(set) var pathEvents: [(time: Instant, node: NodeID, event: PathEvent)] = []
    private(set) var events: [(time: Instant, node: NodeID, event: VerdictEvent)] = []
    private var lives: UInt64 = 0

    /// - Parameter sizes: relays of cluster 1, 2, ...
    init(
        seed: UInt64, sizes: [Int], rtt: Duration = .milliseconds(80),
        jitter: Duration = .milliseconds(5), loss: Double = 0,
        parameters: ReachabilityParameters = .default
    ) {
        self.seed = seed
        self.parameters = parameters
        clusters = sizes.indices.map { ClusterID(rawValue: UInt16($0 + 1))! }
        relays = Dictionary(
            uniqueKeysWithValues: zip(clusters, sizes).map { cluster, size in
                (cluster, (0..<size).map { NodeID(cluster: cluster, name: "n\($0)")! })
            })
        let near = Link(latency: .microseconds(200), jitter: .microseconds(200))
        let far = Link(latency: rtt / 2, jitter: jitter, loss: loss)
        simulation = Simulation(
            seed: seed, start: Instant(nanoseconds: 3_600_000_000_000),
            network: Network { $0.cluster == $1.cluster ? near : far })
        for cluster in clusters { start(cluster) }
    }

    var now: Instant { simulation.now }

    /// Everything of a cluster, in the order of its relays.
    func nodes(of cluster: Int) -> [NodeID] { relays[clusters[cluster - 1]]! }

    func others(than cluster: Int) -> [NodeID] {
        clusters.filter { $0 != clusters[cluster - 1] }.flatMap { relays[$0]! }
    }

    // MARK: Running

    mutating func run(for duration: Duration) {
        let end = now + duration
        while let (id, event) = simulation.next(until: end) { handle(event, at: id) }
    }

    private mutating func handle(_ event: Event, at id: NodeID) {
        // In place: a copy of a core would copy its windows with every event.
        let index = indices[id]!
        var paths = PathEffects()
        var verdicts = VerdictEffects()
        switch event {
        case .wake:
            guard let wake = nodes[index].wake, wake <= now else { return }
            nodes[index].wake = nil
            if nodes[index].monitor.nextWake.map({ $0 <= now }) ?? false {
                nodes[index].monitor.tick(at: now, into: &paths)
            }
            if nodes[index].engine.nextWake.map({ $0 <= now }) ?? false {
                nodes[index].engine.tick(at: now, into: &verdicts)
            }
        case .beat(let beat, let path):
            nodes[index].monitor.receive(beat, on: path, at: now, into: &paths)
        case .report(let report):
            nodes[index].engine.receive(report, at: now, into: &verdicts)
        }
        perform(paths, verdicts, of: index, id)
    }

    private mutating func perform(
        _ paths: PathEffects, _ verdicts: VerdictEffects, of index: Int, _ id: NodeID
    ) {
        var verdicts = verdicts
        for out in paths.beats {
            let remote = out.path.remote
            simulation.send(
                .beat(out.beat, PathID(local: remote.name, remote: id)), from: id, to: remote)
        }
        if let report = paths.report {
            nodes[index].engine.receive(report, at: now, into: &verdicts)
            for sibling in relays[id.cluster]! where sibling != id {
                simulation.send(.report(report), from: id, to: sibling)
            }
        }
        for change in verdicts.words {
            changes.append(Change(time: now, observer: id, change: change))
        }
        for event in paths.events { pathEvents.append((now, id, event)) }
        for event in verdicts.events { events.append((now, id, event)) }
        let wakes = (nodes[index].monitor.nextWake, nodes[index].engine.nextWake)
        let wake = wakes.0.map { first in wakes.1.map { min(first, $0) } ?? first } ?? wakes.1
        if let wake, nodes[index].wake.map({ wake < $0 }) ?? true {
            nodes[index].wake = wake
            let late = simulation.generator.duration(below: Self.timerJitter)
            simulation.schedule(.wake, for: id, at: max(wake, now) + late)
        }
    }

    // MARK: Doing things to it

    private mutating func start(_ cluster: ClusterID) {
        let own = relays[cluster]!
        let remotes = clusters.filter { $0 != cluster }
        for id in own {
            lives += 1
            var node = Node(
                monitor: PathMonitor(
                    cluster: cluster, node: id.name, instance: seed << 20 | lives,
                    parameters: parameters),
                engine: VerdictEngine(parameters: parameters))
            var verdicts = VerdictEffects()
            for remote in remotes { node.engine.add(remote, at: now) }
            node.engine.use(remotes, at: now, into: &verdicts)
            let plans = remotes.flatMap { remote in
                let paths = RelayChoice.paths(from: own.map(\.name), to: relays[remote]!)
                return paths.map {
                    PathPlan(path: $0, isInUse: true, isSingle: paths.count == 1)
                }
            }
            var paths = PathEffects()
            node.monitor.configure(plans, at: now, into: &paths)
            let index = indices[id] ?? nodes.count
            if index == nodes.count { nodes.append(node) } else { nodes[index] = node }
            indices[id] = index
            perform(paths, verdicts, of: index, id)
        }
    }

    mutating func kill(cluster: Int) {
        for node in nodes(of: cluster) { simulation.kill(node) }
    }

    mutating func revive(cluster: Int) {
        for node in nodes(of: cluster) { simulation.revive(node) }
        start(clusters[cluster - 1])
    }

    mutating func drain(cluster: Int, generation: UInt64, _ isDraining: Bool) {
        for id in nodes(of: cluster) {
            let index = indices[id]!
            var paths = PathEffects()
            nodes[index].monitor.declare(
                DrainDeclaration(generation: generation, isDraining: isDraining), at: now,
                into: &paths)
            perform(paths, VerdictEffects(), of: index, id)
        }
    }

    mutating func setCaughtUp(_ isCaughtUp: Bool, _ cluster: Int, at id: NodeID) {
        let index = indices[id]!
        var verdicts = VerdictEffects()
        nodes[index].engine.setCaughtUp(isCaughtUp, clusters[cluster - 1], at: now, into: &verdicts)
        perform(PathEffects(), verdicts, of: index, id)
    }

    // MARK: Looking

    func word(of cluster: Int, seenBy node: NodeID) -> LivenessWord {
        nodes[indices[node]!].engine.word(of: clusters[cluster - 1])!
    }

    func verdicts(of cluster: Int, seenBy observer: Int) -> [Verdict] {
        nodes(of: observer).map { word(of: cluster, seenBy: $0).verdict! }
    }

    /// Words stored since `start` whose verdict is `verdict`, about `cluster` or any.
    func changes(
        to verdict: Verdict, of cluster: Int? = nil, since start: Instant = .zero
    ) -> [Change] {
        changes.filter {
            $0.time >= start && $0.change.word.verdict == verdict
                && (cluster == nil || clusters[cluster! - 1] == $0.change.cluster)
        }
    }

    /// What a failed expectation prints.
    func hint(_ test: String = "MeshReachabilityTests") -> String {
        Replay.hint(seed, filter: test)
    }
}
