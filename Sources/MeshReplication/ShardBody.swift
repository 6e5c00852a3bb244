// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// The changes of one shard in one batch, as bytes.
///
/// Each change: 16-bit key length, key, an operation (0 delete, 1 put), and for a put a 32-bit value
/// length and the value. Keys ascend, so one set of changes has one form and one hash.
enum ShardBody {
    private static let deletion: UInt8 = 0
    private static let put: UInt8 = 1

    /// Bytes that `change` takes in a body.
    static func size(of change: LedgerChange) -> Int {
        2 + change.key.utf8.count + 1 + (change.value.map { 4 + $0.count } ?? 0)
    }

    /// - Parameter changes: of one shard, keys ascending and unique.
    static func encode(_ changes: some Sequence<LedgerChange>) -> [UInt8] {
        var writer = ByteWriter()
        for change in changes {
            writer.write(UInt16(change.key.utf8.count))
            writer.write(raw: change.key.utf8)
            if let value = change.value {
                writer.write(put)
                writer.write(field: value)
            } else {
                writer.write(deletion)
            }
        }
        return writer.bytes
    }

    /// - Throws: ``DecodingFault`` if a change is cut off, has no valid key, belongs to another shard
    ///   or stands out of order: the batch is rejected whole.
    static func decode(
        _ bytes: some Sequence<UInt8>, shard: Int
    ) throws(DecodingFault) -> [LedgerChange] {
        var reader = ByteReader(bytes)
        var changes: [LedgerChange] = []
        while !reader.isAtEnd {
            let key = try reader.readLedgerKey()
            guard Placement.shard(ofKey: key.utf8) == shard
            else { throw .invalid("shard of key") }
            if let last = changes.last, last.key >= key { throw .invalid("order of keys") }
            switch try reader.read(UInt8.self) {
            case deletion: changes.append(LedgerChange(key: key, value: nil))
            case put:
                let value = try reader.readField(max: ReplicationLimit.valueBytes, "value")
                changes.append(LedgerChange(key: key, value: Array(value)))
            default: throw .invalid("operation")
            }
        }
        guard !changes.isEmpty else { throw .invalid("empty shard") }
        return changes
    }
}

extension ByteReader {
    mutating func readLedgerKey() throws(DecodingFault) -> String {
        let count = Int(try read(UInt16.self))
        guard count <= ReplicationLimit.keyBytes else { throw .tooLong("key") }
        let bytes = try read(raw: count)
        guard isLedgerKey(bytes) else { throw .invalid("key") }
        return String(decoding: bytes, as: UTF8.self)
    }
}
