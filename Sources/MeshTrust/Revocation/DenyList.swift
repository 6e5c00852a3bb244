// SPDX-License-Identifier: Apache-2.0

public import FoundationEssentials
import MeshModel

/// What a cluster denies of its own trust domain, for every cluster.
///
/// Body: the context `weft deny list`, version 1, trust domain (32-bit length, UTF-8), 64-bit
/// sequence, 32-bit count, the entries in strictly ascending order of their subjects' bytes; network
/// byte order. One list has one encoding.
public struct DenyList: Hashable, Sendable {
    public static let entriesMaximum = 1024
    public static let bytesMaximum = SealedStatement.bodyBytesMaximum
    static let context = Array("weft deny list".utf8)
    static let version: UInt8 = 1

    public let owner: TrustDomain
    /// Greater in every later list.
    public let sequence: UInt64
    public let entries: [DenyEntry]
    /// What is signed.
    public let body: [UInt8]

    /// - Parameter entries: in any order; of two about one subject the one that ends later counts.
    /// - Throws: ``StatementRefusal/malformed(_:)`` above the bounds, and for an identity of another
    ///   trust domain: a cluster denies only its own.
    public init(
        of owner: TrustDomain, sequence: UInt64, entries: [DenyEntry]
    ) throws(StatementRefusal) {
        var bySubject: [[UInt8]: DenyEntry] = [:]
        for entry in entries {
            let key = entry.subject.encoded
            if let other = bySubject[key], other.until >= entry.until { continue }
            bySubject[key] = entry
        }
        let sorted = bySubject.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map(\.value)
        self.owner = owner
        self.sequence = sequence
        self.entries = sorted
        body = Self.body(owner: owner, sequence: sequence, entries: sorted)
        try check()
    }

    /// - Throws: ``StatementRefusal/malformed(_:)``, also for an encoding that isn't the canonical.
    public init(body: [UInt8], mesh: String) throws(StatementRefusal) {
        let parts: (name: String, sequence: UInt64, entries: [DenyEntry])
        do { parts = try Self.split(body) } catch {
            throw .malformed("the deny list can't be read: \(error)")
        }
        guard let owner = meshTrustDomain(named: parts.name, mesh: mesh)
        else { throw .malformed("\(parts.name) is no trust domain of mesh \(mesh)") }
        try self.init(of: owner, sequence: parts.sequence, entries: parts.entries)
        guard self.body == body
        else { throw .malformed("the deny list isn't in its canonical order") }
    }

    /// The next list of the same owner: what has expired is left out.
    public func next(
        adding: [DenyEntry] = [], removing: Set<DenySubject> = [], now: Date
    ) throws(StatementRefusal) -> DenyList {
        let kept = entries.filter { $0.until > now && !removing.contains($0.subject) }
        return try DenyList(of: owner, sequence: sequence + 1, entries: kept + adding)
    }

    public func sealed(by sign: ([UInt8]) throws -> [UInt8]) throws -> SealedStatement {
        try SealedStatement(body: body, signature: sign(body))
    }

    private func check() throws(StatementRefusal) {
        guard sequence <= BundleDocument.sequenceMaximum
        else {
            throw .malformed("the deny list's sequence exceeds \(BundleDocument.sequenceMaximum)")
        }
        guard entries.count <= Self.entriesMaximum, body.count <= Self.bytesMaximum else {
            throw .malformed(
                "a deny list has at most \(Self.entriesMaximum) entries in \(Self.bytesMaximum) bytes: "
                    + "deny an authority instead of its certificates")
        }
        for entry in entries {
            if case .identity(let id) = entry.subject, id.trustDomain != owner.name {
                throw .malformed("\(owner) can't deny \(id) for others: deny it locally")
            }
        }
    }

    private static func body(
        owner: TrustDomain, sequence: UInt64, entries: [DenyEntry]
    ) -> [UInt8] {
        var writer = ByteWriter()
        writer.write(raw: context)
        writer.write(version)
        writer.write(owner.name)
        writer.write(sequence)
        writer.write(list: entries) { $1.encode(into: &$0) }
        return writer.bytes
    }

    private static func split(
        _ body: [UInt8]
    ) throws(DecodingFault) -> (String, UInt64, [DenyEntry]) {
        guard body.count <= bytesMaximum else { throw .tooLong("deny list") }
        var reader = ByteReader(body)
        try reader.readPreamble(context, version: version)
        let name = try reader.readString(max: TrustDomain.maximumLength, "trust domain")
        let sequence = try reader.read(UInt64.self)
        let entries = try reader.readList(max: entriesMaximum, "denials") {
            (reader: inout ByteReader) throws(DecodingFault) in try DenyEntry(from: &reader)
        }
        try reader.finish()
        return (name, sequence, entries)
    }
}
