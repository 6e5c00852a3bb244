// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// What one node believes about one remote cluster. Silence and drain lie over a base that they
/// leave untouched: when they end, the base shows again.
struct Standing: Sendable {
    enum Base: Hashable, Sendable {
        case unknown
        case up
        case unreachable
        /// Back since then, at a weight that grows.
        case probation(since: Instant)
    }

    private let parameters: ReachabilityParameters
    private(set) var base: Base
    /// When a quorum of paths fell silent; nil while there is none.
    private(set) var silentSince: Instant?
    /// The latest beat of the cluster that any relay told of.
    private(set) var lastHeard: Instant?
    private(set) var evidence = Evidence()
    /// Connections get no answer, and they make the quorum of the paths that fell silent: no new flows,
    /// and nothing that lasts.
    private(set) var isDoubted = false
    private(set) var drain = DrainDeclaration.never
    private var isDrainRestored = false
    private(set) var damping: Damping
    private(set) var capacity: CapacityShare
    /// The last that was heard of it; nil: it doesn't say.
    private(set) var workload: Workload?
    private var isCounted = false
    var isCaughtUp = true
    private var recoveredSince: Instant?
    private var generation: UInt32
    private var lastStep = Instant.zero
    private(set) var word: LivenessWord

    /// - Parameter word: what the kernel holds from before this process started.
    init(restoring word: LivenessWord?, at now: Instant, _ parameters: ReachabilityParameters) {
        self.parameters = parameters
        damping = Damping(parameters.damping)
        capacity = CapacityShare(at: now, parameters.capacity)
        generation = word?.generation ?? 0
        self.word = word ?? LivenessWord(verdict: .unknown, weight: .max, generation: 0)
        switch word?.verdict ?? .unknown {
        case .unknown: base = .unknown
        case .up:
            base = .up
            capacity = CapacityShare(Double(self.word.weight) / 255, at: now, parameters.capacity)
        case .suspect: base = .up
        case .unreachable: base = .unreachable
        case .probation:
            let share = Double(self.word.weight) / 255
            base = .probation(
                since: now - .nanoseconds(Int64(share * Double(parameters.ramp.nanoseconds))))
        case .draining:
            base = .up
            drain.isDraining = true
            isDrainRestored = true
        }
    }

    mutating func hear(of instant: Instant) { lastHeard = max(lastHeard ?? instant, instant) }

    /// - Returns: whether this is news: of a higher generation than known.
    mutating func declare(_ declaration: DrainDeclaration, at now: Instant) -> Bool {
        guard declaration.generation > drain.generation || isDrainRestored else { return false }
        let wasDraining = drain.isDraining
        isDrainRestored = false
        drain = declaration
        if wasDraining, !declaration.isDraining, base == .up || base == .unknown {
            base = .probation(since: now)
        }
        return true
    }

    // MARK: Steps of an evaluation, in this order

    /// Without a counted path nothing changes: that is my relays' silence, not the cluster's.
    mutating func weigh(_ evidence: Evidence, at now: Instant, mayWorsen: Bool) {
        self.evidence = evidence
        guard evidence.counted > 0 else { return }
        let isSilent =
            evidence.suspect >= evidence.quorum && evidence.missed >= parameters.missedUntilSuspect
        silentSince = isSilent ? silentSince ?? (mayWorsen ? now : nil) : nil
        // One voice beside the paths', and never the only one.
        let isDoubtful =
            evidence.isContradicted && evidence.suspect > 0
            && evidence.suspect + 1 >= evidence.quorum
            && evidence.missed >= parameters.missedUntilSuspect
        isDoubted = isDoubtful && (isDoubted || mayWorsen)
        if base == .unknown, evidence.up > 0 { base = .up }
    }

    /// Whether the paths alone would have it unreachable.
    var isGone: Bool {
        silentSince != nil && base != .unreachable && evidence.counted > 0
            && evidence.down >= evidence.quorum
            && evidence.missed >= parameters.missedUntilUnreachable(paths: evidence.counted)
    }

    /// Ends trust: flows are reset, and the way back is the long one.
    mutating func giveUp(at now: Instant) {
        base = .unreachable
        recoveredSince = nil
        generation &+= 1
        damping.punish(at: now)
    }

    /// Whether new flows go there but for a silence that may end any moment.
    var isServing: Bool { base != .unreachable && !drain.isDraining }

    /// Follows what the cluster has to spare.
    /// - Parameter workloads: nil if nobody could say: the last word stands.
    /// - Returns: true when it has stopped serving since the last time.
    mutating func balance(_ workloads: WorkloadSum?, at now: Instant) -> Bool {
        if let workloads {
            workload = workloads.mean
            if isServing {
                capacity.follow(workload, at: now)
            } else {
                capacity.reset(to: workload, at: now)
            }
        }
        defer { isCounted = isServing }
        return isCounted && !isServing
    }

    mutating func yield(_ factor: Double, at now: Instant) { capacity.yield(factor, at: now) }

    /// Goes back towards up, as far as conditions and time allow.
    mutating func recover(at now: Instant) {
        switch base {
        case .unknown, .up: return
        case .probation(let since):
            if now - since >= parameters.ramp { base = .up }
        case .unreachable:
            guard evidence.counted > 0 else { return }
            guard silentSince == nil, evidence.recovered >= evidence.quorum, isCaughtUp else {
                recoveredSince = nil
                return
            }
            let since = recoveredSince ?? now
            recoveredSince = since
            guard now - since >= parameters.hold, !damping.isSuppressed else { return }
            base = .probation(since: now)
            generation &+= 1
        }
    }

    /// The word to store now; nil if the kernel's is right, or if it is too early for a step of a ramp.
    mutating func settle(at now: Instant) -> LivenessWord? {
        let (verdict, weight) = view(at: now)
        let next = LivenessWord(verdict: verdict, weight: weight, generation: generation)
        guard next != word else { return nil }
        let isStep = verdict == .probation && word.verdict == .probation
        if isStep, now - lastStep < parameters.rampStep { return nil }
        lastStep = now
        word = next
        return next
    }

    private func view(at now: Instant) -> (Verdict, UInt8) {
        if base == .unreachable { return (.unreachable, 0) }
        if silentSince != nil || isDoubted { return (.suspect, 0) }
        if drain.isDraining { return (.draining, 0) }
        switch base {
        case .unknown: return (.unknown, weight(1))
        case .probation(let since):
            let share = (now - since).seconds / max(parameters.ramp.seconds, 1e-9)
            return (.probation, weight(min(max(share, parameters.rampFloor), 1)))
        case .up, .unreachable: return (.up, weight(1))
        }
    }

    /// Never 0: what takes little is not what is gone.
    private func weight(_ ramp: Double) -> UInt8 { UInt8(max(ramp * capacity.value * 255, 1)) }

    /// When time alone may change something; always later than `now`.
    func nextWake(after now: Instant) -> Instant? {
        switch base {
        case .unknown, .up: return nil
        case .probation(let since):
            let step = lastStep + parameters.rampStep
            let end = since + parameters.ramp
            let next = step > now ? step : now + parameters.rampStep
            return end > now ? min(next, end) : next
        case .unreachable:
            // A penalty decays smoothly; looking once a second is near enough to `reuse`.
            if damping.isSuppressed { return now + .seconds(1) }
            // Held long enough and still here: what lacks comes with a report.
            return recoveredSince.map { $0 + parameters.hold }.flatMap { $0 > now ? $0 : nil }
        }
    }

    mutating func relent(at now: Instant) -> Bool { damping.relent(at: now) }
}
