// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// One path as its local relay sees it: when to send, what is due, what is missing.
struct Path: Sendable {
    /// Counts of missing beats stop here; all bounds are far below.
    static let missedMaximum = 15

    private(set) var plan: PathPlan
    /// Its entry in the queue of its monitor.
    var wake: Instant?
    /// Set since the plan lacks this path: until then it is kept for those that take its place.
    private(set) var keptUntil: Instant?
    private let parameters: ReachabilityParameters

    // What goes out.
    private var sequence: UInt64 = 0
    private var pace: Duration
    private var announced: Duration
    private var beatsBeforeSlowdown = 0
    private(set) var nextSend: Instant
    private var lastSent: Instant?
    private var repeats = 0
    private var nextRepeat: Instant?
    private var sent: SentLog

    // What comes in.
    private var peerInstance: UInt64?
    private var retiredInstance: UInt64?
    private var arrivals: ArrivalEstimator
    private var expected: Instant?
    private var isExpectedExact = false
    private var expectedInterval: Int64
    private var outboundMissing = 0
    private var isEchoed = false
    private var beats = 0
    private(set) var lastArrival: Instant?
    private(set) var lastBeat: Heartbeat?
    private var inside = InsideBeats()

    /// As of the last ``assess(at:)``.
    private(set) var state: PathState
    private(set) var missed = 0
    /// Of these, beats that didn't arrive here, and whether it is silence that keeps it from being up.
    private var unheard = 0
    private var isSilent = true

    /// - Parameter phase: of the first beat within the interval, 0..<1, so that paths don't beat in step.
    init(_ plan: PathPlan, phase: Double, at now: Instant, _ parameters: ReachabilityParameters) {
        self.plan = plan
        self.parameters = parameters
        pace = max(plan.interval(parameters), parameters.intervalMinimum)
        announced = pace
        nextSend = now + .nanoseconds(Int64(Double(pace.nanoseconds) * phase))
        sent = SentLog(parameters)
        arrivals = ArrivalEstimator(parameters)
        expectedInterval = pace.nanoseconds
        expected = plan.wasUp ? now + parameters.startGrace : nil
        state = plan.wasUp ? .up : .unknown
    }

    mutating func follow(_ plan: PathPlan, at now: Instant) {
        self.plan = plan
        keptUntil = nil
        adjustPace(at: now)
    }

    // MARK: Going

    /// The plan lacks it from now on. The peer learns that with the next beat, and may learn of the
    /// new plan later.
    mutating func retire(at now: Instant) {
        keptUntil = keptUntil ?? now + parameters.handover
    }

    /// What it says counts: always of a planned path; of another only that it is alive. Its silence
    /// says nothing of a cluster, for its relay may have died or gone.
    var isCounted: Bool { keptUntil == nil || state == .up }

    /// Whether nobody goes by it any more: it is silent, or had its time and the peer's plan lacks it,
    /// too. While the peer plans it, it would take silence for a failure.
    func isSpent(at now: Instant) -> Bool {
        guard let keptUntil else { return false }
        switch state {
        case .unknown, .down: return true
        case .suspect: return false
        case .up: return now >= keptUntil && lastBeat?.isPlanned != true
        }
    }

    // MARK: Sending

    /// The faster of what I want and what the peer asked for.
    private var wantedPace: Duration {
        let own = plan.interval(parameters)
        return max(min(own, lastBeat?.wanted ?? own), parameters.intervalMinimum)
    }

    /// Faster at once; slower only after some beats have said so, else the peer would miss me.
    private mutating func adjustPace(at now: Instant) {
        let wanted = wantedPace
        guard wanted != announced else { return }
        announced = wanted
        if wanted <= pace {
            pace = wanted
            beatsBeforeSlowdown = 0
            nextSend = min(nextSend, now)
        } else {
            beatsBeforeSlowdown = parameters.slowdownBeats
        }
    }

    /// Sends now and a few times more.
    mutating func insist(at now: Instant) {
        repeats = parameters.drainRepeats + 1
        nextRepeat = now
    }

