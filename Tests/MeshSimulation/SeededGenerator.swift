// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// What a simulation draws from one seed.
public struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var numbers: SplitMix64

    public init(seed: UInt64) { numbers = SplitMix64(seed: seed) }

    public mutating func next() -> UInt64 { numbers.next() }

    /// 0..<1.
    public mutating func unit() -> Double { Double(next() >> 11) / Double(UInt64(1) << 53) }

    /// True with probability `probability`, 0...1.
    public mutating func chance(_ probability: Double) -> Bool {
        probability > 0 && unit() < probability
    }

    /// Evenly in zero..<`bound`; zero if that is empty.
    public mutating func duration(below bound: Duration) -> Duration {
        let (seconds, attoseconds) = bound.components
        let nanoseconds = Double(seconds) * 1e9 + Double(attoseconds) / 1e9
        return .nanoseconds(Int64(unit() * nanoseconds))
    }
}
