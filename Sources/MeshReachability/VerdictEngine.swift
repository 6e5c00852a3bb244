// SPDX-License-Identifier: Apache-2.0

public import MeshModel
import OrderedCollections

/// Turns what the relays of a cluster report into one verdict per remote cluster, on every node alike.
///
/// | verdict | weight | taken when | undone by |
/// |---|---|---|---|
/// | unknown | up to 255 | never heard | the first beat |
/// | suspect | 0 | quorum of paths suspect, ≥ 4 beats missing | one beat on as many paths as break the quorum |
/// | suspect | 0 | one path less than that, and most backends there don't answer | either of them |
/// | unreachable | 0, generation + 1 | quorum of paths down, ≥ 6 missing (≥ 7 of three paths), no self-doubt | ten beats, replica caught up, 5 s hold, not suppressed |
/// | probation | 10...100 % of up's | after that, or at the end of a drain | 30 s |
/// | draining | 0 | the owner says so | the owner says so |
///
/// Up, a cluster has 25...255, after the capacity that it says it has to spare (``CapacityParameters``):
/// an opinion about itself that costs it flows and never brings it more than full weight. When one
/// leaves, the others' weights share its load by what they have to spare. The own cluster is one of
/// them, and none is ever taken away.
///
/// A value without clock, socket or log. Nothing that another cluster says about a third one enters.
/// - Complexity: `O(clusters + paths)` per report, paths of all relays together; words are stored per cluster, whatever its services.
public struct VerdictEngine: Sendable {
    private let own: ClusterID?
    private let parameters: ReachabilityParameters
    private var standings: OrderedDictionary<ClusterID, Standing> = [:]
    private var relays: OrderedDictionary<String, RelayView> = [:]
    private var inUse: OrderedSet<ClusterID> = []
    /// Connections to most of their backends get no answer.
    private var contradicted: Set<ClusterID> = []
    /// Set when a relay begins to be counted, until the others have had time to report as well:
    /// else the first report after a start would be a quorum of one.
    private var unsettledUntil: Instant?
    /// Set while self-doubt stands, and a window longer: see ``judge(at:mayWorsen:into:)``.
    private var doubtfulUntil: Instant?

    /// - Parameter own: the observer's cluster, whose capacity the reports tell.
    public init(own: ClusterID? = nil, parameters: ReachabilityParameters = .default) {
        self.own = own
        self.parameters = parameters
    }

    /// When ``tick(at:into:)`` wants to be called; nil if only reports can change anything.
    public private(set) var nextWake: Instant?

    // MARK: Inputs

    /// Begins to judge a cluster. One that is known is left as it is.
    /// - Parameter word: what the kernel holds from before a restart, which stays in force: an agent
    ///   that restarts changes no verdict.
    public mutating func add(
        _ cluster: ClusterID, restoring word: LivenessWord? = nil, at now: Instant
    ) {
        guard standings[cluster] == nil else { return }
        standings[cluster] = Standing(restoring: word, at: now, parameters)
        nextWake =
            standings[cluster]?.nextWake(after: now).map { min($0, nextWake ?? $0) } ?? nextWake
    }

    public mutating func remove(_ cluster: ClusterID) {
        standings.removeValue(forKey: cluster)
        inUse.remove(cluster)
        contradicted.remove(cluster)
    }

    /// The clusters that services here have, or may fail over to, backends in.
    public mutating func use(
        _ clusters: some Sequence<ClusterID>, at now: Instant, into effects: inout VerdictEffects
    ) {
        inUse = OrderedSet(clusters)
        evaluate(at: now, into: &effects)
    }

    /// Takes the report of a relay of the own cluster, whose sender the transport has authenticated.
    public mutating func receive(
        _ report: RelayReport, at now: Instant, into effects: inout VerdictEffects
    ) {
        let wasCounted = relays[report.relay]?.isCounted(at: now, parameters) ?? false
        guard relays[report.relay, default: RelayView()].replace(with: report, at: now)
        else { return }
        if !wasCounted, !report.isAbstaining { unsettledUntil = now + parameters.settling }
        for path in report.paths {
            // A path on which nothing was heard says nothing of a drain that is known from before.
            guard let index = standings.index(forKey: path.remote.cluster),
                let silence = path.silence
            else { continue }
            standings.values[index].hear(of: now - silence)
            declare(path.drain, by: index, at: now, into: &effects)
        }
        evaluate(at: now, into: &effects)
    }

