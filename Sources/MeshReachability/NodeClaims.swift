// SPDX-License-Identifier: Apache-2.0

import MeshModel
import OrderedCollections

/// What the relays of remote clusters say of their own nodes.
struct NodeClaims: Sendable {
    private struct Cluster: Sendable {
        var reachable: OrderedSet<NodeID> = []
        var dead: OrderedDictionary<NodeID, OrderedSet<NodeID>> = [:]
    }

    private var clusters: OrderedDictionary<ClusterID, Cluster> = [:]

    /// - Returns: whether others count now than did.
    mutating func setReachable(_ relays: [NodeID], of cluster: ClusterID) -> Bool {
        let reachable = OrderedSet(relays.filter { $0.cluster == cluster })
        guard clusters[cluster, default: Cluster()].reachable != reachable else { return false }
        clusters[cluster, default: Cluster()].reachable = reachable
        return true
    }

    mutating func receive(dead: [NodeID], from relay: NodeID) {
        clusters[relay.cluster, default: Cluster()].dead[relay] =
            OrderedSet(dead.filter { $0.cluster == relay.cluster })
    }

    mutating func forget(_ node: NodeID) {
        clusters[node.cluster]?.dead.removeValue(forKey: node)
    }

    /// - Returns: nil if no reachable relay of the node's cluster has said anything: no change.
    func isLive(_ node: NodeID) -> Bool? {
        guard let cluster = clusters[node.cluster] else { return nil }
        let heard = cluster.reachable.filter { cluster.dead[$0] != nil }
        guard !heard.isEmpty else { return nil }
        let accusers = heard.count { cluster.dead[$0]?.contains(node) == true }
        return accusers * 2 <= cluster.reachable.count
    }
}
