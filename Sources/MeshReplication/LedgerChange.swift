// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// A record as the ledger carries it: unread. The key is a ``RecordKey``'s text, or one of a kind
/// that only a newer version knows.
public struct LedgerEntry: Hashable, Sendable {
    /// 1...600 printable ASCII characters.
    public let key: String
    /// 0...64,512 bytes.
    public let value: [UInt8]

    public init(key: String, value: [UInt8]) {
        self.key = key
        self.value = value
    }
}

/// Sets or deletes one record.
public struct LedgerChange: Hashable, Sendable {
    public let key: String
    /// Nil deletes.
    public let value: [UInt8]?

    public static func put(_ key: RecordKey, _ value: [UInt8]) -> LedgerChange {
        LedgerChange(key: key.description, value: value)
    }

    public static func put(_ record: some LedgerRecord) -> LedgerChange {
        put(record.key, record.encoded)
    }

    public static func delete(_ key: RecordKey) -> LedgerChange {
        LedgerChange(key: key.description, value: nil)
    }
}

/// A change with what stood there before.
public struct LedgerReplacement: Hashable, Sendable {
    public let key: String
    /// Nil: nothing.
    public let former: [UInt8]?
    /// Nil: deleted.
    public let value: [UInt8]?

    public init(key: String, former: [UInt8]?, value: [UInt8]?) {
        self.key = key
        self.former = former
        self.value = value
    }

    init(_ change: LedgerChange, former: [UInt8]?) {
        self.init(key: change.key, former: former, value: change.value)
    }
}

/// Whether `key` may stand in a ledger. ASCII only, so that text, bytes and their orders agree.
func isLedgerKey(_ key: some Collection<UInt8>) -> Bool {
    (1...ReplicationLimit.keyBytes).contains(key.count)
        && key.allSatisfy { (0x21...0x7e).contains($0) }
}
