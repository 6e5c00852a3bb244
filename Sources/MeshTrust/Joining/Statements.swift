// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// What a cluster says about itself, signed by one of its own roots: that it has the key, and that it
/// wants to be known so.
public struct Announcement: StatementContent {
    public static let context = "weft cluster announcement"
    static let version: UInt8 = 1

    public let description: ClusterDescription
    /// Of the statements that the cluster signs, higher than all before.
    public let sequence: UInt64
    public let issuedAt: UInt64
    /// Whether the cluster has left the mesh.
    public let hasLeft: Bool

    public func encode(into writer: inout ByteWriter) throws(TrustError) {
        writer.write(Self.version)
        writer.write(sequence)
        writer.write(issuedAt)
        writer.write(hasLeft)
        try description.encode(into: &writer)
    }

    public init(
        description: ClusterDescription, sequence: UInt64, issuedAt: UInt64, hasLeft: Bool = false
    ) {
        self.description = description
        self.sequence = sequence
        self.issuedAt = issuedAt
        self.hasLeft = hasLeft
    }

    public init(from reader: inout ByteReader) throws(DecodingFault) {
        let version = try reader.read(UInt8.self)
        guard version == Self.version else { throw .unsupportedVersion(version) }
        sequence = try reader.read()
        issuedAt = try reader.read()
        hasLeft = try reader.readBool()
        description = try ClusterDescription(from: &reader)
    }
}

/// What one cluster says about another: that it has joined, or that it is gone.
public struct Admission: StatementContent {
    public enum Decision: UInt8, Sendable {
        case admitted = 1
        /// The introducer takes its admission back.
        case forgotten = 2
    }

    public static let context = "weft cluster admission"
    static let version: UInt8 = 1

    /// Whose authority signs it.
    public let introducer: ClusterName
    /// Of the statements that the introducer signs, higher than all before.
    public let sequence: UInt64
    public let issuedAt: UInt64
    public let decision: Decision
    /// The sequence of the admission that this one renews, its own if it renews none. What was
    /// admitted earlier goes before what was admitted later.
    public let since: UInt64
    /// Roots under which the introducer knew the name before, without a signature that leads from
    /// them to the present ones. Such a change is nobody's to make for others: it stays pending.
    public let replaces: [KeyPin]
    /// The cluster in its own words.
    public let subject: Signed<Announcement>

    public init(
        introducer: ClusterName, sequence: UInt64, issuedAt: UInt64, decision: Decision,
        since: UInt64, replaces: [KeyPin], subject: Signed<Announcement>
    ) {
        self.introducer = introducer
        self.sequence = sequence
        self.issuedAt = issuedAt
        self.decision = decision
        self.since = since
        self.replaces = replaces
        self.subject = subject
    }

    public var name: ClusterName { subject.content.description.name }

    public func encode(into writer: inout ByteWriter) throws(TrustError) {
        writer.write(Self.version)
        writer.write(short: introducer.rawValue)
        writer.write(sequence)
        writer.write(issuedAt)
        writer.write(decision.rawValue)
        writer.write(since)
        writer.write(replaces)
        subject.encode(into: &writer)
    }

    public init(from reader: inout ByteReader) throws(DecodingFault) {
        let version = try reader.read(UInt8.self)
        guard version == Self.version else { throw .unsupportedVersion(version) }
        introducer = try reader.readClusterName()
        sequence = try reader.read()
        issuedAt = try reader.read()
        guard let decision = Decision(rawValue: try reader.read())
        else { throw .invalid("decision") }
        self.decision = decision
        since = try reader.read()
        replaces = try reader.readPins()
        subject = try Signed(from: &reader)
        guard subject.content.description.name != introducer, since <= sequence
        else { throw .invalid("admission") }
    }
}

public typealias SignedAnnouncement = Signed<Announcement>
public typealias SignedAdmission = Signed<Admission>

/// What travels through the mesh: a record of the ledger holds one.
public enum MeshStatement: Hashable, Sendable {
    case announcement(SignedAnnouncement)
    case admission(SignedAdmission)

    /// Whose authority has signed it, so it says.
    public var signer: ClusterName {
        switch self {
        case .announcement(let signed): signed.content.description.name
        case .admission(let signed): signed.content.introducer
        }
    }

    /// Whom it is about.
    public var subject: ClusterName {
        switch self {
        case .announcement(let signed): signed.content.description.name
        case .admission(let signed): signed.content.name
        }
    }

    public var sequence: UInt64 {
        switch self {
        case .announcement(let signed): signed.content.sequence
        case .admission(let signed): signed.content.sequence
        }
    }

    var mesh: String {
        switch self {
        case .announcement(let signed): signed.content.description.mesh
        case .admission(let signed): signed.content.subject.content.description.mesh
        }
    }
}

extension MeshStatement: CustomStringConvertible {
    public var description: String {
        switch self {
        case .announcement: "announcement \(sequence) of cluster '\(signer)'"
        case .admission: "admission \(sequence) of cluster '\(subject)' by '\(signer)'"
        }
    }
}

extension MeshStatement {
    func encode(into writer: inout ByteWriter) {
        switch self {
        case .announcement(let signed):
            writer.write(UInt8(1))
            signed.encode(into: &writer)
        case .admission(let signed):
            writer.write(UInt8(2))
            signed.encode(into: &writer)
        }
    }

    init(from reader: inout ByteReader) throws(DecodingFault) {
        switch try reader.read(UInt8.self) {
        case 1: self = .announcement(try Signed(from: &reader))
        case 2: self = .admission(try Signed(from: &reader))
        default: throw .invalid("statement")
        }
    }

    public var encoded: [UInt8] {
        var writer = ByteWriter()
        encode(into: &writer)
        return writer.bytes
    }

    /// Nothing is verified yet.
    public init(encoded: [UInt8]) throws(DecodingFault) {
        var reader = ByteReader(encoded)
        try self.init(from: &reader)
        try reader.finish()
    }
}
