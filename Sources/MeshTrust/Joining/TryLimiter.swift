// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// How often tokens may be tried: five times a minute from an address (of IPv6, its /64), sixty times
/// in all, so that guessing, and checking what was guessed, stay cheap to refuse.
///
/// In memory only. Time is in seconds of a clock that doesn't jump.
public struct TryLimiter: Sendable {
    public static let triesPerSource = 5
    public static let triesInAll = 60
    public static let windowSeconds: UInt64 = 60

    private let triesInAll: Int

    /// The newest last; no more than `triesInAll`.
    private var tries: [(source: Prefix, at: UInt64)] = []

    /// - Parameter triesInAll: from all addresses.
    public init(triesInAll: Int = triesInAll) { self.triesInAll = triesInAll }

    /// Counts a try, before anything it brought is looked at.
    ///
    /// - Throws: ``JoinRefusal/tooManyTries(retryAfterSeconds:)``; refused ones aren't counted.
    public mutating func count(from source: Address, at now: UInt64) throws(JoinRefusal) {
        tries.removeAll { now >= $0.at + Self.windowSeconds }
        let length: UInt8 = source.isIPv4 ? 128 : 64
        let network = Prefix(address: source, length: length) ?? Prefix(source)
        let own = tries.filter { $0.source == network }
        if own.count >= Self.triesPerSource { throw Self.refusal(own[0].at, now) }
        if tries.count >= triesInAll { throw Self.refusal(tries[0].at, now) }
        tries.append((network, now))
    }

    private static func refusal(_ oldest: UInt64, _ now: UInt64) -> JoinRefusal {
        .tooManyTries(
            retryAfterSeconds: UInt32(
                clamping: oldest + windowSeconds - min(now, oldest + windowSeconds)))
    }
}
