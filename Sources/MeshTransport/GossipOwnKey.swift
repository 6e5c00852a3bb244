// SPDX-License-Identifier: Apache-2.0

import Crypto
import MeshModel

/// A key this process made to gossip with. Its private half is never stored and never sent, so that
/// what was sealed to it can't be opened, nor passed off as new, after the process has ended.
struct OwnGossipKey: Sendable {
    private let privateKey: Curve25519.KeyAgreement.PrivateKey
    let publicKey: GossipKey
    let madeAt: Instant
    /// How long it is in force beside the one before it at least.
    let overlap: Duration
    /// The highest counter of each pair that was heard and then closed: should it open again, all up
    /// to it counts as seen. By key ID.
    var closed: [UInt64: UInt64] = [:]

    init(
        _ privateKey: Curve25519.KeyAgreement.PrivateKey, madeAt: Instant,
        overlap: Duration = GossipSessions.keyOverlap
    ) {
        self.privateKey = privateKey
        self.madeAt = madeAt
        self.overlap = overlap
        guard let publicKey = GossipKey(privateKey.publicKey.rawRepresentation)
        else { preconditionFailure("an X25519 public key has 32 bytes") }
        self.publicKey = publicKey
    }

    /// Nil for a public key of low order.
    func agree(with remote: GossipKey) -> SharedSecret? {
        guard
            let publicKey = try? Curve25519.KeyAgreement.PublicKey(
                rawRepresentation: remote.bytes),
            let secret = try? privateKey.sharedSecretFromKeyAgreement(with: publicKey)
        else { return nil }
        // swift-crypto leaves the check of RFC 7748 §6.1 to its user.
        return secret.withUnsafeBytes { $0.reduce(0) { $0 | $1 } } == 0 ? nil : secret
    }
}

extension OwnGossipKey: CustomStringConvertible, CustomReflectable {
    var description: String { "OwnGossipKey" }
    var customMirror: Mirror { Mirror(self, children: [:]) }
}