    /// Takes what a cluster's ledger says of its drain; heartbeats say the same, sooner.
    public mutating func declare(
        _ drain: DrainDeclaration, by cluster: ClusterID, at now: Instant,
        into effects: inout VerdictEffects
    ) {
        guard let index = standings.index(forKey: cluster) else { return }
        declare(drain, by: index, at: now, into: &effects)
        evaluate(at: now, into: &effects)
    }

    /// Whether the replica of a cluster's ledger is where its heartbeats say the ledger is. True until
    /// told otherwise; a cluster that was unreachable takes no flow before it is.
    public mutating func setCaughtUp(
        _ isCaughtUp: Bool, _ cluster: ClusterID, at now: Instant,
        into effects: inout VerdictEffects
    ) {
        guard standings[cluster]?.isCaughtUp == !isCaughtUp else { return }
        standings[cluster]?.isCaughtUp = isCaughtUp
        evaluate(at: now, into: &effects)
    }

    /// Connections to most of a cluster's backends get no answer, or do again. That is one voice among
    /// those of its paths when it is suspected, and none when it is given up: who isn't answered may
    /// be refused by a policy there, or ask for a service that hangs.
    public mutating func contradict(
        _ cluster: ClusterID, _ isContradicted: Bool, at now: Instant,
        into effects: inout VerdictEffects
    ) {
        if isContradicted {
            contradicted.insert(cluster)
        } else {
            contradicted.remove(cluster)
        }
        evaluate(at: now, into: &effects)
    }

    /// Changes nothing before ``nextWake``.
    public mutating func tick(at now: Instant, into effects: inout VerdictEffects) {
        evaluate(at: now, into: &effects)
    }

    // MARK: Views

    /// The word last handed out, or restored; nil for a cluster that was not added.
    public func word(of cluster: ClusterID) -> LivenessWord? { standings[cluster]?.word }

    public func evidence(of cluster: ClusterID) -> Evidence? { standings[cluster]?.evidence }

    /// What a cluster last said of its capacity, and the share of its full weight that this leaves it,
    /// 0.1...1; nil if it doesn't say.
    public func capacity(of cluster: ClusterID) -> (workload: Workload, share: Double)? {
        guard let standing = standings[cluster], let workload = standing.workload else {
            return nil
        }
        return (workload, standing.capacity.value)
    }

    /// Whether so many clusters fell silent together that the fault is taken for mine.
    public var isDoubtingItself: Bool { doubtfulUntil != nil }

    public var clusters: [ClusterID] { standings.keys.sorted() }

    // MARK: -

    private mutating func declare(
        _ drain: DrainDeclaration, by index: Int, at now: Instant,
        into effects: inout VerdictEffects
    ) {
        let wasDraining = standings.values[index].drain.isDraining
        guard standings.values[index].declare(drain, at: now), wasDraining != drain.isDraining
        else { return }
        effects.events.append(.drainDeclared(standings.keys[index], drain))
    }

    private mutating func evaluate(at now: Instant, into effects: inout VerdictEffects) {
        if let until = unsettledUntil, now >= until { unsettledUntil = nil }
        let isSettled = unsettledUntil == nil
        for (index, evidence) in evidence(at: now).enumerated() {
            standings.values[index].weigh(evidence, at: now, mayWorsen: isSettled)
        }
        judge(at: now, mayWorsen: isSettled, into: &effects)
        balance(at: now, into: &effects)
        for index in standings.values.indices {
            settle(index, at: now, into: &effects)
        }
        nextWake = wakeAfter(now)
    }

