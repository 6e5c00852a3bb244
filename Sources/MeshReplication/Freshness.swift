// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// Since when this node may lack an owner's news.
///
/// Whoever publishes is always up to date; everyone else says how long ago it was, by its own clock,
/// that it knew to be, and a reader adds what it held that for. No clocks are compared.
struct Freshness: Sendable {
    private static let aheadMaximum = 8

    /// When what is held here was last known to be the owner's newest: nanoseconds on this node's
    /// clock, below zero if that was before the clock began. Nil before anyone said so.
    private var confirmed: Int64?
    /// Words about positions that aren't here yet.
    private var ahead: [(position: Position, instant: Int64)] = []

    func age(at now: Instant) -> Duration? {
        confirmed.map { .nanoseconds(max(Int64(clamping: now.nanoseconds) - $0, 0)) }
    }

    /// Somebody holds `position` and knew it to be the newest `age` ago.
    mutating func learn(
        _ position: Position, age: Duration, at now: Instant, holding held: Position
    ) {
        let instant = Int64(clamping: now.nanoseconds) - age.nanoseconds
        guard position > held else {
            confirm(instant)
            return
        }
        if ahead.count == Self.aheadMaximum { ahead.removeFirst() }
        ahead.append((position, instant))
    }

    mutating func reached(_ position: Position) {
        for word in ahead where word.position <= position { confirm(word.instant) }
        ahead.removeAll { $0.position <= position }
    }

    private mutating func confirm(_ instant: Int64) {
        confirmed = max(confirmed ?? instant, instant)
    }
}

/// How many changed records an owner may send: a bucket of tokens that may be overdrawn by one
/// message, so that nothing is ever too large for it.
struct ChangeRate: Sendable {
    let limit: ChangeRateLimit
    private var tokens: Double
    private var refilled: Instant?

    init(_ limit: ChangeRateLimit) {
        self.limit = limit
        tokens = Double(limit.burst)
    }

    mutating func admits(at now: Instant) -> Bool {
        if let refilled, now > refilled {
            let earned = (now - refilled).seconds * Double(limit.perSecond)
            tokens = min(tokens + earned, Double(limit.burst))
        }
        refilled = max(refilled ?? now, now)
        return tokens > 0
    }

    mutating func spend(_ count: Int) { tokens -= Double(count) }
}

/// What of an owner's changes is taken at once; the rest is taken later.
public struct ChangeRateLimit: Hashable, Sendable {
    /// Changed records, on average.
    public let perSecond: Int
    public let burst: Int

    public init(perSecond: Int, burst: Int) {
        self.perSecond = perSecond
        self.burst = burst
    }
}
