// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// A node that may be a relay.
public struct RelayCandidate: Hashable, Sendable {
    public let name: String
    /// Empty when unknown; nodes of no zone count as one zone.
    public let zone: String

    public init(name: String, zone: String) {
        self.name = name
        self.zone = zone
    }
}

/// Which nodes of a cluster talk to others, and to whom, without an election: ranked alike by all who
/// see the same nodes (rendezvous hashing, Thaler and Ravishankar 1998). ``RelayKeeper`` makes a
/// cluster's set of it, which its publisher announces.
public enum RelayChoice {
    public static let countDefault = 3

    /// Chooses relays, from different zones as long as there are any.
    ///
    /// A node that comes or goes changes at most one place among nodes of one zone.
    /// - Parameter nodes: live and capable ones, in any order.
    /// - Returns: at most `count` names in the order of their score: the relay's index.
    public static func relays(
        among nodes: [RelayCandidate], of cluster: ClusterID, count: Int = countDefault
    ) -> [String] {
        let chosen = additions(to: [], among: nodes, of: cluster, count: count)
        return ranked(nodes, of: cluster).map(\.name).filter(chosen.contains)
    }

    /// Chooses who joins relays that keep their places, from other zones as long as there are any.
    ///
    /// - Parameter nodes: live and capable ones, in any order; whoever is one of `relays` isn't chosen again.
    /// - Returns: as many names as lack of `count`, if there are, the most wanted first.
    public static func additions(
        to relays: [RelayCandidate], among nodes: [RelayCandidate], of cluster: ClusterID,
        count: Int = countDefault
    ) -> [String] {
        var zones = relays.map(\.zone)
        var chosen: [RelayCandidate] = []
        let others = ranked(nodes, of: cluster).filter { node in
            !relays.contains { $0.name == node.name }
        }
        for node in others where !zones.contains(node.zone) {
            zones.append(node.zone)
            chosen.append(node)
        }
        chosen += others.filter { !chosen.contains($0) }
        return chosen.prefix(max(count - relays.count, 0)).map(\.name)
    }

    private static func ranked(
        _ nodes: [RelayCandidate], of cluster: ClusterID
    ) -> [RelayCandidate] {
        nodes.map { (score: score(of: $0.name, in: cluster), node: $0) }
            .sorted { ($0.score, $0.node.name) > ($1.score, $1.node.name) }.map(\.node)
    }

    /// Pairs relay i with relay i, modulo the larger set: both sides compute the same pairs.
    /// - Returns: every path between the two clusters; empty if either has no relay.
    public static func paths(from local: [String], to remote: [NodeID]) -> [PathID] {
        guard !local.isEmpty, !remote.isEmpty else { return [] }
        return (0..<max(local.count, remote.count)).map {
            PathID(local: local[$0 % local.count], remote: remote[$0 % remote.count])
        }
    }

    private static func score(of node: String, in cluster: ClusterID) -> UInt64 {
        var hash = StableHash()
        hash.combine(UInt64(cluster.rawValue))
        hash.combine(node)
        return hash.value
    }
}
