// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// Decides when to try for the lease, to renew it and to step down. Sans-IO: whoever owns it calls
/// ``step(at:using:)`` at ``wake`` at the latest, performs the calls it asks for, and brings answers.
///
/// Safety rests on three rules. A holder counts from *before* it sent what succeeded. A candidate
/// counts from *after* it first saw the version that it replaces. And a swap names that version, so
/// that a candidate's late or stale idea of the record can't succeed. Nobody's wall clock matters,
/// and ``tenure(at:)`` answers from the clock alone, so that a process that was paused past its
/// deadline stops believing before it has taken a step.
public struct LeaseKeeper: Sendable {
    enum Phase: Hashable {
        case candidate
        case holding(token: UInt64, until: Instant)
        /// Lets go, and doesn't try again before it is reinstated.
        case withdrawn
    }

    struct Outstanding: Hashable {
        let call: LeaseCall
        let sent: Instant
    }

    /// Calls whose answers still count; of more, the oldest are given up.
    static let outstandingMaximum = 4

    public let holder: LeaseHolder
    public let parameters: LeaseParameters
    /// When ``step(at:using:)`` is due; zero in the beginning.
    public internal(set) var wake = Instant.zero

    var phase = Phase.candidate
    /// The highest numbers ever seen, so that a record that was deleted or restored from an old
    /// backup doesn't take them back.
    var floor: LeaseRecord
    /// The token of the last tenure, which must not be held twice.
    var spent: UInt64 = 0
    /// Nil until the store has told.
    var known: Known?
    /// The last state that a swap was to replace: not tried again before the retry is due.
    var tried: Known?
    /// How long ``known`` has been watched without a change.
    var watched = Duration.zero
    var lastStep: Instant?
    var nextCall = Instant.zero
    var outstanding: [Outstanding] = []
    var lastID: UInt64 = 0
    var wantedEpoch: UInt32?
    var wantedIdentities: Range<UInt32>?

    struct Known: Hashable {
        let state: LeaseState?
    }

    /// - Parameter floor: what this node remembers of former lives: no token, epoch or identity at
    ///   or below its numbers is used again. Its holder doesn't matter.
    public init(holder: LeaseHolder, parameters: LeaseParameters, floor: LeaseRecord = .initial) {
        self.holder = holder
        self.parameters = parameters
        self.floor = floor
    }

    /// - Returns: nil unless the lease is held at `now`: the one question to ask before every act.
    public func tenure(at now: Instant) -> LeaseTenure? {
        guard case .holding(let token, let until) = phase, now < until else { return nil }
        return LeaseTenure(
            holder: holder, token: token, until: until, epoch: floor.epoch,
            identities: floor.identities)
    }

    /// Whether the lease has been handed back, or needn't be any more.
    public var isWithdrawn: Bool { phase == .withdrawn && !ownsRecord }

    var ownsRecord: Bool { known?.state?.record.holder == holder }

    // MARK: Events

    /// Time has passed.
    public mutating func step(
        at now: Instant, using generator: inout some RandomNumberGenerator
    ) -> [LeaseEffect] {
        var effects: [LeaseEffect] = []
        watch(until: now)
        proceed(at: now, using: &generator, into: &effects)
        return effects
    }

    /// The store's answer to a call, however late.
    public mutating func receive(
        _ answer: LeaseAnswer, to id: UInt64, at now: Instant,
        using generator: inout some RandomNumberGenerator
    ) -> [LeaseEffect] {
        var effects: [LeaseEffect] = []
        watch(until: now)
        expire(at: now, into: &effects)
        if let index = outstanding.firstIndex(where: { $0.call.id == id }) {
            handle(answer, to: outstanding.remove(at: index), at: now, into: &effects)
        }
        proceed(at: now, using: &generator, into: &effects)
        return effects
    }

    /// The store told of a change without being asked. A holder relies on its own swaps instead,
    /// which nothing can overtake.
    public mutating func observe(
        _ state: LeaseState?, at now: Instant, using generator: inout some RandomNumberGenerator
    ) -> [LeaseEffect] {
        var effects: [LeaseEffect] = []
        watch(until: now)
        if phase == .candidate { adopt(state, into: &effects) }
        proceed(at: now, using: &generator, into: &effects)
        return effects
    }

    // MARK: Requests

    /// Asks for an epoch; ``LeaseEffect/opened(epoch:)`` follows unless the lease is lost first.
    public mutating func open(
        epoch: UInt32, at now: Instant, using generator: inout some RandomNumberGenerator
    ) throws(LeaseRefusal) -> [LeaseEffect] {
        guard tenure(at: now) != nil else { throw .notHolding }
        let highest = max(floor.epoch, wantedEpoch ?? 0)
        guard epoch > highest else { throw .epochNotAbove(highest) }
        wantedEpoch = epoch
        return hurry(at: now, using: &generator)
    }

    /// Asks for the next `count` identity numbers; ``LeaseEffect/reserved(_:)`` follows unless the
    /// lease is lost first. A second request before that is answered together with the first.
    public mutating func reserve(
        _ count: UInt32, at now: Instant, using generator: inout some RandomNumberGenerator
    ) throws(LeaseRefusal) -> [LeaseEffect] {
        guard tenure(at: now) != nil else { throw .notHolding }
        let range = wantedIdentities ?? floor.identities..<floor.identities
        let (upper, isTooMany) = range.upperBound.addingReportingOverflow(count)
        guard !isTooMany else { throw .exhausted }
        wantedIdentities = range.lowerBound..<upper
        return hurry(at: now, using: &generator)
    }

    /// Stops believing at once, then tells the store, so that another can take over without waiting.
    public mutating func release(
        at now: Instant, using generator: inout some RandomNumberGenerator
    ) -> [LeaseEffect] {
        var effects: [LeaseEffect] = []
        watch(until: now)
        expire(at: now, into: &effects)
        if case .holding = phase { lose(.released, at: now, into: &effects) }
        phase = .withdrawn
        nextCall = now
        proceed(at: now, using: &generator, into: &effects)
        return effects
    }

    /// Tries for the lease again, after ``release(at:using:)`` and once ``isWithdrawn``; else nothing
    /// changes.
    public mutating func reinstate(
        at now: Instant, using generator: inout some RandomNumberGenerator
    ) -> [LeaseEffect] {
        guard isWithdrawn else { return [] }
        phase = .candidate
        nextCall = now
        return step(at: now, using: &generator)
    }

    private mutating func hurry(
        at now: Instant, using generator: inout some RandomNumberGenerator
    ) -> [LeaseEffect] {
        // A swap that is under way changes the version: the next follows its answer.
        let due = outstanding.last.map { $0.sent + parameters.retry } ?? now
        nextCall = min(nextCall, due)
        var effects: [LeaseEffect] = []
        watch(until: now)
        proceed(at: now, using: &generator, into: &effects)
        return effects
    }
}
