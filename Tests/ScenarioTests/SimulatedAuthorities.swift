// SPDX-License-Identifier: Apache-2.0

import Crypto
import MeshModel
import MeshReplication
import Synchronization

/// The clusters' CAs, and which of their keys are believed. One for a whole world.
final class SimulatedAuthorities: Sendable {
    private struct Keys {
        var present = P256.Signing.PrivateKey()
        /// Believed as well, while the root changes.
        var other: P256.Signing.PublicKey?
    }

    private let keys: Mutex<[ClusterID: Keys]>

    init(_ owners: [ClusterID]) {
        keys = Mutex(Dictionary(uniqueKeysWithValues: owners.map { ($0, Keys()) }))
    }

    var believed: [ClusterID: LedgerAuthority] {
        keys.withLock { keys in
            keys.mapValues {
                LedgerAuthority([$0.present.publicKey] + [$0.other].compactMap(\.self))
            }
        }
    }

    func root(of owner: ClusterID) -> String {
        keys.withLock { keys in
            keys[owner].map { "\(Array($0.present.publicKey.rawRepresentation))" } ?? ""
        }
    }

    func signature(
        of owner: ClusterID, for bytes: [UInt8]
    ) throws -> P256.Signing.ECDSASignature {
        try keys.withLock { try $0[owner]!.present.signature(for: bytes) }
    }

    /// Goes on with another key; the former one is believed until it is withdrawn.
    func replace(_ owner: ClusterID) {
        keys.withLock { keys in
            keys[owner] = Keys(other: keys[owner]?.present.publicKey)
        }
    }

    func withdraw(_ owner: ClusterID) { keys.withLock { $0[owner]?.other = nil } }
}
