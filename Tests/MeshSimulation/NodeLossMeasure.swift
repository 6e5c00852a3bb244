// SPDX-License-Identifier: Apache-2.0

import MeshMembership
import MeshModel
import MeshReachability

/// How soon a node that lost power is out of use in other clusters: its cluster's members find it
/// dead, its three relays claim so, and the others believe a majority of them.
public enum NodeLossMeasure {
    private static let relays = 3

    /// Kills ordinary members one after the other, each at a random phase, and starts them again.
    ///
    /// - Returns: sorted seconds until each cluster of ``Region`` had taken the node out, and how
    ///   often one didn't within `patience`.
    public static func remote(
        _ world: inout MembershipWorld, crashes: Int, patience: Duration = .seconds(6)
    ) -> (seconds: [Double], missed: Int) {
        var seconds: [Double] = []
        var missed = 0
        for crash in 0..<crashes {
            let victim = relays + crash % (world.size - relays)
            world.run(for: world.simulation.generator.duration(below: .seconds(1)))
            let start = world.now
            world.crash(victim)
            world.run(for: patience)
            let claims = (0..<relays).compactMap { relay in
                world.changes.last {
                    $0.observer == relay && $0.subject == victim && $0.change.to == .dead
                        && $0.time >= start
                }.map { (relay: relay, time: $0.time) }
            }
            for region in Region.allCases.dropFirst() {
                let time = removal(of: victim, by: claims, roundTrip: region.roundTrip(to: .dallas))
                if let time { seconds.append((time - start).seconds) } else { missed += 1 }
            }
            world.restart(victim)
            world.run(for: .seconds(5))
        }
        return (seconds.sorted(), missed)
    }

    /// When a node of another cluster, which hears the claims half a round trip later, believes them.
    private static func removal(
        of victim: Int, by claims: [(relay: Int, time: Instant)], roundTrip: Duration
    ) -> Instant? {
        let cluster = ClusterID(rawValue: 1)!
        func node(_ member: Int) -> NodeID {
            NodeID(cluster: cluster, name: MembershipWorld.name(member))!
        }
        guard let first = claims.map(\.time).min() else { return nil }
        var liveness = NodeLiveness(own: ClusterID(rawValue: 2)!)
        liveness.add(node(victim), at: first)
        _ = liveness.setReachable(
            relays: (0..<relays).map(node), of: cluster, at: first)
        for relay in 0..<relays {
            _ = liveness.receive(dead: [], claimedBy: node(relay), at: first)
        }
        for claim in claims.sorted(by: { $0.time < $1.time }) {
            let arrival = claim.time + roundTrip / 2
            let changes = liveness.receive(
                dead: [node(victim)], claimedBy: node(claim.relay), at: arrival)
            if changes.contains(where: { $0.word.verdict == .unreachable }) { return arrival }
        }
        return nil
    }
}
