// SPDX-License-Identifier: Apache-2.0

public import MeshModel
public import X509

/// A statement of a cluster's authority, byte for byte as it was signed, and the signature.
///
/// The body begins with a context of its kind, so that a signature means nothing anywhere else. What
/// the signature looks like is the affair of the ``StatementJudge``.
///
/// On the wire: 32-bit length and body, 32-bit length and signature, network byte order.
public struct SealedStatement: Hashable, Sendable {
    public static let bodyBytesMaximum = 128 * 1024
    /// The signature and the signer's certificates.
    public static let signatureBytesMaximum = 8 * 1024

    public let body: [UInt8]
    public let signature: [UInt8]

    /// - Throws: ``DecodingFault/tooLong(_:)`` above the bounds.
    public init(body: [UInt8], signature: [UInt8]) throws(DecodingFault) {
        guard body.count <= Self.bodyBytesMaximum else { throw .tooLong("statement") }
        guard signature.count <= Self.signatureBytesMaximum else { throw .tooLong("signature") }
        self.body = body
        self.signature = signature
    }

    public init(from reader: inout ByteReader) throws(DecodingFault) {
        body = Array(try reader.readField(max: Self.bodyBytesMaximum, "statement"))
        signature = Array(try reader.readField(max: Self.signatureBytesMaximum, "signature"))
    }

    public func encode(into writer: inout ByteWriter) {
        writer.write(field: body)
        writer.write(field: signature)
    }
}

/// Throws unless an authority below an anchor of `bundle` signed the body, with certificates that are
/// valid now. Asks `denied` about the signer's path, its own certificate first and the anchor last,
/// and throws with the reason it gives.
public typealias StatementJudge = (
    _ body: [UInt8], _ signature: [UInt8], _ bundle: TrustBundle,
    _ denied: @escaping @Sendable (_ path: [Certificate]) -> String?
) throws -> Void

extension SealedStatement {
    /// Whether an authority of `bundle`'s cluster that nobody denies signed it. A node's certificate
    /// leads to the same anchors and doesn't count.
    func check(
        by bundle: TrustBundle, denials: DenyBook, judge: StatementJudge
    ) throws(StatementRefusal) {
        let authority = SPIFFEID(authorityOf: bundle.trustDomain)
        do {
            try judge(body, signature, bundle) { path in
                guard let signer = path.first,
                    case .isCertificateAuthority? =
                        (try? signer.extensions.basicConstraints) ?? nil,
                    CertificateNames(signer).spiffeID == authority
                else { return "its signer is no authority" }
                return denials.denial(of: path).map { "\($0)" }
            }
        } catch {
            throw .notSigned(
                domain: bundle.trustDomain.name, reason: String("\(error)".prefix(500)))
        }
    }
}

extension SealedStatement: Codable {
    private enum CodingKeys: CodingKey { case body, signature }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        try self.init(
            body: values.decodeBase64(.body), signature: values.decodeBase64(.signature))
    }

    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(base64(body), forKey: .body)
        try values.encode(base64(signature), forKey: .signature)
    }
}
