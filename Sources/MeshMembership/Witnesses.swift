// SPDX-License-Identifier: Apache-2.0

import MeshModel
import OrderedCollections

/// Relays of other clusters, and which of the own members they hear: evidence that small pools lack.
/// A witness never accuses; it confirms, or vouches.
struct Witnesses: Sendable {
    /// All that a witness said last.
    private struct Testimony: Sendable {
        /// Names of members, and whether they are heard.
        let words: [String: Bool]
        /// In own time.
        let at: Instant
    }

    private let lifetime: Duration
    private var testimonies: OrderedDictionary<NodeID, Testimony?> = [:]

    init(_ parameters: MembershipParameters) { lifetime = parameters.testimonyLifetime }

    var isEmpty: Bool { testimonies.isEmpty }

    mutating func configure(_ witnesses: [NodeID]) {
        var after: OrderedDictionary<NodeID, Testimony?> = [:]
        for witness in witnesses.prefix(MembershipParameters.Limit.witnesses) {
            after[witness] = .some(testimonies[witness] ?? nil)
        }
        testimonies = after
    }

    /// Of whom the witness says nothing now, it has said nothing.
    ///
    /// - Returns: false if it is no configured witness.
    mutating func testify(
        _ words: [String: Bool], by witness: NodeID, at time: Instant
    ) -> Bool {
        guard testimonies.index(forKey: witness) != nil else { return false }
        testimonies[witness] = .some(Testimony(words: words, at: time))
        return true
    }

    func isAnyPresent(at time: Instant) -> Bool { !fresh(at: time).isEmpty }

    func areHearing(_ name: String, at time: Instant) -> Bool {
        fresh(at: time).contains { $0.words[name] == true }
    }

    /// How many don't hear it, and how many speak of it.
    func count(of name: String, at time: Instant) -> (deniers: Int, speakers: Int) {
        let words = fresh(at: time).compactMap { $0.words[name] }
        return (words.count { !$0 }, words.count)
    }

    private func fresh(at time: Instant) -> [Testimony] {
        testimonies.values.compactMap { $0 }.filter { time - $0.at <= lifetime }
    }
}
