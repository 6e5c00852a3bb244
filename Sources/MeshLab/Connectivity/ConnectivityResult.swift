// SPDX-License-Identifier: Apache-2.0

/// What became of one check.
public struct ConnectivityResult: Codable, Hashable, Sendable {
    public enum Outcome: String, Codable, Sendable {
        case passed, failed
        /// What it needs isn't there, as another check says.
        case skipped
    }

    /// What is being tested: `alpha/client -> beta/server-1`.
    public var group: String
    /// How: `TCP over IPv4`.
    public var check: String
    public var outcome: Outcome
    public var seconds: Double
    /// Why it failed or was skipped, a sentence without its full stop.
    public var reason: String?
    /// What agents say about it, a sentence each.
    public var evidence: [String]

    init(
        group: String, check: String, outcome: Outcome, seconds: Double = 0, reason: String? = nil,
        evidence: [String] = []
    ) {
        self.group = group
        self.check = check
        self.outcome = outcome
        self.seconds = seconds
        self.reason = reason
        self.evidence = evidence
    }
}

/// The whole test: the last line of its output.
public struct ConnectivitySummary: Codable, Hashable, Sendable {
    public var passed: Int
    public var failed: Int
    public var skipped: Int
    public var seconds: Double

    public init(_ results: [ConnectivityResult], seconds: Double) {
        passed = results.count { $0.outcome == .passed }
        failed = results.count { $0.outcome == .failed }
        skipped = results.count { $0.outcome == .skipped }
        self.seconds = seconds
    }
}
