// SPDX-License-Identifier: Apache-2.0

import Crypto
import MeshModel

/// The keys that the nodes of one cluster gossip with: two for each pair of nodes, from X25519 keys
/// that each process makes for itself and its cluster's ledger lists. Time and keys come in as
/// arguments.
///
/// A key pair lives as long as both processes at most, so that nothing recorded in an earlier life
/// of either can be opened; within it a counter and a window admit each datagram once.
struct GossipSessions {
    /// Then a key gets a successor.
    static let keyLifetime = Duration.seconds(24 * 3_600)
    /// How long two own keys overlap at least, and who was heard within it must know the newer one
    /// before the older one goes.
    static let keyOverlap = Duration.seconds(600)
    /// The same of a key that the operator asked for.
    static let hastyKeyOverlap = Duration.seconds(60)
    /// Nodes besides this one; the first by name are kept.
    static let nodesMaximum = 5_000
    /// Nonces of one process; it lives for centuries before they are used up.
    static let counterMaximum: UInt64 = 1 << 48

    let own: NodeID
    /// Closed pairs that an own key remembers before it gets a successor early; it takes no new
    /// ones then.
    var closedMaximum = 65_536
    /// One or two, the newest last.
    private var ownKeys: [OwnGossipKey]
    private var peers: [NodeID: GossipPeer] = [:]
    private var pairs: [UInt64: GossipPair] = [:]
    /// One for all keys: whatever is closed and opened again, no nonce is used twice.
    private var counter: UInt64 = 0

    init(own: NodeID, key: Curve25519.KeyAgreement.PrivateKey, at now: Instant) {
        self.own = own
        ownKeys = [OwnGossipKey(key, madeAt: now)]
    }

    /// What the others must know to gossip with this node, the newest last.
    var announced: [GossipKey] { ownKeys.map(\.publicKey) }

    // MARK: Roster

    /// Replaces the roster. Who isn't in it is cut off at once; a key that a node no longer
    /// announces counts for another 60 s.
    ///
    /// - Parameter roster: keys of each node, the newest last. Other clusters' nodes, this one and
    ///   nodes without keys are passed over.
    /// - Returns: how many nodes there were too many.
    mutating func install(_ roster: [NodeID: [GossipKey]], at now: Instant) -> Int {
        var nodes = roster.filter { node, keys in
            node.cluster == own.cluster && node != own && !keys.isEmpty
        }
        let excess = max(0, nodes.count - Self.nodesMaximum)
        if excess > 0 {
            for node in nodes.keys.sorted().suffix(excess) { nodes[node] = nil }
        }
        for (node, peer) in peers where nodes[node] == nil {
            for id in peer.pairs { close(id) }
            peers[node] = nil
        }
        for (node, keys) in nodes {
            let listed = Array(keys.suffix(GossipKey.announcedMaximum))
            guard peers[node]?.listed != listed else { continue }
            if peers[node] == nil {
                peers[node] = GossipPeer(listed: listed)
            } else {
                peers[node]?.list(listed, at: now)
            }
            pair(with: node)
        }
        return excess
    }

    /// Opens what pairs a node's keys make with the own ones, and closes those they no longer make.
    private mutating func pair(with node: NodeID) {
        guard var peer = peers[node] else { return }
        var wanted: [UInt64] = []
        for own in ownKeys {
            for remote in peer.keys {
                let id = GossipPair.keyID(from: node, remote, to: self.own, own.publicKey)
                if pairs[id] == nil, own.closed.count < closedMaximum {
                    pairs[id] = GossipPair(
                        peer: node, own: own.publicKey, remote: remote,
                        window: ReplayWindow(closedUpTo: own.closed[id] ?? 0))
                }
                // An ID in use by another node stays with that node.
                if pairs[id]?.peer == node { wanted.append(id) }
            }
        }
        for id in peer.pairs where !wanted.contains(id) { close(id) }
        peer.pairs = wanted
        peers[node] = peer
    }

    private mutating func close(_ id: UInt64) {
        guard let pair = pairs.removeValue(forKey: id), pair.window.highest > 0,
            let index = ownKeys.firstIndex(where: { $0.publicKey == pair.own })
        else { return }
        ownKeys[index].closed[id] = pair.window.highest
    }

    // MARK: Rotation

    /// Gives an old key a successor, and drops the old one when it is no longer needed: add, use,
    /// remove. Each peer is answered with the key that it has shown to know, so that none is cut off
    /// because it learnt of a change late. After another lifetime the old key goes in any case.
    ///
    /// - Returns: whether ``announced`` changed.
    mutating func rotate(
        at now: Instant, makeKey: () -> Curve25519.KeyAgreement.PrivateKey
    ) -> Bool {
        let former = announced
        if ownKeys.count > 1, isSettled(at: now) || isDue(at: now) { ownKeys.removeFirst() }
        if ownKeys.count == 1, isDue(at: now) {
            ownKeys.append(OwnGossipKey(makeKey(), madeAt: now))
        }
        let hasChanged = announced != former
        for node in Array(peers.keys) {
            if peers[node]?.expire(at: now) == true || hasChanged { pair(with: node) }
        }
        return hasChanged
    }

