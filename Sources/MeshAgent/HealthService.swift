// SPDX-License-Identifier: Apache-2.0

import Logging
import MeshDatapath
import MeshModel
import MeshReachability
import MeshTransport
import NIOCore
import ServiceLifecycle

/// The shell around the health cores: sends and takes heartbeats, and stores verdicts into the
/// kernel itself. Runs on an event loop of its own: health never waits for state.
actor HealthService: Service {
    /// What health wants others to know; the kernel knows already.
    enum Event: Sendable {
        case cluster(LivenessChange)
        case node(NodeChange)
        /// To every node of the own cluster.
        case tellOwn(Message)
        /// To the relays of other clusters.
        case tellOthers(Message)
    }

    /// What there is to watch, replaced as a whole when nodes, clusters or services change.
    struct Plan: Equatable, Sendable {
        var paths: [PathPlan] = []
        /// Where the remote end of a path takes heartbeats.
        var addresses: [PathID: TransportAddress] = [:]
        var clusters: [ClusterID] = []
        var inUse: [ClusterID] = []
        var nodes: [NodeID] = []
    }

    nonisolated let unownedExecutor: UnownedSerialExecutor
    /// One reader; unbounded, for each event follows a change of a verdict or a report interval.
    nonisolated let events: AsyncStream<Event>

    private let loop: any EventLoop
    private let own: NodeID
    private nonisolated let socket: HeartbeatSocket
    private let datapath: any Datapath
    private let parameters: ReachabilityParameters
    private let log: Logger
    private nonisolated let inputs: AsyncStream<HealthInput>
    private let continuation: AsyncStream<Event>.Continuation
    private var plan = Plan()
    private var monitor: PathMonitor
    private var verdicts: VerdictEngine
    private var liveness: NodeLiveness
    /// How far this node's replicas are, to compare with what heartbeats say.
    private var positions: [ClusterID: Position] = [:]
    private var heads: [ClusterID: Position] = [:]
    private var timer: Scheduled<Void>?
    private(set) var verdictSince: [ClusterID: Instant] = [:]
    private(set) var nodeSince: [NodeID: Instant] = [:]
    /// The newest report of each relay of the own cluster.
    private(set) var reports: [String: RelayReport] = [:]
    private var reportedAt: [String: Instant] = [:]

    init(
        loop: any EventLoop, own: NodeID, instance: UInt64, parameters: ReachabilityParameters,
        socket: HeartbeatSocket, inputs: AsyncStream<HealthInput>, datapath: any Datapath,
        log: Logger
    ) {
        unownedExecutor = loop.executor.asUnownedSerialExecutor()
        self.loop = loop
        self.own = own
        self.socket = socket
        self.inputs = inputs
        self.datapath = datapath
        self.parameters = parameters
        self.log = log
        monitor = PathMonitor(
            cluster: own.cluster, node: own.name, instance: instance, parameters: parameters)
        verdicts = VerdictEngine(parameters: parameters)
        liveness = NodeLiveness(own: own.cluster, parameters: parameters)
        (events, continuation) = AsyncStream.makeStream()
    }

    func run() async throws {
        restoreOwnCluster(at: .monotonicNow)
        datapath.setNode(own, LivenessWord(verdict: .up, weight: .max, generation: 0))
        await withDiscardingTaskGroup { group in
            group.addTask {
                for await arrival in self.socket.events.cancelOnGracefulShutdown() {
                    await self.receive(arrival)
                }
            }
            group.addTask {
                for await input in self.inputs.cancelOnGracefulShutdown() {
                    await self.take(input)
                }
            }
        }
        timer?.cancel()
        continuation.finish()
    }

    /// The own cluster has no paths: only its drain, and the ramp behind one, change its word.
    private func restoreOwnCluster(at now: Instant) {
        let held = datapath.clusterWord(own.cluster)
        let fresh = LivenessWord(verdict: .up, weight: .max, generation: held.generation)
        let isKnown = held.verdict == .draining || held.verdict == .probation
        verdicts.add(own.cluster, restoring: isKnown ? held : fresh, at: now)
        datapath.setCluster(own.cluster, verdicts.word(of: own.cluster) ?? fresh)
        schedule()
    }

    // MARK: Inputs

    private func take(_ input: HealthInput) {
        switch input {
        case .follow(let plan): follow(plan)
        case .relayReport(let report):
            act { _, effects in judge(report, at: .monotonicNow, into: &effects) }
        case .heard(let node):
            apply(liveness.hear(node, at: .monotonicNow))
            schedule()
        case .claim(let claim): take(claim)
        case .moved(let cluster, let position):
            positions[cluster] = position
            act { _, effects in compareHeads(of: cluster, at: .monotonicNow, into: &effects) }
        case .announce(let head, let rollup):
            monitor.announce(head: head, rollup: rollup, relaySetGeneration: 1)
        case .declare(let drain): declare(drain)
        }
    }

    private func follow(_ plan: Plan) {
        guard plan != self.plan else { return }
        let now = Instant.monotonicNow
        for cluster in plan.clusters where verdicts.word(of: cluster) == nil {
            let held = datapath.clusterWord(cluster)
            verdicts.add(cluster, restoring: held.rawValue == 0 ? nil : held, at: now)
            datapath.setCluster(cluster, verdicts.word(of: cluster) ?? held)
        }
        for cluster in self.plan.clusters where !plan.clusters.contains(cluster) {
            verdicts.remove(cluster)
        }
        for node in plan.nodes where node != own && liveness.word(of: node) == nil {
            let held = datapath.nodeWord(node)
            liveness.add(node, restoring: held.rawValue == 0 ? nil : held, at: now)
            datapath.setNode(node, liveness.word(of: node) ?? held)
        }
        for node in self.plan.nodes where !plan.nodes.contains(node) { liveness.remove(node) }
        self.plan = plan
        act(at: now) { effects, verdictEffects in
            verdicts.use(plan.inUse, at: now, into: &verdictEffects)
            monitor.configure(plan.paths, at: now, into: &effects)
        }
    }

    private func take(_ claim: Message.DeadNodes) {
        let dead = claim.names.compactMap { NodeID(cluster: claim.relay.cluster, name: $0) }
        apply(liveness.receive(dead: dead, claimedBy: claim.relay, at: .monotonicNow))
        schedule()
    }

    private func declare(_ drain: DrainDeclaration) {
        let now = Instant.monotonicNow
        act(at: now) { effects, verdictEffects in
            verdicts.declare(drain, by: own.cluster, at: now, into: &verdictEffects)
            monitor.declare(drain, at: now, into: &effects)
        }
    }

    /// Nodes of the own cluster that are dead, as this relay tells other clusters.
    var ownDead: [NodeID] { liveness.ownDead }

    // MARK: -

    private func receive(_ arrival: HeartbeatArrival) {
        let path = PathID(local: own.name, remote: arrival.peer)
        let beat: Heartbeat
        do {
            beat = try Heartbeat(encoded: arrival.plaintext)
        } catch {
            log.debug(
                "A heartbeat can't be read",
                metadata: ["peer.node": "\(arrival.peer)", "error": "\(error)"])
            return
        }
        apply(liveness.hear(arrival.peer, at: arrival.arrival))
        act { effects, _ in
            monitor.receive(beat, on: path, at: .monotonicNow, into: &effects)
        }
    }

    private func wake() {
        let now = Instant.monotonicNow
        apply(liveness.tick(at: now))
        act(at: now) { effects, verdictEffects in
            monitor.tick(at: now, into: &effects)
            verdicts.tick(at: now, into: &verdictEffects)
        }
    }

    private func act(
        at now: Instant = .monotonicNow,
        _ body: (inout PathEffects, inout VerdictEffects) -> Void
    ) {
        var effects = PathEffects()
        var verdictEffects = VerdictEffects()
        body(&effects, &verdictEffects)
        for outgoing in effects.beats {
            guard let address = plan.addresses[outgoing.path] else { continue }
            socket.send(outgoing.beat.encoded, to: outgoing.path.remote, at: address)
        }
        if let report = effects.report {
            judge(report, at: now, into: &verdictEffects)
            continuation.yield(.tellOwn(.paths(report)))
        }
        for event in effects.events { note(event) }
        perform(verdictEffects, at: now)
        schedule()
    }

    private func judge(
        _ report: RelayReport, at now: Instant, into effects: inout VerdictEffects
    ) {
        reports[report.relay] = report
        verdicts.receive(report, at: now, into: &effects)
        for path in report.paths where path.head > heads[path.remote.cluster] ?? .origin {
            heads[path.remote.cluster] = path.head
            compareHeads(of: path.remote.cluster, at: now, into: &effects)
        }
        reportedAt[report.relay] = now
        for cluster in Set(report.paths.map(\.remote.cluster)).sorted() {
            apply(
                liveness.setReachable(relays: reachable(of: cluster, at: now), of: cluster, at: now)
            )
        }
    }

    /// Relays of a cluster that any relay of this one hears: each has its own paths, so one report
    /// alone would make a majority of every claim.
    private func reachable(of cluster: ClusterID, at now: Instant) -> [NodeID] {
        let heard = reports.values.filter {
            now - (reportedAt[$0.relay] ?? .zero) <= parameters.relaySilence
        }.flatMap(\.paths).filter { $0.remote.cluster == cluster && $0.state == .up }
        return Set(heard.map(\.remote)).sorted()
    }

    private func compareHeads(
        of cluster: ClusterID, at now: Instant, into effects: inout VerdictEffects
    ) {
        guard let head = heads[cluster] else { return }
        verdicts.setCaughtUp(
            (positions[cluster] ?? .origin) >= head, cluster, at: now, into: &effects)
    }

    private func perform(_ effects: VerdictEffects, at now: Instant) {
        for change in effects.words {
            datapath.setCluster(change.cluster, change.word)
            if change.word.verdict != change.previous.verdict { verdictSince[change.cluster] = now }
            continuation.yield(.cluster(change))
        }
        for event in effects.events { note(event) }
    }

    private func apply(_ changes: [NodeChange]) {
        for change in changes {
            datapath.setNode(change.node, change.word)
            nodeSince[change.node] = .monotonicNow
            log.notice(
                change.word.verdict == .unreachable ? "A node is dead" : "A node is live",
                metadata: ["node": "\(change.node)"])
            continuation.yield(.node(change))
        }
        guard changes.contains(where: { $0.node.cluster == own.cluster }) else { return }
        continuation.yield(
            .tellOthers(
                .deadNodes(Message.DeadNodes(relay: own, names: liveness.ownDead.map(\.name)))))
    }

    private func schedule() {
        timer?.cancel()
        let wakes = [monitor.nextWake, verdicts.nextWake, liveness.nextWake].compactMap { $0 }
        guard let next = wakes.min() else { return }
        timer = loop.scheduleTask(
            deadline: .uptimeNanoseconds(next.nanoseconds)
        ) { [weak self] in
            _ = Task { await self?.wake() }
        }
    }

    private func note(_ event: PathEvent) {
        switch event {
        case .stateChanged(let path, let from, let to, let missed):
            log.info(
                "A path changed",
                metadata: [
                    "path": "\(path)", "from": "\(from)", "to": "\(to)", "missed": "\(missed)",
                ])
        case .late(let by):
            log.warning("This relay's timers are late: it abstains", metadata: ["late": "\(by)"])
        case .punctualAgain: log.info("This relay's timers are on time again")
        case .ignored(let path, let reason):
            log.debug(
                "A heartbeat is ignored", metadata: ["path": "\(path)", "reason": "\(reason)"])
        case .relaySetChanged: break
        }
    }

    private func note(_ event: VerdictEvent) {
        switch event {
        case .verdictChanged(let cluster, let from, let to, let evidence):
            log.notice(
                "A cluster's verdict changed",
                metadata: [
                    "peer.cluster": "\(cluster)", "from": "\(from)", "to": "\(to)",
                    "paths": "\(evidence.counted)", "missed": "\(evidence.missed)",
                ])
        case .selfDoubtBegan(let silent, let inUse):
            log.warning(
                "Most clusters fell silent together: the fault is taken for mine",
                metadata: ["silent": "\(silent)", "in-use": "\(inUse)"])
        case .selfDoubtEnded: log.notice("Self-doubt ended")
        case .suppressed(let cluster, let penalty):
            log.warning(
                "A cluster came and went too often: it stays out for now",
                metadata: ["peer.cluster": "\(cluster)", "penalty": "\(Int(penalty))"])
        case .suppressionEnded(let cluster):
            log.notice("A cluster may return", metadata: ["peer.cluster": "\(cluster)"])
        case .drainDeclared(let cluster, let drain):
            log.notice(
                drain.isDraining ? "A cluster drains" : "A cluster no longer drains",
                metadata: ["peer.cluster": "\(cluster)", "generation": "\(drain.generation)"])
        }
    }
}
