// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

/// The seeds of a simulation test, and how to repeat one of them.
public enum Replay {
    /// Names the single seed to run instead of all.
    public static let variable = "WEFT_SEED"

    /// Multiplies the number of seeds, for a run with more time than a developer has.
    public static let factorVariable = "WEFT_SEEDS_FACTOR"

    /// `count` seeds from 1, or the one that the environment names.
    public static func seeds(_ count: Int) -> [UInt64] {
        let environment = ProcessInfo.processInfo.environment
        if let seed = environment[variable].flatMap({ UInt64($0) }) { return [seed] }
        let factor = environment[factorVariable].flatMap { UInt64($0) } ?? 1
        return Array(1...UInt64(count) * max(factor, 1))
    }

    /// What a failed expectation prints.
    public static func hint(_ seed: UInt64, filter: String) -> String {
        "seed \(seed); repeat it with: \(variable)=\(seed) swift test --filter \(filter)"
    }
}
