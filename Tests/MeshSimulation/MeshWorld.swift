// SPDX-License-Identifier: Apache-2.0

public import MeshModel
public import MeshReachability

/// Clusters whose relays watch each other, in virtual time.
///
/// Every node runs both cores, and is a relay of its cluster or an ordinary node that judges by what
/// the relays report. Paths are paired as in production; nodes of a cluster are 0.2...0.4 ms apart and
/// lose nothing. Every node has a clock of its own.
public struct MeshWorld {
    public enum Event: Sendable {
        case wake
        case beat(Heartbeat, PathID, isInside: Bool)
        case report(RelayReport)
    }

    struct Node {
        /// Without paths on an ordinary node.
        var monitor: PathMonitor
        var engine: VerdictEngine
        var clock: NodeClock
        /// By the world's time.
        var wake: Instant?
        /// Never woken again: with it awake no time would pass.
        var isSpinning = false
    }

    public struct Change: Sendable {
        public let time: Instant
        public let observer: NodeID
        public let change: LivenessChange
    }

    /// How late timers are: evenly in zero..<this.
    private static let timerJitter = Duration.milliseconds(1)

    public let seed: UInt64
    public let parameters: ReachabilityParameters
    private let drift: Double
    public let clusters: [ClusterID]
    /// Of each cluster all nodes, relays first.
    public let members: [ClusterID: [NodeID]]
    /// By who goes by them and whose relays they are.
    private var relays: [NodeID: [ClusterID: [NodeID]]] = [:]
    private var nodes: [Node] = []
    private var indices: [NodeID: Int] = [:]
    public var simulation: Simulation<NodeID, Event>
    public private(set) var changes: [Change] = []
    public private(set) var pathEvents: [(time: Instant, node: NodeID, event: PathEvent)] = []
    public private(set) var events: [(time: Instant, node: NodeID, event: VerdictEvent)] = []
    /// Sentences about what must never happen and did.
    public private(set) var violations: [String] = []
    private var lives: UInt64 = 0
    private var killed: Set<NodeID> = []
    /// Sender and receiver.
    private var brokenOverlays: Set<[NodeID]> = []
    public private(set) var beatsSent = 0

    /// - Parameters:
    ///   - sizes: relays of cluster 1, 2, ...
    ///   - spares: further nodes of each cluster.
    ///   - drift: of clocks, evenly in ± this many parts of one.
    ///   - links: from the first cluster to the second one.
    public init(
        seed: UInt64, sizes: [Int], spares: Int = 0,
        parameters: ReachabilityParameters = .default, drift: Double = 0,
        links: @escaping (ClusterID, ClusterID) -> Link
    ) {
        self.seed = seed
        self.parameters = parameters
        self.drift = drift
        clusters = sizes.indices.map { ClusterID(rawValue: UInt16($0 + 1))! }
        members = Dictionary(
            uniqueKeysWithValues: zip(clusters, sizes).map { cluster, size in
                let names = (0..<size + spares).map { "n\($0)" }
                return (cluster, names.map { NodeID(cluster: cluster, name: $0)! })
            })
        let first = zip(clusters, sizes).map { [members] in
            ($0, Array(members[$0]!.prefix($1)))
        }
        for node in members.values.joined() {
            relays[node] = Dictionary(uniqueKeysWithValues: first)
        }
        let near = Link(latency: .microseconds(200), jitter: .microseconds(200))
        simulation = Simulation(
            seed: seed, start: Instant(nanoseconds: 3_600_000_000_000),
            network: Network {
                $0.cluster == $1.cluster ? near : links($0.cluster, $1.cluster)
            })
        for cluster in clusters { start(cluster) }
    }

    /// All clusters equally far from each other.
    public init(
        seed: UInt64, sizes: [Int], spares: Int = 0, rtt: Duration = .milliseconds(80),
        jitter: Duration = .milliseconds(5), loss: Double = 0,
        parameters: ReachabilityParameters = .default
    ) {
        let far = Link(latency: rtt / 2, jitter: jitter, loss: loss)
        self.init(seed: seed, sizes: sizes, spares: spares, parameters: parameters) {
            _, _ in far
        }
    }

    public var now: Instant { simulation.now }

    /// Everything of a cluster, relays first.
    public func nodes(of cluster: Int) -> [NodeID] { members[clusters[cluster - 1]]! }

    public func others(than cluster: Int) -> [NodeID] {
        clusters.filter { $0 != clusters[cluster - 1] }.flatMap { members[$0]! }
    }

    // MARK: Running

    public mutating func run(for duration: Duration) {
        let end = now + duration
        while let (id, event) = simulation.next(until: end) { handle(event, at: id) }
    }

