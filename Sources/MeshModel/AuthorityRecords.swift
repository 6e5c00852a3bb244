// SPDX-License-Identifier: Apache-2.0

/// What a cluster's home tells its own nodes of their authority. In the own ledger only: what another
/// cluster's says is ignored.
public struct AuthorityRecord: LedgerRecord {
    public static let kind = RecordKind.authority
    /// There is one such record in a ledger.
    public static let onlyKey = RecordKey(kind: kind, name: "current")
    public static let bundleBytesMaximum = 48 * 1024
    public static let keyIdentifierBytesMaximum = 64
    public var name: String { Self.onlyKey.name }

    /// The roots to verify the own cluster's nodes with, PEM.
    public let bundle: String
    /// The key identifier of the root below which the home signs; nodes that sign, too, follow it.
    public let root: [UInt8]
    /// The key identifier of a root or an intermediate. Nodes whose certificate doesn't rest on it ask
    /// for another at once; empty when none has to.
    public let required: [UInt8]

    public init(bundle: String, root: [UInt8], required: [UInt8]) {
        self.bundle = bundle
        self.root = root
        self.required = required
    }

    public func encode(into writer: inout ByteWriter) {
        writer.write(bundle)
        writer.write(field: root)
        writer.write(field: required)
    }

    public init(from reader: inout ByteReader) throws(DecodingFault) {
        bundle = try reader.readString(max: Self.bundleBytesMaximum, "bundle")
        root = Array(
            try reader.readField(max: Self.keyIdentifierBytesMaximum, "key identifier"))
        required = Array(
            try reader.readField(max: Self.keyIdentifierBytesMaximum, "key identifier"))
    }
}

/// What a node's trust rests on. It tells its own cluster, whose home tells others when all of its
/// nodes hold a new root; no ledger has this record.
public struct ReceiptRecord: LedgerRecord {
    public static let kind = RecordKind.receipt
    /// Every cluster of a mesh.
    public static let clustersMaximum = 4096
    public static let issuersMaximum = 4

    /// The node's.
    public let name: String
    /// What the roots in force hash to, for every cluster that the node verifies, its own among them.
    public let bundles: [ClusterID: UInt64]
    /// Key identifiers of those that the node's certificate rests on, the nearest first.
    public let issuers: [[UInt8]]
    /// The key identifier of the root below which the node itself signs; empty if it doesn't.
    public let authority: [UInt8]

    public init(
        node: String, bundles: [ClusterID: UInt64], issuers: [[UInt8]], authority: [UInt8]
    ) {
        name = node
        self.bundles = bundles
        self.issuers = issuers
        self.authority = authority
    }

    public func encode(into writer: inout ByteWriter) {
        writer.write(name)
        writer.write(list: bundles.sorted { $0.key < $1.key }) {
            $0.write($1.key.rawValue)
            $0.write($1.value)
        }
        writer.write(list: issuers) { $0.write(field: $1) }
        writer.write(field: authority)
    }

    public init(from reader: inout ByteReader) throws(DecodingFault) {
        name = try reader.readString(max: RecordLimit.text, "node name")
        let pairs = try reader.readList(max: Self.clustersMaximum, "bundles") {
            reader throws(DecodingFault) in
            guard let cluster = ClusterID(rawValue: try reader.read())
            else { throw .invalid("cluster") }
            return (cluster, try reader.read(UInt64.self))
        }
        bundles = Dictionary(pairs) { first, _ in first }
        let longest = AuthorityRecord.keyIdentifierBytesMaximum
        issuers = try reader.readList(max: Self.issuersMaximum, "issuers") {
            reader throws(DecodingFault) in
            Array(try reader.readField(max: longest, "key identifier"))
        }
        authority = Array(try reader.readField(max: longest, "key identifier"))
    }
}
