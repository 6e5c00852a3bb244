// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// Waits that double, each shortened by up to half at random so that many diallers spread.
struct Backoff: Sendable {
    let minimum: Duration
    let maximum: Duration
    private var current: Duration

    init(minimum: Duration, maximum: Duration) {
        self.minimum = minimum
        self.maximum = maximum
        current = minimum
    }

    mutating func reset() { current = minimum }

    mutating func next(using random: inout some RandomNumberGenerator) -> Duration {
        defer { current = min(current * 2, maximum) }
        let whole = max(current.nanoseconds, 1)
        return .nanoseconds(Int64.random(in: (whole + 1) / 2...whole, using: &random))
    }
}
