// SPDX-License-Identifier: Apache-2.0

import GRDB
import MeshModel

/// Reads a journal whole, and refuses it at the first row that isn't as it was written.
struct JournalReading {
    private(set) var replicas: [StoredReplica] = []
    private(set) var notes: [String: [UInt8]] = [:]
    private(set) var tails: [ClusterID: Tail] = [:]

    private var indices: [ClusterID: Int] = [:]

    init(_ database: Database) throws {
        // Pages, free pages and the order of keys; the rows' checksums see to the rest.
        let findings = try Row.fetchAll(database, sql: "PRAGMA quick_check(1)")
        guard findings.count == 1, let finding = findings[0].text(0) else {
            throw Refusal(.damaged, "quick_check doesn't answer")
        }
        guard finding == "ok" else { throw Refusal(.damaged, finding) }

        try each(database, "SELECT id, checksum, epoch, revision, header FROM owner ORDER BY id") {
            try $0.readOwner($1)
        }
        try each(database, "SELECT id, checksum, bytes FROM bucket ORDER BY id") {
            try $0.readBucket($1)
        }
        try each(database, "SELECT id, checksum, epoch, revision, message FROM log ORDER BY id") {
            try $0.readBatch($1)
        }
        try each(database, "SELECT key, checksum, bytes FROM note ORDER BY key") {
            try $0.readNote($1)
        }
    }

    private mutating func each(
        _ database: Database, _ query: String, _ body: (inout Self, Row) throws -> Void
    ) throws {
        let rows = try Row.fetchCursor(database, sql: query)
        while let row = try rows.next() { try body(&self, row) }
    }

    private mutating func readOwner(_ row: Row) throws {
        guard let id = row.integer(0), let owner = UInt16(exactly: id).flatMap(ClusterID.init),
            let (position, header) = Self.positioned(row, id)
        else { throw Refusal(.damaged, "a checkpoint is not as it was written") }
        indices[owner] = replicas.count
        replicas.append(StoredReplica(owner: owner, position: position, header: header))
        tails[owner] = Tail(base: position, head: position, sequence: 0)
    }

    private mutating func readBucket(_ row: Row) throws {
        guard let id = row.integer(0), let bytes = row.bytes(2),
            row.integer(1) == Checksum.of(id, bytes: bytes),
            let index = index(of: id >> JournalSchema.indexBits)
        else { throw Refusal(.damaged, "a bucket is not as it was written") }
        replicas[index].buckets.append(
            JournalBucket(index: UInt8(truncatingIfNeeded: id), bytes: bytes))
    }

    private mutating func readBatch(_ row: Row) throws {
        guard let id = row.integer(0), let (position, message) = Self.positioned(row, id),
            let index = index(of: id >> JournalSchema.sequenceBits)
        else { throw Refusal(.damaged, "a log entry is not as it was written") }
        let owner = replicas[index].owner
        let sequence = id & (1 << JournalSchema.sequenceBits - 1)
        guard let tail = tails[owner], position.follows(tail.head),
            replicas[index].log.isEmpty || sequence == tail.sequence
        else { throw Refusal(.damaged, "the log of owner \(owner) has a gap before \(position)") }
        replicas[index].log.append(
            JournalBatch(owner: owner, position: position, message: message))
        tails[owner]?.head = position
        tails[owner]?.sequence = sequence + 1
    }

    private mutating func readNote(_ row: Row) throws {
        guard let key = row.bytes(0), let bytes = row.bytes(2),
            row.integer(1) == Checksum.of(key: key, bytes: bytes),
            let name = String(validating: key, as: UTF8.self), notes[name] == nil
        else { throw Refusal(.damaged, "a note is not as it was written") }
        notes[name] = bytes
    }

    private func index(of owner: Int64) -> Int? {
        UInt16(exactly: owner).flatMap(ClusterID.init).flatMap { indices[$0] }
    }

    /// Columns 1...4 of an owner or a log entry.
    private static func positioned(_ row: Row, _ id: Int64) -> (Position, [UInt8])? {
        guard let epoch = row.integer(2), let revision = row.integer(3), let bytes = row.bytes(4),
            row.integer(1) == Checksum.of(id, epoch, revision, bytes: bytes),
            let epoch = UInt32(exactly: epoch), let revision = UInt64(exactly: revision)
        else { return nil }
        return (Position(epoch: epoch, revision: revision), bytes)
    }
}

/// Where an owner's log ends.
struct Tail: Sendable {
    /// The checkpoint's.
    var base: Position
    /// The last batch's, or the checkpoint's.
    var head: Position
    /// Of the next batch.
    var sequence: Int64
}

extension Position {
    /// The next revision, or any of a later epoch.
    func follows(_ earlier: Position) -> Bool {
        epoch > earlier.epoch
            || epoch == earlier.epoch && revision > 0 && revision - 1 == earlier.revision
    }
}
