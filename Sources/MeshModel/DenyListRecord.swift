// SPDX-License-Identifier: Apache-2.0

/// What a cluster denies of its own certificates, signed by its authority: whoever carries the record
/// can't change it, whoever reads it asks the signature alone.
public struct DenyListRecord: LedgerRecord {
    public static let kind = RecordKind.deny
    /// There is one such record in a ledger.
    public static let onlyKey = RecordKey(kind: kind, name: "list")
    /// The list and its signature, as they were sealed.
    public let sealed: [UInt8]
    public var name: String { Self.onlyKey.name }

    public init(sealed: [UInt8]) { self.sealed = sealed }
}

extension DenyListRecord {
    public func encode(into writer: inout ByteWriter) { writer.write(field: sealed) }

    public init(from reader: inout ByteReader) throws(DecodingFault) {
        self.init(
            sealed: Array(try reader.readField(max: RecordLimit.valueBytes, "deny list")))
    }
}
