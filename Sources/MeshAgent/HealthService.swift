// SPDX-License-Identifier: Apache-2.0

import Logging
import MeshDatapath
import MeshMembership
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
        /// Whether the agent of a node of the own cluster answers; its kernel may do so for longer.
        case member(String, isLive: Bool)
        /// A cluster's relays are others than this node goes by.
        case relaySet(ClusterID, generation: UInt64)
    }

    /// What there is to watch, replaced as a whole when nodes, clusters or services change.
    struct Plan: Equatable, Sendable {
        var paths: [PathPlan] = []
        /// Where the remote end of a path takes heartbeats.
        var addresses: [PathID: TransportAddress] = [:]
        var clusters: [ClusterID] = []
        var inUse: [ClusterID] = []
        var nodes: Set<NodeID> = []
        /// Of these, who says that it leaves; never this one. Sorted.
        var draining: [NodeID] = []
        /// As clusters announce them; of those that announced none yet, the paths tell.
        var relaySets: [ClusterID: RelaySetRecord] = [:]
        /// The other nodes of the own cluster.
        var members: [NodeID: Member] = [:]

        struct Member: Equatable, Sendable {
            /// Where it takes gossip.
            let address: TransportAddress
            let keys: [GossipKey]
        }
    }

    /// Between two renewals of the lease by which the kernel answers for this agent. From the own loop,
    /// so that the answers' age shows when it stalls.
    private static let leaseInterval = TimeAmount.milliseconds(500)

    nonisolated let unownedExecutor: UnownedSerialExecutor
    /// One reader; unbounded, for each event follows a change of a verdict or a report interval.
    nonisolated let events: AsyncStream<Event>

    private let loop: any EventLoop
    private let instance: UInt64
    let own: NodeID
    private nonisolated let socket: DatagramSocket
    let datapath: any Datapath
    let parameters: ReachabilityParameters
    let log: Logger
    private nonisolated let inputs: AsyncStream<HealthInput>
    private nonisolated let suspicions: AsyncStream<Suspicion>
    private let continuation: AsyncStream<Event>.Continuation
    var plan = Plan()
    /// Of the plan's paths, and of those that are kept a while longer.
    private var addresses: [PathID: TransportAddress] = [:]
    var monitor: PathMonitor
    var verdicts: VerdictEngine
    var liveness: NodeLiveness
    var membership: Membership
    /// Accused nodes whose kernels have answered.
    var vouched: Set<NodeID> = []
    /// Names of the own cluster's nodes by what testimonies call them.
    var names: [UInt64: String] = [:]
    /// How far this node's replicas are, to compare with what heartbeats say.
    private var positions: [ClusterID: Position] = [:]
    private var heads: [ClusterID: Position] = [:]
    /// Whether this node has left, or leaves, by its operator's wish.
    var departure = NodeDeparture.Phase.serving
    let profile: HealthProfile
    private var timer: (due: Instant, task: Scheduled<Void>)?
    private(set) var verdictSince: [ClusterID: Instant] = [:]
    /// Of clusters that are silent.
    private(set) var hearsay: [ClusterID: Hearsay] = [:]
    var nodeSince: [NodeID: Instant] = [:]
    /// The newest report of each relay of the own cluster.
    private(set) var reports: [String: RelayReport] = [:]
    private(set) var reportedAt: [String: Instant] = [:]
    var history = HealthHistory()
    private(set) var figures = HealthFigures()

    init(
        loop: any EventLoop, own: NodeID, instance: UInt64, profile: HealthProfile,
        socket: DatagramSocket, inputs: AsyncStream<HealthInput>,
        suspicions: AsyncStream<Suspicion>, datapath: any Datapath, log: Logger
    ) {
        unownedExecutor = loop.executor.asUnownedSerialExecutor()
        self.loop = loop
        self.instance = instance
        self.own = own
        self.socket = socket
        self.inputs = inputs
        self.suspicions = suspicions
        self.datapath = datapath
        self.profile = profile
        parameters = profile.reachability
        self.log = log
        monitor = PathMonitor(
            cluster: own.cluster, node: own.name, instance: instance, parameters: parameters)
        monitor.announce(takesInside: socket.hasInside)
        verdicts = VerdictEngine(own: own.cluster, parameters: parameters)
        liveness = NodeLiveness(own: own.cluster, parameters: parameters)
        membership = Membership(
            own: own.name, parameters: profile.membership, seed: .random(in: 0...(.max)))
        (events, continuation) = AsyncStream.makeStream()
    }

    func run() async throws {
        let instance = instance
        datapath.renewLease(of: instance, at: .monotonicNow)
        let renewal = loop.scheduleRepeatedTask(
            initialDelay: Self.leaseInterval, delay: Self.leaseInterval
        ) { [datapath] _ in datapath.renewLease(of: instance, at: .monotonicNow) }
        defer { renewal.cancel() }
        restoreOwnCluster(at: .monotonicNow)
        restoreOwnNode()
        await withDiscardingTaskGroup { group in
            group.addTask { await self.serve(self.socket.heartbeats) { $0.receive($1) } }
            group.addTask { await self.serve(self.socket.gossip) { $0.receive($1) } }
            group.addTask { await self.serve(self.socket.answers) { $0.receive($1) } }
            group.addTask { await self.serve(self.suspicions) { $0.take($1) } }
            group.addTask { await self.serve(self.inputs) { $0.take($1) } }
        }
        timer?.task.cancel()
        continuation.finish()
    }

    private func serve<Element: Sendable>(
        _ stream: AsyncStream<Element>,
        _ body: @Sendable (isolated HealthService, Element) -> Void
    ) async {
        for await element in stream.cancelOnGracefulShutdown() { body(self, element) }
    }

    /// The own cluster has no paths: only its drain, the ramp behind one and its capacity change its
    /// word.
    private func restoreOwnCluster(at now: Instant) {
        let held = datapath.clusterWord(own.cluster)
        let fresh = LivenessWord(verdict: .up, weight: .max, generation: held.generation)
        let isKnown = [.up, .draining, .probation].contains(held.verdict)
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
        case .claim(let claim): take(claim)
        case .moved(let cluster, let position):
            positions[cluster] = position
            act { _, effects in compareHeads(of: cluster, at: .monotonicNow, into: &effects) }
        case .announce(let relaySet, let head, let rollup):
            monitor.announce(head: head, rollup: rollup, relaySetGeneration: relaySet)
        case .declare(let drain): declare(drain)
        case .departure(let phase): take(phase)
        case .heardSay(let hearsay, let cluster): take(hearsay, of: cluster)
        case .workload(let workload):
            membership.workload = workload
            monitor.announce(membership.totalWorkload(without: leaving))
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
        for cluster in Set(self.plan.clusters).subtracting(plan.clusters).sorted() {
            forget(cluster)
        }
        let added = plan.nodes.filter { $0 != own && liveness.word(of: $0) == nil }
        for node in added.sorted() {
            let held = datapath.nodeWord(node)
            liveness.add(node, restoring: held.rawValue == 0 ? nil : held, at: now)
            datapath.setNode(node, liveness.word(of: node) ?? held)
        }
        for node in self.plan.nodes.subtracting(plan.nodes).sorted() { liveness.remove(node) }
        apply(liveness.setDraining(plan.draining, at: now))
        for (cluster, set) in plan.relaySets where set != self.plan.relaySets[cluster] {
            history.note(set, of: cluster, at: now)
        }
        addresses.merge(plan.addresses) { $1 }
        self.plan = plan
        names = Dictionary(
            (plan.members.keys + [own]).map { (Testimony.hash(of: $0.name), $0.name) }
        ) { first, _ in first }
        socket.install(roster: plan.members.mapValues(\.keys))
        act(at: now) { effects, verdictEffects in
            verdicts.use(plan.inUse, at: now, into: &verdictEffects)
            monitor.configure(plan.paths, at: now, into: &effects)
        }
        configureMembership(at: now)
        let beating = Set(monitor.pathIDs)
        addresses = addresses.filter { beating.contains($0.key) }
    }

    /// What third clusters know of a silent one, for people: no verdict depends on it.
    private func take(_ hearsay: Hearsay?, of cluster: ClusterID) {
        self.hearsay[cluster] = hearsay
        guard let hearsay else { return }
        history.note(cluster, at: .monotonicNow, hearsay.sentence)
    }

    /// A cluster is no peer any more. Should it come again it is as new; only its generation goes on,
    /// for there may be flows of former ones.
    private func forget(_ cluster: ClusterID) {
        verdicts.remove(cluster)
        verdictSince[cluster] = nil
        hearsay[cluster] = nil
        figures.forget(cluster)
        positions[cluster] = nil
        heads[cluster] = nil
        datapath.setCluster(
            cluster,
            LivenessWord(
                verdict: .unknown, weight: .max,
                generation: datapath.clusterWord(cluster).generation))
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

    // MARK: -

    /// Asks the kernels of accused nodes whether only their agents are silent.
    private func probe(at now: Instant) {
        for node in liveness.takeProbes(at: now) {
            guard let member = plan.members[node] else { continue }
            socket.send(probe: node, to: member.address)
        }
    }

    private func wake() {
        timer = nil
        let now = Instant.monotonicNow
        gossip(at: now) { effects in membership.tick(at: now, into: &effects) }
        apply(liveness.tick(at: now))
        // Each goes through all clusters: not when only another was due.
        act(at: now) { effects, verdictEffects in
            if let due = monitor.nextWake, due <= now { monitor.tick(at: now, into: &effects) }
            if let due = verdicts.nextWake, due <= now {
                verdicts.tick(at: now, into: &verdictEffects)
            }
        }
    }

    func act(
        at now: Instant = .monotonicNow,
        _ body: (inout PathEffects, inout VerdictEffects) -> Void
    ) {
        var effects = PathEffects()
        var verdictEffects = VerdictEffects()
        body(&effects, &verdictEffects)
        for outgoing in effects.beats {
            guard let address = addresses[outgoing.path] else { continue }
            if outgoing.isInside {
                socket.send(
                    inside: outgoing.beat.encoded, to: outgoing.path.remote, at: address.address)
            } else {
                socket.send(outgoing.beat.encoded, to: outgoing.path.remote, at: address)
            }
        }
        if let report = effects.report {
            judge(report, at: now, into: &verdictEffects)
            continuation.yield(.tellOwn(.paths(report)))
        }
        for event in effects.events {
            note(event)
            guard case .relaySetChanged(let path, let generation) = event else { continue }
            continuation.yield(.relaySet(path.cluster, generation: generation))
        }
        perform(verdictEffects, at: now)
        schedule()
    }

    /// Sends what the membership wants sent, and goes by what it believes.
    func gossip(
        at now: Instant = .monotonicNow, _ body: (inout MembershipEffects) -> Void
    ) {
        var effects = MembershipEffects()
        body(&effects)
        for datagram in effects.sends {
            guard let node = NodeID(cluster: own.cluster, name: datagram.to),
                let member = plan.members[node]
            else { continue }
            socket.send(gossip: datagram.bytes, to: node, at: member.address)
        }
        for event in effects.events {
            note(event)
            guard case .changed(let change) = event else { continue }
            if change.to == .suspect {
                history.note(
                    own.cluster, node: change.name, at: now,
                    "doesn't answer \(change.accusers.joined(separator: ", ")); it has time to contradict"
                )
            }
            guard let node = NodeID(cluster: own.cluster, name: change.name),
                let belief = NodeLiveness.Belief(change.to)
            else { continue }
            if belief == .live { vouched.remove(node) }
            if belief != .suspect {
                continuation.yield(.member(change.name, isLive: belief == .live))
            }
            apply(liveness.believe(node, belief, at: now))
        }
    }

    private func judge(
        _ report: RelayReport, at now: Instant, into effects: inout VerdictEffects
    ) {
        history.note(report, after: reports[report.relay], at: now)
        reports[report.relay] = report
        verdicts.receive(report, at: now, into: &effects)
        for path in report.paths where path.head > heads[path.remote.cluster] ?? .origin {
            heads[path.remote.cluster] = path.head
            compareHeads(of: path.remote.cluster, at: now, into: &effects)
        }
        reportedAt[report.relay] = now
        let paths = reportedPaths(at: now)
        for cluster in Set(report.paths.map(\.remote.cluster)).sorted() {
            let reported = paths[cluster] ?? []
            apply(liveness.setReachable(relays: reported.reachable, of: cluster, at: now))
            monitor.testify(reported.testimonies, to: cluster)
        }
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
            if change.word.verdict != change.previous.verdict {
                verdictSince[change.cluster] = now
                figures.note(
                    change, silence: silence(of: change.cluster, at: now),
                    atUnixSeconds: unixSeconds())
            }
            continuation.yield(.cluster(change))
        }
        for event in effects.events {
            note(event)
            history.note(event, at: now)
        }
    }

    func apply(_ changes: [NodeChange]) {
        for change in changes {
            datapath.setNode(change.node, change.word)
            let now = Instant.monotonicNow
            nodeSince[change.node] = now
            history.note(change, at: now)
            note(change)
            continuation.yield(.node(change))
        }
        guard changes.contains(where: { $0.node.cluster == own.cluster }) else { return }
        continuation.yield(
            .tellOthers(
                .deadNodes(Message.DeadNodes(relay: own, names: liveness.ownDead.map(\.name)))))
    }

    func schedule() {
        probe(at: .monotonicNow)
        let wakes = [
            monitor.nextWake, verdicts.nextWake, liveness.nextWake, membership.nextWake,
        ].compactMap { $0 }
        guard let next = wakes.min() else { return }
        // Most of what comes in puts a wake off: one too early does less than a new timer each time.
        if let timer, timer.due <= next { return }
        timer?.task.cancel()
        let task = loop.scheduleTask(
            deadline: .uptimeNanoseconds(next.nanoseconds)
        ) { [weak self] in
            _ = Task { await self?.wake() }
        }
        timer = (next, task)
    }
}
