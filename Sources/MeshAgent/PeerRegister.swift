// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// Peers that contend for nothing: each name, ID and address is one's alone.
struct PeerRegister {
    /// In the order in which they were added.
    private(set) var peers: [PeerCluster] = []
    /// Places in ``peers``.
    private var names: [ClusterName: Int] = [:]
    private var ids: [ClusterID: Int] = [:]
    /// Ascending; none overlaps another, as those that lie in another one of their own peer's are left out.
    private var claims: [Claim] = []
    /// Claims that were looked at.
    private(set) var lookups = 0

    private struct Claim {
        let prefix: Prefix
        /// A place in ``peers``.
        let owner: Int
    }

    /// The first of the peers that has a name, an ID or an address which `peer` wants.
    ///
    /// - Complexity: the logarithm of all prefixes for each of the peer's, and those that overlap it.
    mutating func rival(of peer: PeerCluster) -> PeerCluster? {
        var places = [names[peer.name], ids[peer.id]].compactMap(\.self)
        for prefix in peer.podPrefixes {
            places += overlapping(prefix).map { claims[$0].owner }
        }
        return places.min().map { peers[$0] }
    }

    /// Adds a peer that has no ``rival(of:)``.
    mutating func add(_ peer: PeerCluster) {
        let owner = peers.count
        peers.append(peer)
        names[peer.name] = owner
        ids[peer.id] = owner
        // Wide ones come before those that lie in them.
        for prefix in peer.podPrefixes.sorted() where overlapping(prefix).isEmpty {
            claims.insert(Claim(prefix: prefix, owner: owner), at: place(of: prefix))
        }
    }

    /// Claims that overlap `prefix`: the one that it lies in, or those that lie in it.
    private mutating func overlapping(_ prefix: Prefix) -> Range<Int> {
        let place = place(of: prefix)
        if place > 0, isOverlapping(place - 1, prefix) { return place - 1..<place }
        var end = place
        while end < claims.count, isOverlapping(end, prefix) { end += 1 }
        return place..<end
    }

    private mutating func isOverlapping(_ place: Int, _ prefix: Prefix) -> Bool {
        lookups += 1
        return claims[place].prefix.overlaps(prefix)
    }

    /// Where `prefix` stands or would stand.
    private mutating func place(of prefix: Prefix) -> Int {
        var (low, high) = (0, claims.count)
        while low < high {
            let middle = (low + high) / 2
            lookups += 1
            if claims[middle].prefix < prefix { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
