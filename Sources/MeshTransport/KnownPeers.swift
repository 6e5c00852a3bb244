// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshModel
import MeshTrust

/// What the nodes presented that have a link, or had one: their heartbeat keys outlive it, so they are
/// judged again without one, too.
struct KnownPeers {
    /// Nodes without a link are forgotten above it, and their keys with them.
    static let maximum = 8_192

    struct Peer {
        let identity: PeerIdentity
        let presented: [[UInt8]]
        let verifiedAt: Date
    }

    private(set) var peers: [NodeID: Peer] = [:]

    /// - Parameter isLinked: whether a node must be kept.
    /// - Returns: a node that had to make room.
    mutating func insert(
        _ peer: Peer, of node: NodeID, where isLinked: (NodeID) -> Bool
    ) -> NodeID? {
        peers[node] = peer
        guard peers.count > Self.maximum,
            let other = peers.keys.first(where: { $0 != node && !isLinked($0) })
        else { return nil }
        peers[other] = nil
        return other
    }

    mutating func remove(_ node: NodeID) { peers[node] = nil }
}
