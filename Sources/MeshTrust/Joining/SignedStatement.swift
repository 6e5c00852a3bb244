// SPDX-License-Identifier: Apache-2.0

public import FoundationEssentials
public import MeshModel

/// Signs a statement as the cluster's authority. The signature is opaque here, at most
/// ``JoinLimit/signatureBytes``, and may carry the certificates of its signer.
public typealias StatementSigner = (_ statement: [UInt8]) throws(TrustError) -> [UInt8]

/// Throws unless `signature` below `statement` is by the authority that `bundle` anchors.
///
/// - Parameter issuedAt: when the statement says that it was made. Statements outlive the intermediate
///   that signed them, so validity is judged at this time.
public typealias StatementVerifier = (
    _ statement: [UInt8], _ signature: [UInt8], _ bundle: TrustBundle, _ issuedAt: Date
) throws(TrustError) -> Void

/// What can be signed: encoded behind a context that no other kind of statement begins with.
public protocol StatementContent: Hashable, Sendable {
    static var context: String { get }
    /// Seconds since 1970.
    var issuedAt: UInt64 { get }
    func encode(into writer: inout ByteWriter) throws(TrustError)
    init(from reader: inout ByteReader) throws(DecodingFault)
}

/// A statement as it was signed, byte for byte: what a later version appended is passed on.
public struct Signed<Content: StatementContent>: Sendable {
    public let content: Content
    let bytes: [UInt8]
    /// 1...4; one that verifies suffices. Several let those follow who know only an older root.
    let signatures: [[UInt8]]

    /// - Parameter signers: the authority's current signer first; during a rotation also one below
    ///   each root that others may still know alone.
    init(_ content: Content, by signers: [StatementSigner]) throws(TrustError) {
        guard (1...JoinLimit.signatures).contains(signers.count)
        else { throw .signingFailed("a statement has 1...\(JoinLimit.signatures) signatures") }
        var writer = ByteWriter()
        try content.encode(into: &writer)
        guard writer.bytes.count <= JoinLimit.statementBytes
        else { throw .signingFailed("a statement of \(writer.bytes.count) bytes") }
        bytes = writer.bytes
        self.content = content
        var signatures: [[UInt8]] = []
        for sign in signers {
            let signature = try sign(Array(Content.context.utf8) + writer.bytes)
            guard signature.count <= JoinLimit.signatureBytes
            else { throw .signingFailed("a signature of \(signature.count) bytes") }
            signatures.append(signature)
        }
        self.signatures = signatures
    }

    /// SHA-256 of what was signed.
    var digest: [UInt8] { sha256(bytes) }

    /// - Throws: the reason why the last signature doesn't count.
    func check(by bundle: TrustBundle, _ verify: StatementVerifier) throws(TrustError) {
        let statement = Array(Content.context.utf8) + bytes
        let issuedAt = Date(timeIntervalSince1970: Double(content.issuedAt))
        var reason = TrustError.untrusted(
            certificate: bundle.trustDomain.name, reason: "no signature")
        for signature in signatures {
            do throws(TrustError) {
                return try verify(statement, signature, bundle, issuedAt)
            } catch {
                reason = error
            }
        }
        throw reason
    }

    func isSigned(by bundle: TrustBundle, _ verify: StatementVerifier) -> Bool {
        do throws(TrustError) {
            try check(by: bundle, verify)
            return true
        } catch {
            return false
        }
    }
}

extension Signed: Hashable {
    /// Signatures may differ below one statement.
    public static func == (left: Signed, right: Signed) -> Bool { left.bytes == right.bytes }
    public func hash(into hasher: inout Hasher) { hasher.combine(bytes) }
}

extension Signed {
    func encode(into writer: inout ByteWriter) {
        writer.write(field: bytes)
        writer.write(list: signatures) { $0.write(field: $1) }
    }

    init(from reader: inout ByteReader) throws(DecodingFault) {
        bytes = Array(try reader.readField(max: JoinLimit.statementBytes, "statement"))
        var inner = ByteReader(bytes)
        content = try Content(from: &inner)
        signatures = try reader.readList(max: JoinLimit.signatures, "signatures") {
            reader throws(DecodingFault) in
            Array(try reader.readField(max: JoinLimit.signatureBytes, "signature"))
        }
        guard !signatures.isEmpty else { throw .invalid("signatures") }
    }

    /// For a file or a record of the ledger.
    public var encoded: [UInt8] {
        var writer = ByteWriter()
        encode(into: &writer)
        return writer.bytes
    }

    /// Reads ``encoded``. Nothing is verified yet.
    public init(encoded: [UInt8]) throws(DecodingFault) {
        var reader = ByteReader(encoded)
        try self.init(from: &reader)
        try reader.finish()
    }
}

extension Signed: Codable {
    public init(from decoder: any Decoder) throws {
        let data = try decoder.singleValueContainer().decode(Data.self)
        try self.init(encoded: Array(data))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(Data(encoded))
    }
}
