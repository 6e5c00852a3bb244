// SPDX-License-Identifier: Apache-2.0

internal import FoundationEssentials
import GRDB
import MeshModel

/// Applies transactions within one of SQLite's.
struct JournalWriting {
    let database: Database
    var tails: [ClusterID: Tail]

    mutating func apply(_ transaction: JournalTransaction) throws {
        for owner in transaction.removedOwners { try remove(owner) }
        for checkpoint in transaction.checkpoints { try store(checkpoint) }
        for batch in transaction.batches { try append(batch) }
        for note in transaction.notes { try set(note) }
    }

    private mutating func remove(_ owner: ClusterID) throws {
        try run("DELETE FROM owner WHERE id = ?", Int64(owner.rawValue))
        try run(
            "DELETE FROM bucket WHERE id BETWEEN ? AND ?", range(owner, JournalSchema.indexBits))
        try run(
            "DELETE FROM log WHERE id BETWEEN ? AND ?", range(owner, JournalSchema.sequenceBits))
        tails[owner] = nil
    }

    private mutating func store(_ checkpoint: JournalCheckpoint) throws {
        let owner = checkpoint.owner
        let id = Int64(owner.rawValue)
        let position = checkpoint.position
        let (epoch, revision) = (Int64(position.epoch), Int64(position.revision))
        var tail = tails[owner] ?? Tail(base: position, head: position, sequence: 0)
        guard position >= tail.base else {
            throw gap("the checkpoint of owner \(owner) goes back from \(tail.base) to \(position)")
        }
        try run(
            "INSERT OR REPLACE INTO owner VALUES(?, ?, ?, ?, ?)", id,
            Checksum.of(id, epoch, revision, bytes: checkpoint.header), epoch, revision,
            Data(checkpoint.header))
        if checkpoint.replacesAll {
            try run(
                "DELETE FROM bucket WHERE id BETWEEN ? AND ?", range(owner, JournalSchema.indexBits)
            )
        }
        for bucket in checkpoint.buckets {
            let id = id << JournalSchema.indexBits | Int64(bucket.index)
            guard !bucket.bytes.isEmpty else {
                try run("DELETE FROM bucket WHERE id = ?", id)
                continue
            }
            try run(
                "INSERT OR REPLACE INTO bucket VALUES(?, ?, ?)", id,
                Checksum.of(id, bytes: bucket.bytes), Data(bucket.bytes))
        }
        let rows = range(owner, JournalSchema.sequenceBits)
        if position >= tail.head {
            try run("DELETE FROM log WHERE id BETWEEN ? AND ?", rows)
            tail.head = position
        } else {
            try run(
                "DELETE FROM log WHERE id BETWEEN ? AND ? AND (epoch, revision) <= (?, ?)",
                rows + [epoch, revision])
        }
        tail.base = position
        tails[owner] = tail
    }

    private mutating func append(_ batch: JournalBatch) throws {
        guard var tail = tails[batch.owner] else {
            throw gap("owner \(batch.owner) has no checkpoint for \(batch.position) to follow")
        }
        guard batch.position.follows(tail.head) else {
            throw gap("\(batch.position) of owner \(batch.owner) doesn't follow \(tail.head)")
        }
        let id = Int64(batch.owner.rawValue) << JournalSchema.sequenceBits | tail.sequence
        let (epoch, revision) = (Int64(batch.position.epoch), Int64(batch.position.revision))
        try run(
            "INSERT INTO log VALUES(?, ?, ?, ?, ?)", id,
            Checksum.of(id, epoch, revision, bytes: batch.message), epoch, revision,
            Data(batch.message))
        tail.head = batch.position
        tail.sequence += 1
        tails[batch.owner] = tail
    }

    private func set(_ note: JournalNote) throws {
        let key = Array(note.key.utf8)
        guard let bytes = note.bytes else {
            return try run("DELETE FROM note WHERE key = ?", Data(key))
        }
        try run(
            "INSERT OR REPLACE INTO note VALUES(?, ?, ?)", Data(key),
            Checksum.of(key: key, bytes: bytes), Data(bytes))
    }

    /// The rows of an owner, in a table whose keys end in so many bits.
    private func range(_ owner: ClusterID, _ bits: Int64) -> [any DatabaseValueConvertible] {
        let first = Int64(owner.rawValue) << bits
        return [first, first + (1 << bits - 1)]
    }

    private func run(_ text: String, _ arguments: any DatabaseValueConvertible...) throws {
        try run(text, arguments)
    }

    private func run(_ text: String, _ arguments: [any DatabaseValueConvertible]) throws {
        try database.cachedStatement(sql: text).execute(arguments: StatementArguments(arguments))
    }

    private func gap(_ detail: String) -> Refusal {
        Refusal(.gap, detail)
    }
}