    private mutating func handle(_ event: Event, at id: NodeID) {
        // In place: a copy of a core would copy its windows with every event.
        let index = indices[id]!
        let now = nodes[index].clock.reading(at: simulation.now)
        var paths = PathEffects()
        var verdicts = VerdictEffects()
        switch event {
        case .wake:
            guard let wake = nodes[index].wake, wake <= simulation.now else { return }
            nodes[index].wake = nil
            if let due = nodes[index].monitor.nextWake, due <= now {
                nodes[index].monitor.tick(at: now, into: &paths)
                note(nodes[index].monitor.nextWake, at: now, of: "path monitor", id)
            }
            if let due = nodes[index].engine.nextWake, due <= now {
                nodes[index].engine.tick(at: now, into: &verdicts)
                note(nodes[index].engine.nextWake, at: now, of: "verdict engine", id)
            }
        case .beat(let beat, let path, let isInside):
            nodes[index].monitor.receive(
                beat, on: path, isInside: isInside, at: now, into: &paths)
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
            beatsSent += 1
            if out.isInside, brokenOverlays.contains([id, remote]) { continue }
            simulation.send(
                .beat(
                    out.beat, PathID(local: remote.name, remote: id), isInside: out.isInside),
                from: id, to: remote)
        }
        if let report = paths.report {
            nodes[index].engine.receive(report, at: reading(index), into: &verdicts)
            for sibling in members[id.cluster]! where sibling != id {
                simulation.send(.report(report), from: id, to: sibling)
            }
        }
        for change in verdicts.words {
            changes.append(Change(time: now, observer: id, change: change))
        }
        for event in paths.events { pathEvents.append((now, id, event)) }
        for event in verdicts.events { events.append((now, id, event)) }
        wake(index, id)
    }

    /// A core that has run and wants to run again at once would keep a processor busy for ever.
    private mutating func note(
        _ nextWake: Instant?, at now: Instant, of core: String, _ id: NodeID
    ) {
        guard let nextWake, nextWake <= now else { return }
        nodes[indices[id]!].isSpinning = true
        violations.append("the \(core) of \(id) ran and wants to run again at once")
    }

    private mutating func wake(_ index: Int, _ id: NodeID) {
        let wakes = [nodes[index].monitor.nextWake, nodes[index].engine.nextWake]
        guard let asked = wakes.compactMap({ $0 }).min(), !nodes[index].isSpinning else { return }
        let wake = nodes[index].clock.time(of: asked)
        guard nodes[index].wake.map({ wake < $0 }) ?? true else { return }
        nodes[index].wake = wake
        let late = simulation.generator.duration(below: Self.timerJitter)
        simulation.schedule(.wake, for: id, at: max(wake, now) + late)
    }

    // MARK: Doing things to it

    private func reading(_ index: Int) -> Instant { nodes[index].clock.reading(at: now) }

    private mutating func start(_ cluster: ClusterID) {
        let remotes = clusters.filter { $0 != cluster }
        for id in members[cluster]! {
            lives += 1
            let clock = NodeClock(drift: drift, &simulation.generator)
            let now = clock.reading(at: simulation.now)
            var node = Node(
                monitor: PathMonitor(
                    cluster: cluster, node: id.name, instance: seed << 20 | lives,
                    parameters: parameters),
                engine: VerdictEngine(own: cluster, parameters: parameters), clock: clock)
            var verdicts = VerdictEffects()
            node.monitor.announce(takesInside: true)
            for known in [cluster] + remotes { node.engine.add(known, at: now) }
            node.engine.use(remotes, at: now, into: &verdicts)
            var paths = PathEffects()
            node.monitor.configure(plans(of: id), at: now, into: &paths)
            let index = indices[id] ?? nodes.count
            if index == nodes.count { nodes.append(node) } else { nodes[index] = node }
            indices[id] = index
            perform(paths, verdicts, of: index, id)
        }
    }

    private func plans(of id: NodeID) -> [PathPlan] {
        let relays = relays[id]!
        let own = relays[id.cluster]!.map(\.name)
        return clusters.filter { $0 != id.cluster }.flatMap { remote in
            let paths = RelayChoice.paths(from: own, to: relays[remote]!)
            return paths.map { PathPlan(path: $0, isInUse: true, isSingle: paths.count == 1) }
        }
    }

    /// Some nodes go by other relays of a cluster from now on, as others will sooner or later.
    public mutating func adopt(_ relays: [Int], of cluster: Int, by followers: [NodeID]) {
        let set = relays.map { nodes(of: cluster)[$0] }
        for id in followers where !killed.contains(id) {
            self.relays[id]![clusters[cluster - 1]] = set
            let index = indices[id]!
            let now = reading(index)
            var paths = PathEffects()
            nodes[index].monitor.configure(plans(of: id), at: now, into: &paths)
            perform(paths, VerdictEffects(), of: index, id)
        }
    }

    public mutating func kill(_ node: NodeID) {
        killed.insert(node)
        simulation.kill(node)
    }

    public mutating func kill(cluster: Int) {
        for node in nodes(of: cluster) { kill(node) }
    }

