// SPDX-License-Identifier: Apache-2.0

/// A signed statement on its way through the mesh, see `MeshStatement`, or how far this cluster has
/// read another one's. Only a cluster's home reports them.
public struct StatementRecord: LedgerRecord {
    public static let kind = RecordKind.statement
    /// `announcement`, `admission/CLUSTER` or `seen/CLUSTER`.
    public let name: String
    /// Opaque to whoever carries it.
    public let body: [UInt8]

    public init(name: String, body: [UInt8]) {
        self.name = name
        self.body = body
    }
}

/// A member of the mesh as this cluster's home has decided: its nodes make it their peer. In the
/// own ledger only: what another cluster's says is ignored.
public struct PeerRecord: LedgerRecord {
    public static let kind = RecordKind.peer
    /// The other cluster's.
    public let name: String
    /// An encoded `RosterPeer`.
    public let body: [UInt8]

    public init(name: String, body: [UInt8]) {
        self.name = name
        self.body = body
    }
}

extension StatementRecord {
    public func encode(into writer: inout ByteWriter) {
        writer.write(name)
        writer.write(field: body)
    }

    public init(from reader: inout ByteReader) throws(DecodingFault) {
        self.init(
            name: try reader.readString(max: RecordKey.maximumLength, "name"),
            body: Array(try reader.readField(max: RecordLimit.valueBytes, "statement")))
    }
}

extension PeerRecord {
    public func encode(into writer: inout ByteWriter) {
        writer.write(name)
        writer.write(field: body)
    }

    public init(from reader: inout ByteReader) throws(DecodingFault) {
        self.init(
            name: try reader.readString(max: RecordKey.maximumLength, "name"),
            body: Array(try reader.readField(max: RecordLimit.valueBytes, "cluster")))
    }
}
