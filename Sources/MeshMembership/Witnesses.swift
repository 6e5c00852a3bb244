// SPDX-License-Identifier: Apache-2.0

import MeshModel
import OrderedCollections

/// Relays of other clusters, and which of the own members they hear: evidence that small pools lack.
/// A witness never accuses; it confirms, or vouches.
struct Witnesses: Sendable {
    private struct Testimony: Sendable {
        let isHeard: Bool
        let at: Instant
    }

    private let lifetime: Duration
    /// In own time, when each last testified.
    private var heard: OrderedDictionary<NodeID, Instant?> = [:]
    private var testimonies: OrderedDictionary<String, OrderedDictionary<NodeID, Testimony>> = [:]

    init(_ parameters: MembershipParameters) { lifetime = parameters.testimonyLifetime }

    var isEmpty: Bool { heard.isEmpty }

    mutating func configure(_ witnesses: [NodeID], about names: (String) -> Bool) {
        var after: OrderedDictionary<NodeID, Instant?> = [:]
        for witness in witnesses.prefix(MembershipParameters.Limit.witnesses) {
            after[witness] = .some(heard[witness] ?? nil)
        }
        heard = after
        testimonies.removeAll { !names($0.key) }
        for index in testimonies.values.indices {
            testimonies.values[index].removeAll { after.index(forKey: $0.key) == nil }
        }
    }

    /// - Returns: false if it is no configured witness.
    mutating func testify(
        about name: String, isHeard: Bool, by witness: NodeID, at time: Instant
    ) -> Bool {
        guard heard.index(forKey: witness) != nil else { return false }
        heard[witness] = .some(time)
        testimonies[name, default: [:]][witness] = Testimony(isHeard: isHeard, at: time)
        return true
    }

    func isAnyPresent(at time: Instant) -> Bool {
        heard.values.contains { $0.map { time - $0 <= lifetime } ?? false }
    }

    func areHearing(_ name: String, at time: Instant) -> Bool {
        fresh(name, at: time).contains { $0.isHeard }
    }

    /// How many don't hear it, and how many speak of it.
    func count(of name: String, at time: Instant) -> (deniers: Int, speakers: Int) {
        let fresh = fresh(name, at: time)
        return (fresh.count { !$0.isHeard }, fresh.count)
    }

    private func fresh(_ name: String, at time: Instant) -> [Testimony] {
        testimonies[name]?.values.filter { time - $0.at <= lifetime } ?? []
    }
}
