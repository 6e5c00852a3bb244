// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Synchronization

/// How many certificates an authority makes: a token bucket, its clock an argument.
struct IssueBudget {
    static let perSecond: Double = 50
    static let burst: Double = 200

    private var tokens = burst
    private var refilledAt: Date?

    /// Takes one certificate out of the budget.
    ///
    /// - Returns: nil, or the seconds to wait when nothing is left. A clock that goes back refills
    ///   nothing.
    mutating func take(at now: Date) -> Double? {
        let elapsed = refilledAt.map { max(0, now.timeIntervalSince($0)) } ?? 0
        refilledAt = max(now, refilledAt ?? now)
        tokens = min(Self.burst, tokens + elapsed * Self.perSecond)
        guard tokens >= 1 else { return (1 - tokens) / Self.perSecond }
        tokens -= 1
        return nil
    }
}

/// Notices a clock that goes back: what it dates then ends before what was issued earlier, and may
/// pass for younger than it is.
struct IssueClock {
    /// How far back is no fault: certificates are backdated by as much.
    static let toleranceSeconds = CertificateProfile.backdatingSeconds
    /// The mark on disk is set so far ahead, to be written that seldom. After a restart the tolerance
    /// is smaller by up to as much.
    static let aheadSeconds: Double = 30

    /// At least the latest time something was issued at, seconds since 1970; on disk.
    private(set) var mark: Double
    private var latest: Double

    /// - Parameter mark: from the disk; 0 when nothing was issued.
    init(mark: Double) {
        self.mark = mark
        latest = mark
    }

    func allows(_ now: Date) -> Bool { now.timeIntervalSince1970 >= latest - Self.toleranceSeconds }

    var lastIssued: Date { Date(timeIntervalSince1970: latest) }

    /// Takes note of an issuance.
    ///
    /// - Returns: whether ``mark`` must be on disk before what is issued leaves the authority.
    mutating func advance(to now: Date) -> Bool {
        latest = max(latest, now.timeIntervalSince1970)
        guard latest > mark else { return false }
        mark = (latest + Self.aheadSeconds).rounded(.down)
        return true
    }
}

/// What stands between a request and a signature; shared by the copies of one authority.
final class Issuance: Sendable {
    /// Beside the keys: seconds since 1970, the mark of ``IssueClock``.
    static let fileName = "clock"

    private struct State {
        var budget = IssueBudget()
        var clock: IssueClock
    }

    private let directory: String
    private let state: Mutex<State>

    /// - Throws: ``TrustError/unusableFile(path:reason:)`` when the mark can't be read: issuing
    ///   without it would forget a clock that went back.
    init(directory: String) throws(TrustError) {
        self.directory = directory
        var mark: Double = 0
        if try SecretFile.exists(named: Self.fileName, in: directory) {
            let text = try SecretFile.read(named: Self.fileName, in: directory)
            guard let seconds = UInt64(text.prefix { $0 != "\n" }) else {
                throw .unusableFile(
                    path: "\(directory)/\(Self.fileName)", reason: "it isn't a number of seconds")
            }
            mark = Double(seconds)
        }
        state = Mutex(State(clock: IssueClock(mark: mark)))
    }

    /// - Throws: ``TrustError/clockWentBack(last:now:)``, ``TrustError/tooManyRequests(retryAfterSeconds:)``,
    ///   or the file's error: nothing may be issued.
    func admit(at now: Date) throws(TrustError) {
        try state.withLock { state throws(TrustError) in
            guard state.clock.allows(now)
            else { throw .clockWentBack(last: state.clock.lastIssued, now: now) }
            if let wait = state.budget.take(at: now) {
                throw .tooManyRequests(retryAfterSeconds: wait)
            }
            var clock = state.clock
            if clock.advance(to: now) {
                try SecretFile.write(
                    "\(UInt64(clock.mark))\n", named: Self.fileName, in: directory,
                    existing: .replace)
            }
            state.clock = clock
        }
    }
}
