// SPDX-License-Identifier: Apache-2.0

import HeapModule
public import MeshModel
import OrderedCollections

/// A relay's watch over its paths: sends heartbeats, judges what comes back, reports to its cluster.
///
/// A value without clock, socket or log. The shell calls ``receive(_:on:at:into:)`` for every opened
/// heartbeat and ``tick(at:into:)`` at ``nextWake``, and then performs the effects. It stamps `now`
/// from one monotonic clock, as late as it can: lateness is measured, and makes the relay abstain.
///
/// - Complexity: `O(log paths)` per beat, `O(paths)` per report and in memory, about 5 KB a path.
public struct PathMonitor: Sendable {
    public let node: String
    private let parameters: ReachabilityParameters
    private var words: Announcement
    private var paths: OrderedDictionary<PathID, Path> = [:]
    /// When paths want to be looked at: one entry of each that counts, and left-overs that don't.
    private var wakes = Heap<Wake>()
    private var startedAt: Instant?
    private var punctuality: Punctuality
    private var reports: UInt64 = 0
    private var nextReport: Instant?
    private var hasNews = false
    /// Whether a path that was looked at is to be removed.
    private var hasSpent = false

    /// - Parameters:
    ///   - cluster: the own one.
    ///   - node: the name of this relay.
    ///   - instance: different in every life of this process, as 64 random bits.
    public init(
        cluster: ClusterID, node: String, instance: UInt64,
        parameters: ReachabilityParameters = .default
    ) {
        self.node = node
        self.parameters = parameters
        words = Announcement(cluster: cluster, instance: instance)
        punctuality = Punctuality(parameters)
    }

    /// When ``tick(at:into:)`` wants to be called; nil without paths.
    public private(set) var nextWake: Instant?

    public var isAbstaining: Bool { punctuality.isDoubtful }

    /// Replaces the set of paths; those of other relays among `plans` are left out. One that stays
    /// keeps all it knows; a new one starts unknown, but for one to a cluster that was up before this
    /// process started, as long as that is news.
    ///
    /// One that `plans` lack and that is up goes on for a while, or for as long as the peer plans it:
    /// the two sides learn of new relays at different times, and neither may take the other's change
    /// for a failure. What it reports is that it is up, or nothing.
    public mutating func configure(
        _ plans: [PathPlan], at now: Instant, into effects: inout PathEffects
    ) {
        noteWake(at: now, into: &effects)
        var former = paths
        paths = [:]
        let start = startedAt ?? now
        startedAt = start
        for plan in plans.sorted(by: { $0.path < $1.path }) where plan.path.local == node {
            if var path = former.removeValue(forKey: plan.path) {
                path.follow(plan, at: now)
                paths[plan.path] = path
            } else {
                let isStarting = now - start < parameters.startGrace
                paths[plan.path] = Path(
                    isStarting ? plan : plan.forgetting, phase: phase(of: plan.path), at: now,
                    parameters)
            }
        }
        retire(former, at: now)
        hasNews = true
        lookAtAll(at: now, into: &effects)
    }

    private mutating func retire(_ former: OrderedDictionary<PathID, Path>, at now: Instant) {
        var kept: [ClusterID: Int] = [:]
        var retired = former
        for index in retired.values.indices { retired.values[index].retire(at: now) }
        // A peer that goes on changing its relays must not fill the memory: the oldest go first.
        let latest = retired.elements.sorted {
            ($0.value.keptUntil ?? now) > ($1.value.keptUntil ?? now)
        }
        for (id, path) in latest
        where kept[id.cluster, default: 0] < parameters.handoversMaximum {
            kept[id.cluster, default: 0] += 1
            paths[id] = path
        }
        paths.sort { $0.key < $1.key }
    }

    /// Every path that beats, whether planned or kept for a while.
    public var pathIDs: [PathID] { Array(paths.keys) }

    /// What the next heartbeats say of this cluster's ledger and relays.
    public mutating func announce(
        head: Position, rollup: RollupHash, relaySetGeneration: UInt64
    ) {
        words.head = head
        words.rollup = rollup
        words.relaySetGeneration = relaySetGeneration
    }

    /// What the next heartbeats and reports say of this cluster's capacity; nil: not known.
    public mutating func announce(_ workload: Workload?) { words.workload = workload }

    /// Whether this node can send and take beats inside the overlay. If the peer can, too, every second
    /// one goes there, and a path is up only if they arrive as the others do.
    public mutating func announce(takesInside: Bool) { words.takesInside = takesInside }

    /// What the next heartbeats to a cluster say of its nodes.
    public mutating func testify(_ testimonies: [Testimony], to cluster: ClusterID) {
        words.testimonies[cluster] = testimonies
    }

    /// Tells all peers at once, and three times more, that this cluster drains or has ended it. An
    /// older or the same generation is ignored.
    public mutating func declare(
        _ drain: DrainDeclaration, at now: Instant, into effects: inout PathEffects
    ) {
        guard drain.generation > words.drain.generation else { return }
        noteWake(at: now, into: &effects)
        words.drain = drain
        for index in paths.values.indices { paths.values[index].insist(at: now) }
        lookAtAll(at: now, into: &effects)
    }