    /// Gives the key a successor now; ``rotate(at:makeKey:)`` drops the old one when it may.
    ///
    /// - Returns: false if there are two already: one change at a time.
    mutating func succeed(
        with key: Curve25519.KeyAgreement.PrivateKey, at now: Instant
    ) -> Bool {
        guard ownKeys.count == 1 else { return false }
        ownKeys.append(OwnGossipKey(key, madeAt: now, overlap: Self.hastyKeyOverlap))
        for node in Array(peers.keys) { pair(with: node) }
        return true
    }

    /// The own keys, the newest last.
    var uses: [GossipKeyUse] {
        ownKeys.map { key in
            GossipKeyUse(
                key: key.publicKey, madeAt: key.madeAt,
                users: peers.values.count { $0.answered == key.publicKey },
                nodes: peers.values.count { $0.answered != nil })
        }
    }

    /// Whether the newest key needs a successor.
    private func isDue(at now: Instant) -> Bool {
        let newest = ownKeys[ownKeys.count - 1]
        return now - newest.madeAt >= Self.keyLifetime || newest.closed.count >= closedMaximum
    }

    private func isSettled(at now: Instant) -> Bool {
        let newest = ownKeys[ownKeys.count - 1]
        return now - newest.madeAt >= newest.overlap
            && peers.values.allSatisfy { peer in
                peer.answered == newest.publicKey
                    || peer.heardAt.map { now - $0 >= newest.overlap } ?? true
            }
    }

    // MARK: Datagrams

    /// - Throws: the reason to count; nothing is sent.
    mutating func seal(
        _ plaintext: [UInt8], for node: NodeID
    ) throws(TransportRejection) -> [UInt8] {
        guard plaintext.count <= HeartbeatDatagram.plaintextMaximum else { throw .gossipTooLarge }
        guard let id = route(to: node), let secrets = secrets(of: id),
            counter < Self.counterMaximum
        else { throw .gossipNoKey }
        counter += 1
        let header = HeartbeatDatagram.Header(
            version: HeartbeatDatagram.gossipVersion, keyID: secrets.sendKeyID, counter: counter)
        guard let datagram = HeartbeatDatagram.seal(plaintext, header: header, key: secrets.send)
        else { throw .gossipTooLarge }
        return datagram
    }

    /// From the own key that the peer knows, or the oldest, to the peer's target.
    private func route(to node: NodeID) -> UInt64? {
        guard let peer = peers[node] else { return nil }
        let ids = peer.pairs.filter { pairs[$0]?.remote == peer.target }
        return ids.first { pairs[$0]?.own == peer.answered } ?? ids.first
    }

    /// Cheap checks come first: length, version, known key, replay; only then is anything decrypted.
    ///
    /// - Throws: the reason to count; the datagram is ignored.
    mutating func open(
        _ datagram: [UInt8], at now: Instant
    ) throws(TransportRejection) -> (peer: NodeID, plaintext: [UInt8]) {
        guard
            let header = HeartbeatDatagram.parse(
                datagram, version: HeartbeatDatagram.gossipVersion)
        else { throw .gossipMalformed }
        let id = header.keyID
        guard let pair = pairs[id], peers[pair.peer]?.accepts(pair.remote, at: now) == true
        else { throw .gossipUnknownKey }
        guard pair.window.admits(header.counter) else { throw .gossipReplayed }
        guard let secrets = secrets(of: id) else { throw .gossipUnknownKey }
        guard
            let plaintext = HeartbeatDatagram.open(datagram, header: header, key: secrets.receive)
        else { throw .gossipForged }
        pairs[id]?.window.accept(header.counter)
        peers[pair.peer]?.hear(under: pair.remote, to: pair.own, at: now)
        return (pair.peer, plaintext)
    }

    /// A pair whose keys agree on nothing is closed, so that this costs its arithmetic once.
    private mutating func secrets(of id: UInt64) -> GossipSecrets? {
        guard let pair = pairs[id] else { return nil }
        if let known = pair.secrets { return known }
        let secrets = ownKeys.first { $0.publicKey == pair.own }.flatMap {
            GossipSecrets(own: $0, of: own, remote: pair.remote, of: pair.peer)
        }
        if secrets == nil { close(id) } else { pairs[id]?.secrets = secrets }
        return secrets
    }
}
