// SPDX-License-Identifier: Apache-2.0

/// Bugs that tests put in on purpose, to see that the simulator finds them. The product has none of
/// these.
struct Flaws: OptionSet, Sendable {
    let rawValue: UInt16

    /// Accused, it says nothing.
    static let noRefutation = Flaws(rawValue: 1 << 0)
    /// Confirmations don't shorten a suspicion.
    static let confirmationsIgnored = Flaws(rawValue: 1 << 1)
    /// A death in another's table is one in one's own.
    static let tablesKill = Flaws(rawValue: 1 << 2)
    /// The score multiplies nothing.
    static let scoreIgnored = Flaws(rawValue: 1 << 3)
    /// A death is undone by the incarnation that died.
    static let deadReturn = Flaws(rawValue: 1 << 4)
    /// The time it was held up counts like any other.
    static let latenessIgnored = Flaws(rawValue: 1 << 5)
    /// Statements are repeated for ever.
    static let gossipNeverEnds = Flaws(rawValue: 1 << 6)
    /// Deaths are only mourned: the dead hear nothing of it.
    static let deadAreShunned = Flaws(rawValue: 1 << 7)
    /// Cut off from everybody, it accuses them.
    static let isolationIgnored = Flaws(rawValue: 1 << 8)
    /// A suspect isn't asked once more before its time is over.
    static let nobodyIsCalled = Flaws(rawValue: 1 << 9)
}