    /// All verdicts are taken on what was known before the first of them.
    ///
    /// Doubt outlasts its cause by a window: when my own road is mended the clusters come back one
    /// by one, and the last must not be condemned by the first.
    private mutating func judge(
        at now: Instant, mayWorsen: Bool, into effects: inout VerdictEffects
    ) {
        var condemned: [Int] = []
        let wasDoubtful = isDoubtingItself
        for (index, standing) in standings.values.enumerated() where standing.isGone {
            switch electorate(for: standing).verdict {
            case .trustMyself: condemned.append(index)
            case .wait: break
            case .doubtMyself: doubtfulUntil = now + parameters.doubtWindow
            }
        }
        if let doubtfulUntil, now >= doubtfulUntil { self.doubtfulUntil = nil }
        if !isDoubtingItself, mayWorsen {
            for index in condemned { giveUp(index, at: now, into: &effects) }
        }
        guard wasDoubtful != isDoubtingItself else { return }
        let silent = inUse.filter { standings[$0]?.silentSince != nil }
        effects.events.append(
            isDoubtingItself
                ? .selfDoubtBegan(silent: silent.sorted(), inUse: inUse.count) : .selfDoubtEnded)
    }

    private mutating func balance(at now: Instant, into effects: inout VerdictEffects) {
        let before = standings.values.map(\.capacity.value)
        var lost = 0.0
        var hasOneLeft = false
        for index in standings.values.indices {
            let workloads = workloads(of: standings.keys[index], at: now)
            guard standings.values[index].balance(workloads, at: now) else { continue }
            hasOneLeft = true
            lost += Double(standings.values[index].workload?.used ?? 0)
        }
        if hasOneLeft { spread(lost, at: now) }
        for (index, before) in before.enumerated() {
            let cluster = standings.keys[index]
            let standing = standings.values[index]
            guard standing.isServing, (before < 1) != (standing.capacity.value < 1) else {
                continue
            }
            if before < 1 {
                effects.events.append(.capacityAmple(cluster))
            } else if let workload = standing.workload {
                effects.events.append(.capacityShort(cluster, workload))
            }
        }
    }

    /// Loads follow weights in proportion, so with weights as they are all survivors would grow by one
    /// factor. Each gets its own: as if it took what was lost in proportion to what it has to spare, and
    /// nobody more than that. Readings show it later, and take over.
    private mutating func spread(_ lost: Double, at now: Instant) {
        let survivors = standings.values.indices.filter { standings.values[$0].isServing }
        let workloads = survivors.compactMap { standings.values[$0].workload }
        let spare = workloads.map { Double($0.spare) }.reduce(0, +)
        guard spare > 0, let most = workloads.map({ growth($0, lost, spare) }).max() else { return }
        for index in survivors {
            // One that doesn't say keeps what it has.
            let own = standings.values[index].workload.map { growth($0, lost, spare) } ?? most
            standings.values[index].yield(own / most, at: now)
        }
    }

    private func growth(_ workload: Workload, _ lost: Double, _ spare: Double) -> Double {
        let gain = min(lost / spare, 1) * Double(workload.spare)
        return min(1 + gain / max(Double(workload.used), 1), 1 / parameters.capacity.floor)
    }

    /// Nil if no relay could say, or hears it now.
    private func workloads(of cluster: ClusterID, at now: Instant) -> WorkloadSum? {
        guard cluster == own else {
            let evidence = standings[cluster]?.evidence
            return evidence.flatMap { $0.up > 0 ? $0.workloads : nil }
        }
        let views = relays.values.filter { $0.isFresh(at: now, parameters) }
        guard !views.isEmpty else { return nil }
        var sum = WorkloadSum()
        for case let workload? in views.map(\.workload) { sum.add(workload) }
        return sum
    }

    private mutating func giveUp(
        _ index: Int, at now: Instant, into effects: inout VerdictEffects
    ) {
        standings.values[index].giveUp(at: now)
        let damping = standings.values[index].damping
        guard damping.isSuppressed else { return }
        effects.events.append(
            .suppressed(standings.keys[index], penalty: damping.value(at: now)))
    }

    private func electorate(for candidate: Standing) -> Electorate {
        Electorate(
            inUse.compactMap { standings[$0] }, on: candidate, window: parameters.doubtWindow)
    }

