// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// 1/256 of an owner's records, packed: what is stored is also what is hashed and what a snapshot
/// carries, so a record costs six bytes beside its own.
///
/// Each record: 16-bit key length, key, 32-bit value length, value; keys ascend.
struct Bucket: Sendable {
    static let empty = Bucket(bytes: [], count: 0)

    let bytes: [UInt8]
    let count: Int
    let hash: LedgerDigest

    private init(bytes: [UInt8], count: Int) {
        self.bytes = bytes
        self.count = count
        hash = LedgerDigest(of: bytes)
    }

    /// Checks what came from elsewhere.
    init(validating bytes: [UInt8], index: Int) throws(DecodingFault) {
        var reader = ByteReader(bytes)
        var last = ""
        var count = 0
        while !reader.isAtEnd {
            let key = try reader.readLedgerKey()
            guard key > last else { throw .invalid("order of keys") }
            guard Placement.bucket(of: key.utf8) == index else { throw .invalid("bucket of key") }
            _ = try reader.readField(max: ReplicationLimit.valueBytes, "value")
            last = key
            count += 1
        }
        // Copied, for what was put together from chunks has room to spare.
        self.init(bytes: bytes.withUnsafeBufferPointer(Array.init), count: count)
    }

    /// The bucket after `changes`, whose keys ascend. One pass over the bytes to find the places, one
    /// to copy them: the new bytes take no more room than they need.
    func applying(_ changes: some Sequence<PackedChange>) -> Bucket {
        var edits: [(cut: Range<Int>, change: PackedChange)] = []
        var (size, count) = (bytes.count, count)
        var cursor = 0
        for change in changes {
            let cut = place(of: change.key, from: cursor)
            cursor = cut.upperBound
            edits.append((cut, change))
            size += change.size - cut.count
            count += (change.value == nil ? 0 : 1) - (cut.isEmpty ? 0 : 1)
        }
        var next: [UInt8] = []
        next.reserveCapacity(size)
        var copied = 0
        for (cut, change) in edits {
            next.append(contentsOf: bytes[copied..<cut.lowerBound])
            copied = cut.upperBound
            if let value = change.value { next.appendRecord(key: change.key, value: value) }
        }
        next.append(contentsOf: bytes[copied...])
        return Bucket(bytes: next, count: count)
    }

    func value(of key: [UInt8]) -> ArraySlice<UInt8>? {
        let place = place(of: key, from: 0)
        return place.isEmpty ? nil : bytes[record(at: place.lowerBound).value]
    }

    /// The bytes of the record of `key`, or the empty range where it would stand.
    private func place(of key: [UInt8], from start: Int) -> Range<Int> {
        var cursor = start
        while cursor < bytes.count {
            let record = record(at: cursor)
            let order = compare(record.key, with: key)
            if order == 0 { return record.whole }
            guard order < 0 else { break }
            cursor = record.whole.upperBound
        }
        return cursor..<cursor
    }
}

/// A change with its place.
struct PackedChange {
    let bucket: Int
    let key: [UInt8]
    let value: [UInt8]?

    init(_ change: LedgerChange) {
        key = Array(change.key.utf8)
        value = change.value
        bucket = Placement.bucket(of: key)
    }

    /// Bytes of the record that it leaves.
    var size: Int { value.map { Self.size(key: key.count, value: $0.count) } ?? 0 }

    static func size(key: Int, value: Int) -> Int { 2 + key + 4 + value }

    static func inOrder(_ left: PackedChange, _ right: PackedChange) -> Bool {
        if left.bucket != right.bucket { return left.bucket < right.bucket }
        return left.key.lexicographicallyPrecedes(right.key)
    }
}

extension Bucket {
    fileprivate struct Record {
        let key: Range<Int>
        let value: Range<Int>
        var whole: Range<Int> { key.lowerBound - 2..<value.upperBound }
    }

    fileprivate func record(at offset: Int) -> Record {
        let keyStart = offset + 2
        let keyEnd = keyStart + (Int(bytes[offset]) << 8 | Int(bytes[offset + 1]))
        let length = bytes[keyEnd..<keyEnd + 4].reduce(0) { $0 << 8 | Int($1) }
        return Record(key: keyStart..<keyEnd, value: keyEnd + 4..<keyEnd + 4 + length)
    }

    /// Negative, zero or positive, as the stored key stands before, at or behind `key`.
    fileprivate func compare(_ stored: Range<Int>, with key: [UInt8]) -> Int {
        for index in 0..<Swift.min(stored.count, key.count) {
            let difference = Int(bytes[stored.lowerBound + index]) - Int(key[index])
            if difference != 0 { return difference }
        }
        return stored.count - key.count
    }
}

extension Bucket {
    /// Records by their keys; only theirs are copied out.
    func entries(where isWanted: (ArraySlice<UInt8>) -> Bool) -> [LedgerEntry] {
        var entries: [LedgerEntry] = []
        var cursor = 0
        while cursor < bytes.count {
            let record = record(at: cursor)
            cursor = record.whole.upperBound
            guard isWanted(bytes[record.key]) else { continue }
            entries.append(
                LedgerEntry(
                    key: String(decoding: bytes[record.key], as: UTF8.self),
                    value: Array(bytes[record.value])))
        }
        return entries
    }
}

extension Bucket: Sequence {
    /// Records in the order of their keys.
    func makeIterator() -> some IteratorProtocol<LedgerEntry> {
        sequence(state: 0) { (offset: inout Int) -> LedgerEntry? in
            guard offset < bytes.count else { return nil }
            let record = record(at: offset)
            offset = record.whole.upperBound
            return LedgerEntry(
                key: String(decoding: bytes[record.key], as: UTF8.self),
                value: Array(bytes[record.value]))
        }
    }

    /// What turns this bucket into `other`, keys ascending.
    func changes(to other: Bucket) -> [LedgerReplacement] {
        var changes: [LedgerReplacement] = []
        var old = makeIterator()
        var new = other.makeIterator()
        var (left, right) = (old.next(), new.next())
        while left != nil || right != nil {
            if let before = left, right.map({ before.key < $0.key }) ?? true {
                changes.append(
                    LedgerReplacement(key: before.key, former: before.value, value: nil))
                left = old.next()
            } else if let after = right {
                let former = left?.key == after.key ? left?.value : nil
                if former != after.value {
                    changes.append(
                        LedgerReplacement(key: after.key, former: former, value: after.value))
                }
                if left?.key == after.key { left = old.next() }
                right = new.next()
            }
        }
        return changes
    }
}

extension [UInt8] {
    fileprivate mutating func appendRecord(key: [UInt8], value: [UInt8]) {
        var writer = ByteWriter()
        writer.write(UInt16(key.count))
        append(contentsOf: writer.bytes)
        append(contentsOf: key)
        writer = ByteWriter()
        writer.write(field: value)
        append(contentsOf: writer.bytes)
    }
}