    public mutating func revive(cluster: Int) {
        for node in nodes(of: cluster) { simulation.revive(node) }
        killed.subtract(nodes(of: cluster))
        start(clusters[cluster - 1])
    }

    /// Cuts all paths between two clusters in both directions, or joins them again.
    public mutating func partition(_ first: Int, _ second: Int, isCut: Bool = true) {
        simulation.network.partition(nodes(of: first), nodes(of: second), isCut: isCut)
    }

    /// Loses what some nodes send to others inside the overlay, and nothing else, or no longer.
    public mutating func breakOverlay(
        from senders: [NodeID], to receivers: [NodeID], isBroken: Bool = true
    ) {
        for sender in senders {
            for receiver in receivers {
                if isBroken {
                    brokenOverlays.insert([sender, receiver])
                } else {
                    brokenOverlays.remove([sender, receiver])
                }
            }
        }
    }

    public mutating func breakOverlay(from sender: Int, to receiver: Int, isBroken: Bool = true) {
        breakOverlay(from: nodes(of: sender), to: nodes(of: receiver), isBroken: isBroken)
    }

    /// Cuts a cluster off from all others, or joins it again.
    public mutating func isolate(_ cluster: Int, isCut: Bool = true) {
        simulation.network.partition(nodes(of: cluster), others(than: cluster), isCut: isCut)
    }

    /// A node's clock leaps ahead, as behind a virtual machine's migration.
    public mutating func leap(_ node: NodeID, by duration: Duration) {
        let index = indices[node]!
        nodes[index].clock.leap(by: duration)
        // What it waits for is over at once.
        nodes[index].wake = now
        simulation.schedule(.wake, for: node, at: now)
    }

    public mutating func drain(cluster: Int, generation: UInt64, _ isDraining: Bool) {
        for id in nodes(of: cluster) {
            let index = indices[id]!
            let now = reading(index)
            var paths = PathEffects()
            nodes[index].monitor.declare(
                DrainDeclaration(generation: generation, isDraining: isDraining), at: now,
                into: &paths)
            perform(paths, VerdictEffects(), of: index, id)
        }
    }

    /// What every relay of a cluster says that it can do, and does.
    public mutating func load(cluster: Int, _ workload: Workload?) {
        for id in nodes(of: cluster) { nodes[indices[id]!].monitor.announce(workload) }
    }

    public mutating func setCaughtUp(_ isCaughtUp: Bool, _ cluster: Int, at id: NodeID) {
        let index = indices[id]!
        var verdicts = VerdictEffects()
        let now = reading(index)
        nodes[index].engine.setCaughtUp(isCaughtUp, clusters[cluster - 1], at: now, into: &verdicts)
        perform(PathEffects(), verdicts, of: index, id)
    }

    // MARK: Looking

    public func word(of cluster: Int, seenBy node: NodeID) -> LivenessWord {
        nodes[indices[node]!].engine.word(of: clusters[cluster - 1])!
    }

    /// Paths of one node by the remote node's name.
    public func paths(of node: NodeID) -> [String: PathState] {
        let index = indices[node]!
        return Dictionary(
            uniqueKeysWithValues: nodes[index].monitor.statuses(at: reading(index)).map {
                ("\($0.remote.name)", $0.state)
            })
    }

    public func evidence(of cluster: Int, seenBy node: NodeID) -> Evidence {
        nodes[indices[node]!].engine.evidence(of: clusters[cluster - 1])!
    }

    public func verdicts(of cluster: Int, seenBy observer: Int) -> [Verdict] {
        nodes(of: observer).map { word(of: cluster, seenBy: $0).verdict! }
    }

    /// Which of a service's clusters take new flows, as `select_backend` in `bpf/lib/selection.h`
    /// has it: those with a weight; if there is none those not unreachable; else all.
    public func choice(among candidates: [Int], seenBy node: NodeID) -> [Int] {
        let words = candidates.map { (cluster: $0, word: word(of: $0, seenBy: node)) }
        let ranks = [
            words.filter { $0.word.weight > 0 }, words.filter { $0.word.verdict != .unreachable },
            words,
        ]
        return ranks.first { !$0.isEmpty }?.map(\.cluster) ?? []
    }

    /// Words stored since `start`.
    ///
    /// - Complexity: as many steps back as it returns.
    public func changes(since start: Instant) -> ArraySlice<Change> {
        changes[((changes.lastIndex { $0.time < start } ?? -1) + 1)...]
    }

    /// Words stored since `start` whose verdict is `verdict`, about `cluster` or any.
    public func changes(
        to verdict: Verdict, of cluster: Int? = nil, since start: Instant = .zero
    ) -> [Change] {
        changes(since: start).filter {
            $0.change.word.verdict == verdict
                && (cluster == nil || clusters[cluster! - 1] == $0.change.cluster)
        }
    }

    /// What a failed expectation prints.
    public func hint(_ test: String = "MeshReachabilityTests") -> String {
        Replay.hint(seed, filter: test)
    }
}
