// SPDX-License-Identifier: Apache-2.0

/// Bugs that tests put in on purpose, to see that the simulator finds them. The product has none of
/// these.
struct Flaws: OptionSet, Sendable {
    let rawValue: UInt8

    /// The log window skips the entry that follows.
    static let windowOffByOne = Flaws(rawValue: 1 << 0)
    /// Bodies aren't compared with their hashes.
    static let bodyUnchecked = Flaws(rawValue: 1 << 1)
    /// A state isn't compared with the root that its header signs.
    static let rootUnchecked = Flaws(rawValue: 1 << 2)
    /// An older epoch replaces a newer one.
    static let epochGoesBack = Flaws(rawValue: 1 << 3)
    /// Snapshots leave what they don't have.
    static let noSweep = Flaws(rawValue: 1 << 4)
    /// Two histories are no reason to stop.
    static let forksIgnored = Flaws(rawValue: 1 << 5)
    /// The age of what is told starts anew at each hop.
    static let agesForgotten = Flaws(rawValue: 1 << 6)
}