    /// A peer heard on a path that isn't up gets its echo at once: both sides know within a round
    /// trip that it is mended. Never more often than the fastest pace, so that two can't excite
    /// each other.
    private mutating func answer(at now: Instant) {
        guard state != .up, isSilent, nextRepeat == nil else { return }
        if let lastSent, now - lastSent < parameters.intervalMinimum { return }
        repeats = 1
        nextRepeat = now
    }

    /// The beat due at `now`, if one is.
    mutating func nextBeat(
        at now: Instant, _ words: Announcement
    ) -> (beat: Heartbeat, isInside: Bool)? {
        if now >= nextSend {
            if beatsBeforeSlowdown > 0 {
                beatsBeforeSlowdown -= 1
                if beatsBeforeSlowdown == 0 { pace = announced }
            }
            // Keep the cadence, but don't catch up what was overslept.
            nextSend = nextSend + pace > now ? nextSend + pace : now + pace
            if let due = nextRepeat, due <= now { countRepeat(at: now) }
            return beat(at: now, words, isScheduled: true)
        }
        guard let due = nextRepeat, due <= now else { return nil }
        countRepeat(at: now)
        return beat(at: now, words, isScheduled: false)
    }

    private mutating func countRepeat(at now: Instant) {
        repeats -= 1
        nextRepeat = repeats > 0 ? now + parameters.drainRepeatInterval : nil
    }

    private mutating func beat(
        at now: Instant, _ words: Announcement, isScheduled: Bool
    ) -> (beat: Heartbeat, isInside: Bool) {
        sequence += 1
        lastSent = now
        sent.append(sequence, sentAt: now, isScheduled: isScheduled)
        var echo: HeartbeatEcho?
        if let lastBeat, let lastArrival {
            echo = HeartbeatEcho(sequence: lastBeat.sequence, hold: now - lastArrival)
        }
        let followsInside = inside.lastWentInside
        let isInside = inside.next(mayGo: words.takesInside && lastBeat?.takesInside == true)
        let beat = Heartbeat(
            cluster: words.cluster, instance: words.instance, sequence: sequence, sentAt: now,
            interval: announced, wanted: plan.interval(parameters), isScheduled: isScheduled,
            isPlanned: keptUntil == nil, takesInside: words.takesInside,
            followsInside: followsInside, insideMissed: UInt8(inside.unheard), echo: echo,
            drain: words.drain, head: words.head, rollup: words.rollup,
            relaySetGeneration: words.relaySetGeneration, workload: words.workload,
            testimonies: words.testimonies[plan.path.cluster] ?? [])
        return (beat, isInside)
    }

    // MARK: Receiving

    /// - Parameters:
    ///   - isInside: it came through the overlay.
    ///   - isPrompt: false if this process was held up, so that `now` isn't the arrival.
    /// - Returns: why the beat was ignored, nil if it was not.
    mutating func receive(
        _ beat: Heartbeat, isInside: Bool, at now: Instant, isPrompt: Bool
    ) -> IgnoredBeat? {
        guard beat.cluster == plan.path.cluster else { return .foreignCluster }
        if beat.instance != peerInstance {
            guard beat.instance != retiredInstance else { return .retiredInstance }
            retiredInstance = peerInstance
            peerInstance = beat.instance
            lastBeat = nil
            inside.restart()
            sent.restart(at: sequence)
        }
        inside.observe(beat, isInside: isInside, isPrompt: isPrompt, after: lastBeat)
        if let last = lastBeat?.sequence, beat.sequence <= last { return .oldSequence }
        beats = state == .suspect || state == .down ? 1 : min(beats + 1, Int(UInt8.max))
        expectNext(after: beat, at: now, isPrompt: isPrompt)
        lastArrival = now
        lastBeat = beat
        hold(beat.echo, at: now)
        adjustPace(at: now)
        answer(at: now)
        return nil
    }

