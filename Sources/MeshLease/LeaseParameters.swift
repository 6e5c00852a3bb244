// SPDX-License-Identifier: Apache-2.0

/// The times of a lease, all on the keeper's own clock.
///
/// A holder believes for ``holding`` after it *sent* the last renewal that succeeded. A candidate
/// takes over only after it has watched one version of the record for ``waiting``, beginning no
/// sooner than that version was written. With clocks that run wrong by a share *d* the two never
/// overlap if holding / (1 − d) ≤ waiting / (1 + d): for 2 s and 3 s, *d* may be 20 %.
public struct LeaseParameters: Hashable, Sendable {
    /// How long a candidate watches an unchanged record before it takes the lease.
    public var waiting: Duration
    /// How long a holder believes after sending a renewal.
    public var holding: Duration
    /// Time from sending a renewal that succeeded to the next.
    public var renewal: Duration
    /// Time from one look at the record to the next, and until an unanswered call is repeated.
    public var retry: Duration
    /// Share of ``renewal`` and ``retry``, 0..<1, that is taken off at random, so that candidates
    /// don't act in step.
    public var jitter: Double

    public init(
        waiting: Duration, holding: Duration, renewal: Duration, retry: Duration, jitter: Double
    ) {
        self.waiting = waiting
        self.holding = holding
        self.renewal = renewal
        self.retry = retry
        self.jitter = jitter
    }

    /// Several candidates. A killed holder's last renewal is seen within 0.5 s and waited out for
    /// 3 s: somebody else holds after 3.5 s and two round trips, 3.9 s if its clock is 10 % slow.
    /// Three renewals fit into the 2 s, so that two of them may be lost.
    public static let contended = LeaseParameters(
        waiting: .seconds(3), holding: .seconds(2), renewal: .milliseconds(500),
        retry: .milliseconds(500), jitter: 0.2)

    /// One candidate by configuration: it holds from its first swap on, for good.
    public static let exclusive = LeaseParameters(
        waiting: .zero, holding: .seconds(10 * 365 * 86_400), renewal: .seconds(5 * 365 * 86_400),
        retry: .milliseconds(500), jitter: 0)

    /// The most of the time since the last step that counts as watching. Whoever was paused, or
    /// whose clock jumped ahead, watches again instead of taking over what it didn't see.
    var watchedAtOnce: Duration { retry * 1.5 }
}
