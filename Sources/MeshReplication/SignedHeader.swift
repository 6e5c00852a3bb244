// SPDX-License-Identifier: Apache-2.0

import Crypto
public import MeshModel

/// A batch header as it was signed, byte for byte, and its owner's Ed25519 signature.
public struct SignedHeader: Hashable, Sendable {
    static let signatureBytes = 64
    /// Signed before the header, so that a signature means nothing anywhere else.
    static let context = Array("weft ledger header".utf8)

    public let header: BatchHeader
    /// The header as received: what is hashed, verified and passed on.
    let bytes: [UInt8]
    let signature: [UInt8]
    /// SHA-256 of ``bytes``; the next header names it.
    public let hash: LedgerDigest

    public var owner: ClusterID { header.owner }
    public var head: LedgerHead { LedgerHead(position: header.position, hash: hash) }

    /// - Throws: whatever the key throws when it can't sign.
    init(signing header: BatchHeader, with key: Curve25519.Signing.PrivateKey) throws {
        self.header = header
        bytes = header.encoded
        signature = Array(try key.signature(for: Self.context + bytes))
        hash = LedgerDigest(of: bytes)
    }

    func isSigned(by key: Curve25519.Signing.PublicKey) -> Bool {
        key.isValidSignature(signature, for: Self.context + bytes)
    }
}

extension SignedHeader {
    func encode(into writer: inout ByteWriter) {
        writer.write(field: bytes)
        writer.write(raw: signature)
    }

    init(from reader: inout ByteReader) throws(DecodingFault) {
        bytes = Array(try reader.readField(max: ReplicationLimit.headerBytes, "header"))
        header = try BatchHeader(encoded: bytes)
        signature = Array(try reader.read(raw: Self.signatureBytes))
        hash = LedgerDigest(of: bytes)
    }
}

/// A point in an owner's history, and which history: two heads of one position and different hashes
/// are proof of a fork, once their signatures are checked.
public struct LedgerHead: Hashable, Sendable {
    public let position: Position
    /// Of the header at ``position``.
    public let hash: LedgerDigest

    /// Before any history.
    public static let origin = LedgerHead(position: .origin, hash: .zero)
}
