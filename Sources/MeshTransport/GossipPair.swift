// SPDX-License-Identifier: Apache-2.0

import Crypto
import MeshModel

/// One key of this node and one of a peer, and what was received under the two.
struct GossipPair {
    let peer: NodeID
    let own: GossipKey
    let remote: GossipKey
    var window: ReplayWindow
    /// Derived when first needed: 5,000 nodes would cost a quarter of a second at once.
    var secrets: GossipSecrets?

    /// What a datagram from one key to another carries: nobody outside the roster's readers can tell
    /// who speaks to whom. Readers are many, so that it proves nothing; it finds the key that does.
    static func keyID(
        from sender: NodeID, _ senderKey: GossipKey, to receiver: NodeID, _ receiverKey: GossipKey
    ) -> UInt64 {
        var writer = ByteWriter()
        writer.write("weft gossip pair 1")
        writer.write(sender.cluster.rawValue)
        writer.write(sender.name)
        writer.write(senderKey)
        writer.write(receiver.name)
        writer.write(receiverKey)
        return SHA256.hash(data: writer.bytes).prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }
}

/// The two keys of a pair, one for each direction: X25519, then HKDF-SHA256 over both public keys,
/// the cluster and both names.
struct GossipSecrets: Sendable {
    let sendKeyID: UInt64
    let send: SymmetricKey
    let receive: SymmetricKey

    /// Nil when the peer's key is of low order: nothing is sent to it or taken from it.
    init?(own: OwnGossipKey, of node: NodeID, remote: GossipKey, of peer: NodeID) {
        guard let secret = own.agree(with: remote) else { return nil }
        func key(
            from sender: NodeID, _ senderKey: GossipKey, to receiver: NodeID,
            _ receiverKey: GossipKey
        ) -> SymmetricKey {
            var info = ByteWriter()
            info.write("weft gossip 1")
            info.write(sender.cluster.rawValue)
            info.write(sender.name)
            info.write(receiver.name)
            return secret.hkdfDerivedSymmetricKey(
                using: SHA256.self, salt: senderKey.bytes + receiverKey.bytes,
                sharedInfo: info.bytes, outputByteCount: 32)
        }
        sendKeyID = GossipPair.keyID(from: node, own.publicKey, to: peer, remote)
        send = key(from: node, own.publicKey, to: peer, remote)
        receive = key(from: peer, remote, to: node, own.publicKey)
    }
}

extension GossipSecrets: CustomStringConvertible, CustomReflectable {
    var description: String { "GossipSecrets" }
    var customMirror: Mirror { Mirror(self, children: [:]) }
}
