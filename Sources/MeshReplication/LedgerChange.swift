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

/// Where a key belongs: 0...255, of which the high four bits are its shard.
enum Placement {
    /// FNV-1a, folded. It spreads keys, it protects nothing: whoever writes an owner's keys could
    /// only make that owner's own buckets uneven.
    static func bucket(of key: some Sequence<UInt8>) -> Int {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in key { hash = (hash ^ UInt64(byte)) &* 0x0100_0000_01b3 }
        hash ^= hash >> 32
        let shard = Int(hash & 15)
        return shard * ReplicationLimit.bucketsPerShard + Int(hash >> 4 & 15)
    }

    static func shard(ofBucket bucket: Int) -> Int { bucket / ReplicationLimit.bucketsPerShard }
}

/// Whether `key` may stand in a ledger. ASCII only, so that text, bytes and their orders agree.
func isLedgerKey(_ key: some Collection<UInt8>) -> Bool {
    (1...ReplicationLimit.keyBytes).contains(key.count)
        && key.allSatisfy { (0x21...0x7e).contains($0) }
}
