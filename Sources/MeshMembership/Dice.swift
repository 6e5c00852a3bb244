// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// Chooses whom to ask, never what to believe: it needs to be even, not secret.
typealias Dice = SplitMix64

extension Dice {
    /// Evenly in 0..<`bound`, which is positive.
    mutating func roll(below bound: Int) -> Int {
        Int(next().multipliedFullWidth(by: UInt64(bound)).high)
    }

    /// Evenly in zero..<`bound`.
    mutating func roll(below bound: Duration) -> Duration {
        bound * (Double(next() >> 11) / Double(UInt64(1) << 53))
    }
}
