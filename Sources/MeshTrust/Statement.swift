// SPDX-License-Identifier: Apache-2.0

import Crypto
public import FoundationEssentials
import MeshModel
import X509

/// Something a cluster's authority says that is no certificate.
public struct Statement: Hashable, Sendable {
    /// What a statement is about. The signature covers it, so that no statement passes for one of
    /// another kind. A target that has a kind adds it here as a static member.
    public struct Kind: Hashable, Sendable {
        /// Who may write the cluster's ledger in an epoch.
        public static let ledgerDelegation = Kind("weft ledger delegation")

        /// 1...255 bytes of ASCII, unlike every other kind's.
        let context: String

        public init(_ context: String) {
            precondition((1...255).contains(context.utf8.count), "a kind's context is a constant")
            self.context = context
        }
    }

    public let kind: Kind
    public let body: [UInt8]

    public init(_ kind: Kind, body: [UInt8]) {
        self.kind = kind
        self.body = body
    }

    /// The length of the context in a byte, the context, the body: no two statements give the same.
    var signedBytes: [UInt8] { [UInt8(kind.context.utf8.count)] + kind.context.utf8 + body }
}

/// An authority's signature under a statement, with the certificates that lead to its root: a
/// verifier needs the root alone, which signs nothing itself and may be offline.
///
/// Encoded in network byte order: version, 64 bytes of signature, 8-bit number of certificates, each
/// a 32-bit length and DER. A later version has another number.
public struct StatementSignature: Hashable, Sendable {
    /// Of the encoding.
    public static let bytesMaximum = 4 * 1024
    public static let certificatesMaximum = 2
    private static let version: UInt8 = 1
    private static let signatureBytes = 64

    /// P-256 over SHA-256, r and s of 32 bytes each.
    let signature: [UInt8]
    /// DER: the signer's certificate, then its issuer's; without the root.
    let chain: [[UInt8]]

    init(signature: [UInt8], chain: [[UInt8]]) {
        self.signature = signature
        self.chain = chain
    }

    /// - Throws: ``TrustError/invalidStatement(_:)``: nothing was verified, ignore the statement.
    public init(encoded: [UInt8]) throws(TrustError) {
        guard encoded.count <= Self.bytesMaximum
        else { throw .invalidStatement("its signature has \(encoded.count) bytes") }
        do throws(DecodingFault) {
            var reader = ByteReader(encoded)
            let version: UInt8 = try reader.read()
            guard version == Self.version else { throw .unsupportedVersion(version) }
            signature = Array(try reader.read(raw: Self.signatureBytes))
            let count = Int(try reader.read(UInt8.self))
            guard (1...Self.certificatesMaximum).contains(count) else { throw .tooLong("chain") }
            var chain: [[UInt8]] = []
            for _ in 0..<count {
                chain.append(
                    Array(try reader.readField(max: Self.bytesMaximum, "certificate")))
            }
            self.chain = chain
            try reader.finish()
        } catch {
            throw .invalidStatement("its signature cannot be read (\(error))")
        }
    }

    public var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.write(Self.version)
        writer.write(raw: signature)
        writer.write(UInt8(chain.count))
        for certificate in chain { writer.write(field: certificate) }
        return writer.bytes
    }
}

extension CertificateAuthority {
    /// Signs a statement with the intermediate's key.
    ///
    /// - Returns: believed until ``statementsEnd`` by whoever has the root.
    /// - Throws: ``TrustError/signingFailed(_:)``, also when the certificates are too long to be sent.
    public func sign(statement: Statement) throws(TrustError) -> StatementSignature {
        let raw: [UInt8]
        do { raw = Array(try key.signature(for: statement.signedBytes).rawRepresentation) } catch {
            throw .signingFailed("the key doesn't sign")
        }
        let signature = StatementSignature(signature: raw, chain: [try chain[0].der()])
        guard signature.encoded.count <= StatementSignature.bytesMaximum
        else { throw .signingFailed("the authority's certificate is too long") }
        return signature
    }

    /// When statements signed now cease to be believed: with the intermediate, or the root.
    public var statementsEnd: Date { min(chain[0].notValidAfter, chain[1].notValidAfter) }
}

extension TrustBundle {
    /// Whether the authority of ``trustDomain`` made a statement. Synchronous, so that cores that
    /// verify need not wait.
    ///
    /// - Parameters:
    ///   - now: when the certificates must be valid: the present, or for a statement that has an end
    ///     of its own, that end.
    ///   - denied: asked about a path that is otherwise good.
    /// - Throws: ``TrustError``: the statement is nobody's.
    /// - Complexity: as ``PeerVerifier/verify(presented:now:)`` for 2 certificates, and a signature.
    public func verify(
        _ signature: StatementSignature, of statement: Statement, now: Date,
        denied: Denial? = nil
    ) throws(TrustError) {
        var facts: [CertificateFacts] = []
        for bytes in signature.chain {
            facts.append(try CertificateFacts(CertificateReader.certificate(bytes)))
        }
        guard let signer = facts.first, facts.count <= StatementSignature.certificatesMaximum
        else { throw .invalidStatement("it has \(facts.count) certificates") }
        let label = signer.names.label
        if let reason = SVIDPolicy.unsuitabilityAsSigner(signer, of: trustDomain) {
            throw .unsuitable(certificate: label, reason: reason)
        }
        _ = try TrustPath(from: facts, to: self, now: now, denied: denied)
        guard let key = P256.Signing.PublicKey(signer.certificate.publicKey),
            let raw = try? P256.Signing.ECDSASignature(rawRepresentation: signature.signature),
            key.isValidSignature(raw, for: statement.signedBytes)
        else { throw .invalidStatement("\(label) didn't sign it") }
    }
}
