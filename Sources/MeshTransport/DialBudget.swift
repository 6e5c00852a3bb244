// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// How many attempts to connect may begin, over all targets: after a failure that many links share,
/// handshakes mustn't take the processor from health, nor all peers be asked in one moment.
struct DialBudget: Sendable {
    /// Attempts that may begin at once.
    let burst: Int
    /// Between two attempts after those.
    let interval: Duration
    /// When the attempts so far are paid for.
    private var paid = Instant.zero

    init(burst: Int, perSecond: Int) {
        self.burst = burst
        interval = .nanoseconds(1_000_000_000 / Int64(perSecond))
    }

    /// Takes one attempt from the budget.
    ///
    /// - Returns: how long it has to wait for its turn.
    mutating func take(at now: Instant) -> Duration {
        let due = max(paid, now) + interval
        paid = due
        return max(due - now - interval * burst, .zero)
    }
}
