// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// What an authority signs to say which roots its trust domain has.
///
/// Body: the context `weft trust bundle`, version 1, trust domain (32-bit length, UTF-8), 64-bit
/// sequence, the document's JSON (32-bit length); network byte order.
public struct BundleStatement: Hashable, Sendable {
    static let context = Array("weft trust bundle".utf8)
    static let version: UInt8 = 1

    public let trustDomain: TrustDomain
    public let document: BundleDocument
    /// What is signed.
    public let body: [UInt8]

    /// - Throws: ``TrustError/signingFailed(_:)`` when a root's key can't be written as JSON.
    public init(_ document: BundleDocument, of domain: TrustDomain) throws(TrustError) {
        trustDomain = domain
        self.document = document
        var writer = ByteWriter()
        writer.write(raw: Self.context)
        writer.write(Self.version)
        writer.write(domain.name)
        writer.write(document.sequence)
        writer.write(field: try document.json())
        body = writer.bytes
    }

    /// - Throws: ``StatementRefusal/malformed(_:)``, also for a trust domain outside `mesh`.
    public init(body: [UInt8], mesh: String) throws(StatementRefusal) {
        let parts: (domain: String, sequence: UInt64, json: [UInt8])
        do { parts = try Self.split(body) } catch {
            throw .malformed("the bundle statement can't be read: \(error)")
        }
        guard let domain = meshTrustDomain(named: parts.domain, mesh: mesh)
        else { throw .malformed("\(parts.domain) is no trust domain of mesh \(mesh)") }
        document = try BundleDocument(json: parts.json)
        guard document.sequence == parts.sequence
        else { throw .malformed("statement and bundle have different sequences") }
        trustDomain = domain
        self.body = body
    }

    public func sealed(by sign: ([UInt8]) throws -> [UInt8]) throws -> SealedStatement {
        try SealedStatement(body: body, signature: sign(body))
    }

    private static func split(
        _ body: [UInt8]
    ) throws(DecodingFault) -> (String, UInt64, [UInt8]) {
        var reader = ByteReader(body)
        try reader.readPreamble(context, version: version)
        let domain = try reader.readString(max: TrustDomain.maximumLength, "trust domain")
        let sequence = try reader.read(UInt64.self)
        let json = try reader.readField(max: BundleDocument.bytesMaximum, "bundle")
        try reader.finish()
        return (domain, sequence, Array(json))
    }
}
