// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Logging
import MeshModel
import MeshTrust
import NIOCore
import Synchronization

/// What the handlers of connections ask and report, on the event loop.
extension LinkService {
    func hello(with half: HeartbeatKeys.Half) -> Hello {
        let identity = state.withLock { $0.security.credentials.identity }
        return Hello(
            clusterID: configuration.clusterID, clusterName: identity.cluster,
            node: identity.node, incarnation: configuration.incarnation,
            publicKey: half.publicKey, receiveKeyID: half.receiveKeyID)
    }

    /// What a dialler has against whoever answered, before it says a word; nil when nothing.
    func objection(to peer: PeerIdentity, at target: LinkTarget?) -> RefusalReason? {
        state.withLock { state in
            guard peer != state.security.credentials.identity else { return .selfConnection }
            guard let target else { return nil }
            if let cluster = target.cluster,
                cluster != peer.cluster
                    || target.node.map({ $0 != peer.node }) == true
            {
                return .unexpectedPeer(
                    expected: target.node.map { "\(cluster)/\($0)" } ?? "\(cluster)")
            }
            guard let id = state.security.clusters[peer.cluster],
                let node = NodeID(cluster: id, name: peer.node)
            else { return .unknownCluster(peer.cluster) }
            state.learned[target.remote] = node
            return state.table[node] == nil ? nil : .duplicate
        }
    }

    /// Compares what the peer says with its certificate and with the configuration, and decides
    /// between links to the same node.
    func admit(
        _ hello: Hello, from peer: PeerVerification.Peer, half: HeartbeatKeys.Half,
        isInitiator: Bool, channel: any Channel
    ) throws(RefusalReason) -> (Link, LinkConnection) {
        let identity = peer.identity
        guard hello.clusterName == identity.cluster, hello.node == identity.node
        else { throw .identityMismatch(hello: "\(hello.clusterName)/\(hello.node)") }
        let security = state.withLock { $0.security }
        guard identity != security.credentials.identity else { throw .selfConnection }
        guard let configured = security.clusters[hello.clusterName]
        else { throw .unknownCluster(hello.clusterName) }
        guard configured == hello.clusterID
        else { throw .wrongClusterID(claimed: hello.clusterID, configured: configured) }
        guard let node = NodeID(cluster: configured, name: hello.node),
            let remote = TransportAddress(channel.remoteAddress)
        else { throw .closedByPeer }
        guard
            let keys = try? HeartbeatKeys(
                own: half, ownIdentity: security.credentials.identity.spiffeID,
                peerKey: hello.publicKey, peerReceiveKeyID: hello.receiveKeyID,
                peerIdentity: identity.spiffeID, isInitiator: isInitiator)
        else { throw .malformed("X25519 key") }

        typealias Decision = LinkTable<LinkConnection>.Decision
        let (id, forgotten, decision) = state.withLock {
            state -> (LinkID, NodeID?, (Decision, LinkConnection)) in
            let id = LinkID(rawValue: state.nextID)
            state.nextID += 1
            let connection = LinkConnection(
                id: id, channel: channel, presented: peer.presented, verifiedAt: peer.verifiedAt,
                peerNotAfter: peer.notAfter,
                configuration: configuration)
            let decision =
                state.objection(to: peer).map { Decision.refused($0) }
                ?? state.table.admit(
                    .init(
                        id: id, node: node, incarnation: hello.incarnation,
                        isInitiator: isInitiator, connection: connection))
            guard case .accepted = decision else { return (id, nil, (decision, connection)) }
            let known = KnownPeers.Peer(
                identity: identity, presented: peer.presented, verifiedAt: peer.verifiedAt)
            let table = state.table
            let forgotten = state.known.insert(known, of: node) { table[$0] != nil }
            return (id, forgotten, (decision, connection))
        }
        if let forgotten { events.queue.yield(.distrusted(forgotten)) }
        let connection = decision.1
        switch decision.0 {
        case .refused(let reason): throw reason
        case .accepted(let replaced):
            if let replaced {
                report(down: replaced.id, .replaced)
                replaced.connection.close(.replaced)
            }
        }
        return (
            Link(
                id: id, peer: identity, node: node, incarnation: hello.incarnation,
                isInitiator: isInitiator, remoteAddress: remote, heartbeatKeys: keys),
            connection
        )
    }

    func linkIsUp(_ link: Link) {
        statistics.update { $0.linksOpened &+= 1 }
        logger.info(
            "link up",
            metadata: [
                "peer": "\(link.peer)", "address": "\(link.remoteAddress)",
                "link": "\(link.id.rawValue)",
            ])
        events.queue.yield(.up(link))
    }

    func received(_ payload: [UInt8], on connection: LinkConnection) {
        statistics.update {
            $0.framesReceived &+= 1
            $0.bytesReceived &+= UInt64(payload.count)
        }
        events.queue.yield(.frame(connection.id, payload), from: connection)
    }

    /// Reports the end once, whoever noticed it first.
    func linkIsDown(_ connection: LinkConnection, _ reason: LinkDownReason) {
        guard state.withLock({ $0.table.remove(connection.id) }) != nil else { return }
        report(down: connection.id, reason)
    }

    private func report(down id: LinkID, _ reason: LinkDownReason) {
        statistics.update { $0.linksClosed &+= 1 }
        logger.info(
            "link down", metadata: ["link": "\(id.rawValue)", "reason": "\(reason.rawValue)"])
        events.queue.yield(.down(id, reason))
    }

    func refused(_ reason: RefusalReason, peer: PeerIdentity?, remote: TransportAddress?) {
        statistics.count(reason.rejection)
        let refusal = LinkRefusal(remote: remote, peer: peer, reason: reason)
        if !events.queue.yield(.refused(refusal)) { statistics.count(.eventLost) }
        guard !reason.isRoutine else { return }
        let name = peer.map { "\($0)" } ?? remote.map { "\($0.address)" } ?? "unknown"
        guard state.withLock({ $0.refusalLog.admits(name, at: .monotonicNow) }) else { return }
        logger.warning(
            "peer refused",
            metadata: [
                "peer": "\(name)", "address": "\(remote.map { "\($0)" } ?? "")",
                "reason": "\(reason)",
            ])
    }

    /// Whether another stranger may be listened to.
    func handshakeBegins() -> Bool {
        state.withLock { state in
            if state.handshakes >= configuration.handshakesMaximum { return false }
            state.handshakes += 1
            return true
        }
    }

    func handshakeEnded() { state.withLock { $0.handshakes -= 1 } }
}
