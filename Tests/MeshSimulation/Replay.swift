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

    /// Whether one seed is to be looked at closely.
    public static var isSingle: Bool {
        ProcessInfo.processInfo.environment[variable] != nil
    }

    /// Runs `body` for each seed of ``seeds(_:)``, on all cores.
    ///
    /// - Returns: what it returned, without nil, in the order of the seeds.
    public static func run<Result: Sendable>(
        _ count: Int, _ body: @escaping @Sendable (UInt64) throws -> Result?
    ) async throws -> [(seed: UInt64, result: Result)] {
        try await run(seeds(count), body)
    }

    /// Runs `body` for each of `seeds`, on all cores.
    public static func run<Result: Sendable>(
        _ seeds: [UInt64], _ body: @escaping @Sendable (UInt64) throws -> Result?
    ) async throws -> [(seed: UInt64, result: Result)] {
        let workers = max(ProcessInfo.processInfo.activeProcessorCount, 1)
        return try await withThrowingTaskGroup(of: [(seed: UInt64, result: Result)].self) { group in
            for worker in 0..<workers {
                group.addTask {
                    try stride(from: worker, to: seeds.count, by: workers).compactMap { index in
                        try body(seeds[index]).map { (seeds[index], $0) }
                    }
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }.sorted { $0.seed < $1.seed }
        }
    }

    /// How many seconds to go on with seeds that nobody has seen, and the first of them; nil if
    /// nobody asked for that.
    public static var soak: (seconds: Int, seed: UInt64)? {
        let environment = ProcessInfo.processInfo.environment
        guard let seconds = environment["WEFT_SOAK_SECONDS"].flatMap({ Int($0) }),
            let seed = environment["WEFT_SOAK_SEED"].flatMap({ UInt64($0) })
        else { return nil }
        return (seconds, seed)
    }

    /// What a failed expectation prints.
    public static func hint(_ seed: UInt64, filter: String) -> String {
        "seed \(seed); repeat it with: \(variable)=\(seed) swift test --filter \(filter)"
    }
}
