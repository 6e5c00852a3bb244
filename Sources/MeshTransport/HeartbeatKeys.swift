// SPDX-License-Identifier: Apache-2.0

import Crypto
import MeshModel
import MeshTrust
import Synchronization

/// The keys of one link's heartbeats, one for each direction.
///
/// X25519 inside the mutual-TLS stream, then HKDF-SHA256 over both SPIFFE IDs and the key ID: the TLS
/// library offers no exporter. A new link has new keys, so that neither a restart nor a reconnection
/// can use a nonce twice. The counter lives with the key for the same reason: however often the
/// object is installed, it goes on.
public final class HeartbeatKeys: Sendable {
    /// Nonces of one key; a link lives for centuries before it is used up.
    static let counterMaximum: UInt64 = 1 << 48

    let sendKey: SymmetricKey
    let sendKeyID: UInt64
    let receiveKey: SymmetricKey
    let receiveKeyID: UInt64
    private let counter = Atomic<UInt64>(0)

    /// One side's contribution, made for one link.
    struct Half: Sendable {
        let privateKey = Curve25519.KeyAgreement.PrivateKey()
        /// Chosen by the receiver, so that nobody can take an ID that is in use there.
        let receiveKeyID = UInt64.random(in: 1 ... .max)

        var publicKey: [UInt8] { Array(privateKey.publicKey.rawRepresentation) }
    }

    /// - Throws: for a public key of low order or of another length: refuse the peer.
    init(
        own: Half, ownIdentity: SPIFFEID, peerKey: [UInt8], peerReceiveKeyID: UInt64,
        peerIdentity: SPIFFEID, isInitiator: Bool
    ) throws {
        let secret = try own.privateKey.sharedSecretFromKeyAgreement(
            with: Curve25519.KeyAgreement.PublicKey(rawRepresentation: peerKey))
        // swift-crypto leaves the check of RFC 7748 §6.1 to its user.
        guard secret.withUnsafeBytes({ $0.reduce(0) { $0 | $1 } }) != 0
        else { throw RefusalReason.malformed("X25519 key of low order") }
        let salt = isInitiator ? own.publicKey + peerKey : peerKey + own.publicKey
        func key(from: SPIFFEID, to: SPIFFEID, id: UInt64) -> SymmetricKey {
            var info = ByteWriter()
            info.write("weft heartbeat 1")
            info.write(from.uri)
            info.write(to.uri)
            info.write(id)
            return secret.hkdfDerivedSymmetricKey(
                using: SHA256.self, salt: salt, sharedInfo: info.bytes, outputByteCount: 32)
        }
        sendKeyID = peerReceiveKeyID
        sendKey = key(from: ownIdentity, to: peerIdentity, id: peerReceiveKeyID)
        receiveKeyID = own.receiveKeyID
        receiveKey = key(from: peerIdentity, to: ownIdentity, id: own.receiveKeyID)
    }

    /// The next unused counter, from 1; nil when all are used.
    func nextCounter() -> UInt64? {
        let next = counter.wrappingAdd(1, ordering: .relaxed).newValue
        return next <= Self.counterMaximum ? next : nil
    }
}
