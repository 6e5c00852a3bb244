// SPDX-License-Identifier: Apache-2.0

public import Crypto
public import MeshModel

/// Who may write an owner's ledger in one epoch: the cluster's CA says so.
///
/// Encoded in network byte order: version, 16-bit owner, 32-bit epoch, Ed25519 key (32 bytes), 64-bit
/// seconds since 1970 after which it no longer counts. A later version may append.
public struct Delegation: Hashable, Sendable {
    static let version: UInt8 = 1

    public let owner: ClusterID
    public let epoch: UInt32
    /// Made for this epoch alone: whoever opens the next one makes another.
    public let key: [UInt8]
    /// Seconds since 1970-01-01T00:00Z.
    public let notAfter: UInt64

    public init(
        owner: ClusterID, epoch: UInt32, key: Curve25519.Signing.PublicKey, notAfter: UInt64
    ) {
        self.owner = owner
        self.epoch = epoch
        self.key = Array(key.rawRepresentation)
        self.notAfter = notAfter
    }

    private var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.write(Self.version)
        writer.write(owner.rawValue)
        writer.write(epoch)
        writer.write(raw: key)
        writer.write(notAfter)
        return writer.bytes
    }

    fileprivate init(encoded bytes: [UInt8]) throws(DecodingFault) {
        var reader = ByteReader(bytes)
        let version = try reader.read(UInt8.self)
        guard version == Self.version else { throw .unsupportedVersion(version) }
        owner = try reader.readOwner()
        epoch = try reader.read()
        guard epoch > 0 else { throw .invalid("epoch") }
        key = Array(try reader.read(raw: 32))
        notAfter = try reader.read()
    }

    /// What the CA signs: the encoding behind a context, so that the signature means nothing
    /// anywhere else.
    fileprivate static let context = Array("weft ledger delegation".utf8)

    /// - Parameter sign: of the cluster's CA: gives for the bytes what its ``LedgerAuthority`` takes
    ///   for their signature.
    public func signed(by sign: ([UInt8]) throws -> [UInt8]) rethrows -> SignedDelegation {
        let bytes = encoded
        return SignedDelegation(
            delegation: self, bytes: bytes, signature: try sign(Self.context + bytes))
    }
}

/// A delegation as it was signed, byte for byte.
public struct SignedDelegation: Hashable, Sendable {
    public let delegation: Delegation
    let bytes: [UInt8]
    let signature: [UInt8]

    /// SHA-256 of ``bytes``; the epoch's first header names it.
    var hash: LedgerDigest { LedgerDigest(of: bytes) }

    func isSigned(by authority: LedgerAuthority) -> Bool {
        authority.hasSigned(Delegation.context + bytes, signature, delegation.notAfter)
    }

    /// Whether `signed` was written with the delegated key.
    func covers(_ signed: SignedHeader) -> Bool {
        guard signed.owner == delegation.owner,
            signed.header.position.epoch == delegation.epoch,
            let key = try? Curve25519.Signing.PublicKey(rawRepresentation: delegation.key)
        else { return false }
        return signed.isSigned(by: key)
    }

    func isExpired(at realTime: UInt64) -> Bool {
        realTime > delegation.notAfter
            && realTime - delegation.notAfter > ReplicationLimit.clockSkewSeconds
    }
}

extension SignedDelegation {
    func encode(into writer: inout ByteWriter) {
        writer.write(field: bytes)
        writer.write(field: signature)
    }

    init(from reader: inout ByteReader) throws(DecodingFault) {
        bytes = Array(
            try reader.readField(max: ReplicationLimit.delegationBytes, "delegation"))
        delegation = try Delegation(encoded: bytes)
        signature = Array(
            try reader.readField(
                max: ReplicationLimit.delegationSignatureBytes, "signature"))
    }
}

/// A cluster's CA: a replica believes what it delegated.
public struct LedgerAuthority: Sendable {
    /// Whether `signature` under `bytes` counts until `until`, seconds since 1970. The answer must not
    /// depend on anything else: replicas ask once, and may ask again after a restart.
    public typealias Verification =
        @Sendable (
            _ bytes: [UInt8], _ signature: [UInt8], _ until: UInt64
        ) -> Bool

    private let identity: [UInt8]
    let hasSigned: Verification

    /// - Parameter identity: two authorities with the same one give the same answers.
    public init(identity: [UInt8], hasSigned: @escaping Verification) {
        self.identity = identity
        self.hasSigned = hasSigned
    }

    /// - Parameter keys: P-256 keys that sign themselves, 64 raw bytes over SHA-256, and never end.
    public init(_ keys: [P256.Signing.PublicKey]) {
        self.init(identity: keys.flatMap(\.rawRepresentation)) { bytes, signature, _ in
            guard let signature = try? P256.Signing.ECDSASignature(rawRepresentation: signature)
            else { return false }
            return keys.contains { $0.isValidSignature(signature, for: bytes) }
        }
    }
}

extension LedgerAuthority: Equatable {
    public static func == (left: LedgerAuthority, right: LedgerAuthority) -> Bool {
        left.identity == right.identity
    }
}
