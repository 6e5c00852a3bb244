// SPDX-License-Identifier: Apache-2.0

import Crypto
public import MeshModel
import Synchronization

/// Gossip from a node of the own cluster, sealed by that very node.
public struct GossipArrival: Sendable {
    public let peer: NodeID
    public let plaintext: [UInt8]
    /// `CLOCK_MONOTONIC`, taken when the datagram was read.
    public let arrival: Instant
    /// Where it came from, which nothing vouches for.
    public let source: TransportAddress
}

/// A key of this node, and who goes by it.
public struct GossipKeyUse: Hashable, Sendable {
    public let key: GossipKey
    public let madeAt: Instant
    /// Nodes that sealed their last datagram to it.
    public let users: Int
    /// Nodes that were heard at all.
    public let nodes: Int
}

extension DatagramSocket {
    /// What this node announces to its cluster, 1...2 keys, the newest last: in force from the start
    /// and changed by ``run()``, see ``gossipKeyChanges``.
    public var gossipKeys: [GossipKey] { gossipSessions.withLock { $0.announced } }

    /// Gossips with these nodes from now on, and with no others. Installing what is installed
    /// changes nothing.
    ///
    /// A key that a node no longer announces is accepted for another 60 s; a node that is no longer
    /// listed is cut off at once.
    ///
    /// - Parameter roster: what each node of the own cluster announces, vouched for by its
    ///   certificate; other clusters' nodes and this one are passed over, nodes beyond 5,000
    ///   counted.
    public func install(roster: [NodeID: [GossipKey]]) {
        let excess = gossipSessions.withLock { $0.install(roster, at: .monotonicNow) }
        if excess > 0 { statistics.update { $0[.gossipRosterFull] &+= UInt64(excess) } }
    }

    /// Seals and sends without waiting, from the first socket.
    ///
    /// - Parameter plaintext: at most ``plaintextMaximum`` bytes.
    /// - Returns: false, and counted, when the node isn't in the roster, the text is too long, or
    ///   the socket isn't bound.
    @discardableResult
    public func send(
        gossip plaintext: [UInt8], to peer: NodeID, at remote: TransportAddress
    ) -> Bool {
        do throws(TransportRejection) {
            let datagram = try gossipSessions.withLock { sessions throws(TransportRejection) in
                try sessions.seal(plaintext, for: peer)
            }
            let isTaken = transmit(datagram, to: remote) { [statistics] isSent in
                if isSent {
                    statistics.update {
                        $0.gossipSent &+= 1
                        $0.gossipBytesSent &+= UInt64(datagram.count)
                    }
                } else {
                    statistics.count(.gossipUnsent)
                }
            }
            guard isTaken else { throw .gossipUnsent }
            return true
        } catch {
            statistics.count(error)
            return false
        }
    }

    func receiveGossip(
        _ datagram: [UInt8], from source: TransportAddress, at now: Instant
    ) throws(TransportRejection) {
        let (peer, plaintext) = try gossipSessions.withLock {
            sessions throws(TransportRejection) in try sessions.open(datagram, at: now)
        }
        statistics.update {
            $0.gossipReceived &+= 1
            $0.gossipBytesReceived &+= UInt64(datagram.count)
        }
        let event = GossipArrival(peer: peer, plaintext: plaintext, arrival: now, source: source)
        if case .dropped = gossipContinuation.yield(event) { statistics.count(.gossipLost) }
    }

    /// The keys of ``gossipKeys`` and their use.
    public var gossipKeyUses: [GossipKeyUse] { gossipSessions.withLock { $0.uses } }

    /// Gives this node's key a successor now. It is used by each node as soon as that knows it, and
    /// takes the old one's place when all do, after a minute at the soonest.
    ///
    /// - Returns: false if a change is under way already.
    public func rotateGossipKey() -> Bool {
        let keys: [GossipKey]? = gossipSessions.withLock { sessions in
            let hasChanged = sessions.succeed(
                with: Curve25519.KeyAgreement.PrivateKey(), at: .monotonicNow)
            return hasChanged ? sessions.announced : nil
        }
        if let keys { keysContinuation.yield(keys) }
        return keys != nil
    }

    func rotateGossipKeys(at now: Instant) {
        let keys: [GossipKey]? = gossipSessions.withLock { sessions in
            let hasChanged = sessions.rotate(at: now) { Curve25519.KeyAgreement.PrivateKey() }
            return hasChanged ? sessions.announced : nil
        }
        if let keys { keysContinuation.yield(keys) }
    }
}
