// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// My last beats on a path: what an echo is held against, for the round trip and for loss on the way
/// out. Round trip and its allowance are smoothed as in RFC 6298 §2.
struct SentLog: Sendable {
    /// More than ``Path/missedMaximum`` and what is under way at 50 ms and a round trip of 600 ms.
    private static let capacity = 32
    private static let unmeasuredAllowance: Int64 = 1_000_000_000

    private struct Entry {
        var sequence: UInt64
        var sentAt: Instant
        var isScheduled: Bool
    }

    private var entries: [Entry] = []
    private var oldest = 0
    /// Beats up to this one aren't held against the peer: it wasn't there yet.
    private var floor: UInt64 = 0
    private var sampled: UInt64 = 0
    private(set) var smoothed: Int64?
    private var variation: Int64 = 0
    private let marginMinimum: Int64
    private let marginMaximum: Int64

    init(_ parameters: ReachabilityParameters) {
        marginMinimum = parameters.marginMinimum.nanoseconds
        marginMaximum = parameters.marginMaximum.nanoseconds
        entries.reserveCapacity(Self.capacity)
    }

    /// - Parameter isScheduled: the loss of another isn't counted: a burst is lost together.
    mutating func append(_ sequence: UInt64, sentAt: Instant, isScheduled: Bool) {
        let entry = Entry(sequence: sequence, sentAt: sentAt, isScheduled: isScheduled)
        if entries.count < Self.capacity {
            entries.append(entry)
        } else {
            entries[oldest] = entry
            oldest = oldest + 1 == Self.capacity ? 0 : oldest + 1
        }
    }

    /// The peer has begun a new life: what was sent before doesn't count.
    mutating func restart(at sequence: UInt64) { floor = sequence }

    /// Takes a round trip from an echo, once for each beat of mine.
    /// - Returns: false if the echo can't be of a beat of this life of mine.
    mutating func accept(_ echo: HeartbeatEcho, arrival: Instant) -> Bool {
        guard let entry = entries.first(where: { $0.sequence == echo.sequence }) else {
            return echo.sequence < (entries.map(\.sequence).min() ?? 0)
        }
        let sample = (arrival - entry.sentAt).nanoseconds - echo.hold.nanoseconds
        guard sample >= 0 else { return false }
        guard echo.sequence > sampled else { return true }
        sampled = echo.sequence
        guard let mean = smoothed else {
            smoothed = sample
            variation = sample / 2
            return true
        }
        let error = sample - mean
        variation += (Int64(error.magnitude) - variation) / 4
        smoothed = mean + error / 8
        return true
    }

    /// Scheduled beats sent behind `echoed` that the peer should have heard when it sent what arrived
    /// just now.
    func missing(after echoed: UInt64, arrival: Instant) -> Int {
        let margin = min(max(4 * variation, marginMinimum), marginMaximum)
        let allowance = smoothed.map { $0 + margin } ?? Self.unmeasuredAllowance
        let known = max(echoed, floor)
        let latest = arrival - .nanoseconds(allowance)
        return entries.count { $0.isScheduled && $0.sequence > known && $0.sentAt <= latest }
    }
}
