// SPDX-License-Identifier: Apache-2.0

/// A point on a monotonic clock, in nanoseconds since an arbitrary start. Protocol cores get it as
/// an argument and never ask a clock.
public struct Instant: Hashable, Comparable, Sendable {
    public var nanoseconds: UInt64

    public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    public static let zero = Instant(nanoseconds: 0)

    public static func < (left: Instant, right: Instant) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    /// Saturates at zero.
    public static func + (left: Instant, right: Duration) -> Instant {
        let sum = Int64(clamping: left.nanoseconds) + right.nanoseconds
        return Instant(nanoseconds: UInt64(max(sum, 0)))
    }

    public static func - (left: Instant, right: Duration) -> Instant { left + (.zero - right) }

    public static func - (left: Instant, right: Instant) -> Duration {
        .nanoseconds(Int64(clamping: left.nanoseconds) - Int64(clamping: right.nanoseconds))
    }
}

extension Duration {
    /// Whole nanoseconds; durations of the protocols are far below the 292 years that fit.
    public var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }

    public var seconds: Double { Double(nanoseconds) / 1e9 }
}