    private mutating func expectNext(after beat: Heartbeat, at now: Instant, isPrompt: Bool) {
        let interval = beat.interval.nanoseconds
        expectedInterval = interval
        guard isPrompt else {
            expected = now + .nanoseconds(interval)
            isExpectedExact = false
            return
        }
        var due: Instant?
        if let last = lastBeat?.sequence, let expected, isExpectedExact, beat.isScheduled {
            // Lost ones in between don't keep this one from being measured.
            let lost = Int64(min(beat.sequence - last - 1, UInt64(Self.missedMaximum)))
            due = expected + .nanoseconds(lost * interval)
        }
        let next = arrivals.observe(
            sentAt: beat.sentAt, arrival: now, expected: due, interval: interval)
        // Behind one out of schedule, the due one is still to come.
        if !beat.isScheduled, let expected, expected > now { return }
        expected = next
        isExpectedExact = beat.isScheduled
    }

    private mutating func hold(_ echo: HeartbeatEcho?, at now: Instant) {
        var echoed: UInt64 = 0
        if let echo, sent.accept(echo, arrival: now) {
            echoed = echo.sequence
            isEchoed = true
        }
        outboundMissing = sent.missing(after: echoed, arrival: now)
    }

    // MARK: Judging

    /// - Returns: the state before, if it is another one now.
    mutating func assess(at now: Instant) -> PathState? {
        let before = state
        unheard = inboundMissing(at: now)
        let silent = max(unheard, outboundMissing - parameters.outboundAllowance)
        isSilent = state == .unknown || silent >= parameters.missedUntilPathSuspect
        missed = min(
            max(silent, inside.missed - parameters.insideAllowance), Self.missedMaximum)
        if missed >= parameters.missedUntilPathDown {
            state = state == .unknown ? .unknown : .down
        } else if missed >= parameters.missedUntilPathSuspect {
            state = state == .unknown ? .unknown : .suspect
        } else if isEchoed, lastBeat != nil {
            state = .up
        }
        if state == .suspect || state == .down { beats = 0 }
        return state == before ? nil : before
    }

    private func inboundMissing(at now: Instant) -> Int {
        guard let expected else { return 0 }
        let over = (now - expected).nanoseconds - arrivals.margin
        guard over > 0 else { return 0 }
        return Int(min(1 + over / expectedInterval, Int64(Self.missedMaximum)))
    }

    /// When one more beat will be missing; nil if that changes nothing any more.
    private var nextDeadline: Instant? {
        guard let expected, unheard < Self.missedMaximum else { return nil }
        let more = unheard == 0 ? 1 : Int64(unheard) * expectedInterval
        return expected + .nanoseconds(arrivals.margin + more)
    }

    /// Takes the time that this process overslept out of what its peer is held to.
    mutating func forgive(_ overslept: Duration) {
        expected = expected.map { $0 + overslept }
    }

    func nextWake(after now: Instant) -> Instant {
        var wake = nextSend
        if let nextRepeat { wake = min(wake, nextRepeat) }
        if let nextDeadline, nextDeadline > now { wake = min(wake, nextDeadline) }
        return wake
    }

    func status(at now: Instant) -> PathStatus {
        PathStatus(
            remote: plan.path.remote, state: state, missed: UInt8(missed), beats: UInt8(beats),
            silence: lastArrival.map { now - $0 },
            roundTrip: sent.smoothed.map { .nanoseconds($0) },
            drain: lastBeat?.drain ?? .never, head: lastBeat?.head ?? .origin,
            relaySetGeneration: lastBeat?.relaySetGeneration ?? 0,
            workload: lastBeat?.workload,
            insideMissed: inside.isInUse ? UInt8(inside.missed) : nil)
    }
}

/// What this relay's cluster says of itself in every beat.
struct Announcement: Sendable {
    let cluster: ClusterID
    let instance: UInt64
    var drain = DrainDeclaration.never
    var head = Position.origin
    var rollup = RollupHash.zero
    var relaySetGeneration: UInt64 = 0
    var workload: Workload?
    /// Whether beats can come and go inside the overlay.
    var takesInside = false
    /// By the cluster that they are for.
    var testimonies: [ClusterID: [Testimony]] = [:]
}