    private mutating func settle(
        _ index: Int, at now: Instant, into effects: inout VerdictEffects
    ) {
        let cluster = standings.keys[index]
        if standings.values[index].relent(at: now) {
            effects.events.append(.suppressionEnded(cluster))
        }
        standings.values[index].recover(at: now)
        let previous = standings.values[index].word
        guard let word = standings.values[index].settle(at: now) else { return }
        effects.words.append(LivenessChange(cluster: cluster, word: word, previous: previous))
        guard let from = previous.verdict, let to = word.verdict, from != to else { return }
        effects.events.append(
            .verdictChanged(cluster, from: from, to: to, standings.values[index].evidence))
    }

    /// What is known of each cluster, in the order of `standings`.
    ///
    /// A relay that is late accuses nobody, but what it hears lives: left out as well, it would leave the
    /// one dead path of another relay to be all there is.
    private func evidence(at now: Instant) -> [Evidence] {
        var all = [Evidence](repeating: Evidence(), count: standings.count)
        var broken = [Int](repeating: 0, count: standings.count)
        for cluster in contradicted {
            if let index = standings.index(forKey: cluster) { all[index].isContradicted = true }
        }
        for view in relays.values where view.isFresh(at: now, parameters) {
            let isCounted = view.isCounted(at: now, parameters)
            for path in view.paths where path.state == .up || isCounted && path.state != .unknown {
                guard let index = standings.index(forKey: path.remote.cluster) else { continue }
                all[index].count(path, parameters)
                if path.missed >= Path.missedMaximum { broken[index] += 1 }
            }
        }
        // A path that has long been silent while a quorum of others wasn't is broken. What it misses is
        // no news: with it every third beat lost in a row on one other path would be a verdict.
        for index in all.indices where broken[index] < all[index].quorum {
            all[index].missed -= broken[index] * Path.missedMaximum
        }
        return all
    }

    private func wakeAfter(_ now: Instant) -> Instant? {
        var wakes = standings.values.compactMap { $0.nextWake(after: now) }
        for view in relays.values where view.isFresh(at: now, parameters) {
            wakes.append(view.receivedAt + parameters.relaySilence + .nanoseconds(1))
        }
        if let doubtfulUntil { wakes.append(doubtfulUntil) }
        if let unsettledUntil { wakes.append(unsettledUntil) }
        return wakes.min()
    }
}

/// The last report of one relay.
private struct RelayView: Sendable {
    private(set) var receivedAt = Instant.zero
    private var instance: UInt64?
    private var retired: UInt64?
    private var sequence: UInt64 = 0
    private var isAbstaining = true
    private(set) var paths: [PathStatus] = []
    private(set) var workload: Workload?

    /// - Returns: false for a report that is older than what is known.
    mutating func replace(with report: RelayReport, at now: Instant) -> Bool {
        if report.instance == instance {
            guard report.sequence > sequence else { return false }
        } else {
            guard report.instance != retired else { return false }
            retired = instance
            instance = report.instance
        }
        sequence = report.sequence
        isAbstaining = report.isAbstaining
        paths = report.paths
        workload = report.workload
        receivedAt = now
        return true
    }

    func isFresh(at now: Instant, _ parameters: ReachabilityParameters) -> Bool {
        now - receivedAt <= parameters.relaySilence
    }

    func isCounted(at now: Instant, _ parameters: ReachabilityParameters) -> Bool {
        !isAbstaining && isFresh(at: now, parameters)
    }
}

extension Evidence {
    fileprivate mutating func count(_ path: PathStatus, _ parameters: ReachabilityParameters) {
        counted += 1
        missed += Int(path.missed)
        if path.state == .suspect || path.state == .down { suspect += 1 }
        if path.state == .down { down += 1 }
        if path.overlayIsSilent { overlaySilent += 1 }
        if path.state == .up {
            up += 1
            if let workload = path.workload { workloads.add(workload) }
        }
        if path.state == .up, path.beats >= parameters.beatsUntilRecovered { recovered += 1 }
    }
}
