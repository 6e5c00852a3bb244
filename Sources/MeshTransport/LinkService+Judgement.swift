// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshModel
public import MeshTrust
import Synchronization

/// Peers that were believed once, judged by other rules.
extension LinkService {
    /// What ``LinkConfiguration/denied`` says has changed: judges every known peer again and ends the
    /// links of those it denies. Session tickets made before are worthless from now on, and so is a
    /// verification that was made before and led to no link yet.
    ///
    /// - Returns: nodes that are no longer believed, with or without a link. ``LinkEvent/distrusted(_:)``
    ///   tells of them, too.
    /// - Throws: when the TLS library makes no new context: tickets stay, which lead to no link
    ///   anyway; the peers were judged.
    @discardableResult
    public func judgeAgain() throws -> [PeerIdentity] {
        let fault: (any Error)? = state.withLock { state in
            state.generation += 1
            do { state.contexts = try TLSContexts(credentials: state.security.credentials) } catch {
                return error
            }
            return nil
        }
        let distrusted = judgePeers()
        if let fault { throw fault }
        return distrusted
    }

    @discardableResult
    func judgePeers() -> [PeerIdentity] {
        let (verifier, security, links, known) = state.withLock { state in
            (
                state.verifier, state.security, Array(state.table.entries.values),
                state.known.peers
            )
        }
        for link in links {
            let connection = link.connection
            let objection = verifier.objection(
                to: connection.presented, verifiedAt: connection.verifiedAt, as: link.node,
                security)
            if let objection { connection.close(objection) }
        }
        var distrusted: [PeerIdentity] = []
        for (node, peer) in known.sorted(by: { $0.key < $1.key })
        where verifier.objection(
            to: peer.presented, verifiedAt: peer.verifiedAt, as: node, security) != nil
        {
            state.withLock { $0.known.remove(node) }
            distrusted.append(peer.identity)
            events.queue.yield(.distrusted(node))
        }
        return distrusted
    }
}

extension LinkService.State {
    /// What there is against a verified peer that had no objection to it so far. One that was judged
    /// by other rules is judged again: these may have changed during its introduction.
    func objection(to peer: PeerVerification.Peer) -> RefusalReason? {
        if isStopped { return .closedByPeer }
        guard peer.generation != generation else { return nil }
        do throws(TrustError) {
            _ = try verifier.verify(presented: peer.presented, now: peer.verifiedAt)
            return nil
        } catch {
            return .trust(error)
        }
    }
}

extension PeerVerifier {
    /// Why a peer that was believed when its link was made would not be now; nil if it would.
    fileprivate func objection(
        to presented: [[UInt8]], verifiedAt: Date, as node: NodeID, _ security: LinkSecurity
    ) -> LinkDownReason? {
        do throws(TrustError) {
            let peer = try verify(presented: presented, now: verifiedAt).peer
            return security.clusters[peer.cluster] == node.cluster ? nil : .trustWithdrawn
        } catch {
            if case .denied = error { return .denied }
            return .trustWithdrawn
        }
    }
}