    /// Takes a heartbeat that the transport has authenticated as coming over `path`.
    ///
    /// - Parameter isInside: it came through the overlay.
    public mutating func receive(
        _ beat: Heartbeat, on id: PathID, isInside: Bool = false, at now: Instant,
        into effects: inout PathEffects
    ) {
        noteWake(at: now, into: &effects)
        guard let index = paths.index(forKey: id) else {
            effects.events.append(.ignored(id, .unknownPath))
            return
        }
        let before = paths.values[index].lastBeat
        let isPrompt = !punctuality.isDoubtful
        let reason = paths.values[index].receive(
            beat, isInside: isInside, at: now, isPrompt: isPrompt)
        if let reason {
            effects.events.append(.ignored(id, reason))
        } else {
            hasNews = hasNews || before?.drain != beat.drain
            if beat.relaySetGeneration > before?.relaySetGeneration ?? 0 {
                effects.events.append(
                    .relaySetChanged(id, generation: beat.relaySetGeneration))
            }
        }
        look(at: index, now, into: &effects)
        run(at: now, into: &effects)
    }

    /// Sends what is due and counts what is missing.
    public mutating func tick(at now: Instant, into effects: inout PathEffects) {
        noteWake(at: now, into: &effects)
        run(at: now, into: &effects)
    }

    /// All paths that count as of `now`, in the order of their remote nodes.
    public func statuses(at now: Instant) -> [PathStatus] {
        paths.values.lazy.filter(\.isCounted).map { $0.status(at: now) }
    }

    // MARK: -

    private mutating func noteWake(at now: Instant, into effects: inout PathEffects) {
        let wasDoubtful = punctuality.isDoubtful
        if let overslept = punctuality.wake(at: now) {
            for index in paths.values.indices { paths.values[index].forgive(overslept) }
            effects.events.append(.late(by: overslept))
            hasNews = true
        } else if wasDoubtful, !punctuality.isDoubtful {
            effects.events.append(.punctualAgain)
            hasNews = true
        }
        punctuality.ask(for: nil)
    }

    /// Looks at every path whose time has come.
    private mutating func run(at now: Instant, into effects: inout PathEffects) {
        while let first = wakes.min, first.time <= now {
            wakes.removeMin()
            guard let index = paths.index(forKey: first.path),
                paths.values[index].wake == first.time
            else { continue }
            paths.values[index].wake = nil
            look(at: index, now, into: &effects)
        }
        if hasSpent {
            hasSpent = false
            paths.removeAll { $0.value.isSpent(at: now) }
            hasNews = true
        }
        report(at: now, into: &effects)
        nextWake =
            paths.isEmpty
            ? nil : [wakes.min?.time, nextReport, punctuality.nextWake].compactMap(\.self).min()
        punctuality.ask(for: nextWake)
    }

    /// Looks at every path, due or not: the queue must never make a difference.
    mutating func lookAtAll(at now: Instant, into effects: inout PathEffects) {
        wakes = []
        for index in paths.values.indices {
            paths.values[index].wake = nil
            look(at: index, now, into: &effects)
        }
        run(at: now, into: &effects)
    }

    /// Sends what is due on one path and counts what is missing.
    private mutating func look(
        at index: Int, _ now: Instant, into effects: inout PathEffects
    ) {
        let missed = paths.values[index].missed
        if let from = paths.values[index].assess(at: now) {
            hasNews = true
            effects.events.append(
                .stateChanged(
                    paths.keys[index], from: from, to: paths.values[index].state,
                    missed: paths.values[index].missed))
        }
        let missedNow = paths.values[index].missed
        hasNews =
            hasNews || missed != missedNow && missedNow >= parameters.missedUntilPathSuspect
        while let (beat, isInside) = paths.values[index].nextBeat(at: now, words) {
            effects.beats.append(
                OutgoingBeat(path: paths.keys[index], beat: beat, isInside: isInside))
        }
        hasSpent = hasSpent || paths.values[index].isSpent(at: now)
        let wake = paths.values[index].nextWake(after: now)
        guard paths.values[index].wake.map({ wake < $0 }) ?? true else { return }
        paths.values[index].wake = wake
        wakes.insert(Wake(time: wake, path: paths.keys[index]))
    }

    private mutating func report(at now: Instant, into effects: inout PathEffects) {
        guard hasNews || nextReport.map({ now >= $0 }) ?? false else { return }
        hasNews = false
        reports += 1
        nextReport = paths.isEmpty ? nil : now + parameters.reportInterval
        effects.report = RelayReport(
            relay: node, sequence: reports, instance: words.instance,
            isAbstaining: isAbstaining, workload: words.workload, paths: statuses(at: now))
    }

    /// 0..<1, the same for a path in a life of this process.
    private func phase(of path: PathID) -> Double {
        var hash = StableHash()
        hash.combine(words.instance)
        hash.combine("\(path)")
        return Double(hash.value >> 11) / Double(UInt64(1) << 53)
    }
}

/// A path's time in the queue. It never is later than the path's own; if it is earlier, nothing is due.
private struct Wake: Comparable, Sendable {
    let time: Instant
    let path: PathID

    static func < (left: Wake, right: Wake) -> Bool {
        left.time == right.time ? left.path < right.path : left.time < right.time
    }
}
