// SPDX-License-Identifier: Apache-2.0

/// How much a cluster's policies may hold, and a compiled policy.
public struct PolicyLimits: Hashable, Sendable {
    public static let standard = PolicyLimits()

    public var policies = 10_000
    public var rules = 100_000
    /// Different selectors, address blocks and entities that rules mean.
    public var matchers = 100_000
    /// Different address blocks, their exceptions included.
    public var prefixes = 65_536
    /// With verdicts of their own, in one compiled policy and direction.
    public var peers = 131_072
    /// In one list of verdicts.
    public var intervals = 16_384
    /// The highest of the numbers that stand for reasons, before they begin anew.
    public var codes = Int(Int32.max)

    public init() {}
}

/// Policies that hold more than is allowed. Nothing of what was asked for is to be used: what is in
/// force stays, or nothing is let through where nothing is.
public struct PolicyOverflow: Error, Hashable {
    /// What there is too much of.
    public let subject: String
    public let limit: Int

    static func check(
        _ count: Int, _ limit: Int, _ subject: @autoclosure () -> String
    ) throws(PolicyOverflow) {
        guard count <= limit else { throw PolicyOverflow(subject: subject(), limit: limit) }
    }
}

extension PolicyOverflow: CustomStringConvertible {
    public var description: String {
        "more than \(limit) \(subject): policies stay as they were until some are removed"
    }
}
