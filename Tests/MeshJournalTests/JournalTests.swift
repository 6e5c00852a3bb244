// SPDX-License-Identifier: Apache-2.0

import CFaultDisk
import GRDB
import Glibc
import MeshJournal
import MeshModel
import Testing

@Suite("a journal")
struct JournalTests {
    let folder = TemporaryFolder()

    private func position(_ epoch: UInt32, _ revision: UInt64) -> Position {
        Position(epoch: epoch, revision: revision)
    }

    private func checkpoint(
        _ position: Position, _ buckets: [JournalBucket] = [], replacesAll: Bool = false
    ) -> JournalTransaction {
        JournalTransaction(checkpoints: [
            JournalCheckpoint(
                owner: cluster(1), position: position, header: [7], buckets: buckets,
                replacesAll: replacesAll)
        ])
    }

    private func batches(_ positions: Position...) -> JournalTransaction {
        JournalTransaction(
            batches: positions.map {
                JournalBatch(
                    owner: cluster(1), position: $0,
                    message: [UInt8(truncatingIfNeeded: $0.revision)])
            })
    }

    private func open(_ durability: Journal.Durability = .full) throws(JournalError)
        -> Journal.Opening
    {
        try Journal.open(folder.database, durability: durability)
    }

    @Test("gives back what it was given", arguments: [11, 12, 13] as [UInt64])
    func roundTrip(seed: UInt64) throws {
        var expected = Picture()
        for (number, transaction) in Workload.script(seed: seed, count: 100).enumerated() {
            expected.apply(transaction)
            let opening = try open()
            #expect(opening.outcome == (number == 0 ? .created : .opened))
            try opening.journal.write(transaction)
            try opening.journal.close()
            #expect(try Picture(reopened()) == expected, "transaction \(number)")
        }
    }

    private func reopened() throws -> Journal.Opening {
        let opening = try open()
        try opening.journal.close()
        return opening
    }

    @Test("checkpoints drop the log behind them and only the buckets they name")
    func checkpoints() throws {
        let opening = try open()
        let (one, two, three) = (
            JournalBucket(index: 0, bytes: [1]), JournalBucket(index: 255, bytes: [2]),
            JournalBucket(index: 3, bytes: [3])
        )
        try opening.journal.write(checkpoint(position(1, 5), [one, two]))
        try opening.journal.write(batches(position(1, 6), position(1, 7), position(2, 1)))
        try opening.journal.write(
            checkpoint(position(1, 6), [JournalBucket(index: 0, bytes: []), three]))
        try opening.journal.close()
        #expect(
            try reopened().replicas == [
                StoredReplica(
                    owner: cluster(1), position: position(1, 6), header: [7],
                    buckets: [three, two],
                    log: batches(position(1, 7), position(2, 1)).batches)
            ])

        let again = try open()
        try again.journal.write(checkpoint(position(2, 9), [one], replacesAll: true))
        try again.journal.write(batches(position(2, 10)))
        try again.journal.close()
        #expect(
            try reopened().replicas == [
                StoredReplica(
                    owner: cluster(1), position: position(2, 9), header: [7], buckets: [one],
                    log: batches(position(2, 10)).batches)
            ])
    }

    @Test("refuses what doesn't follow, and stores nothing of it")
    func gaps() throws {
        let opening = try open()
        var orphan = batches(position(1, 1))
        orphan.notes = [JournalNote("seen", [1])]
        #expect(code { try opening.journal.write(orphan) } == .gap)
        try opening.journal.write(checkpoint(position(2, 5)))
        try opening.journal.write(batches(position(2, 6)))
        let wrong = [
            batches(position(2, 6)), batches(position(2, 8)), batches(position(1, 7)),
            batches(position(2, 7), position(2, 9)), batches(position(3, 1), position(2, 7)),
            checkpoint(position(2, 4)), checkpoint(position(1, 9), replacesAll: true),
        ]
        for transaction in wrong {
            #expect(code { try opening.journal.write(transaction) } == .gap, "\(transaction)")
        }
        // Of a group, too, nothing is stored.
        #expect(code { try opening.journal.write([batches(position(2, 7)), wrong[0]]) } == .gap)
        try opening.journal.write(batches(position(2, 7)))
        try opening.journal.close()
        let found = try reopened()
        #expect(found.notes.isEmpty)
        #expect(found.replicas[0].log.map(\.position) == [position(2, 6), position(2, 7)])
    }

    @Test("forgets an owner's positions with the owner")
    func removal() throws {
        let opening = try open()
        try opening.journal.write(checkpoint(position(9, 9), [JournalBucket(index: 1, bytes: [1])]))
        try opening.journal.write(batches(position(9, 10)))
        var anew = checkpoint(position(1, 0))
        anew.removedOwners = [cluster(1), cluster(2)]
        try opening.journal.write(anew)
        try opening.journal.write(batches(position(1, 1)))
        try opening.journal.close()
        #expect(
            try reopened().replicas == [
                StoredReplica(
                    owner: cluster(1), position: position(1, 0), header: [7],
                    log: batches(position(1, 1)).batches)
            ])
    }

    @Test("refuses what is above a bound")
    func bounds() throws {
        let opening = try open()
        var large = batches(position(1, 1))
        large.batches[0].message = [UInt8](repeating: 0, count: JournalLimits.messageBytes + 1)
        let wrong = [
            large, batches(position(1, JournalLimits.revision + 1)),
            JournalTransaction(notes: [JournalNote("", [])]),
            JournalTransaction(notes: [JournalNote(String(repeating: "k", count: 129), [])]),
            checkpoint(position(1, .max)),
        ]
        for transaction in wrong {
            #expect(code { try opening.journal.write(transaction) } == .outOfBounds)
        }
        try opening.journal.close()
    }

    @Test("flushes the disk once a transaction if it is full, else only with a checkpoint")
    func durability() throws {
        defer { fault_disk_end() }
        for (durability, expected) in [(Journal.Durability.full, 1), (.normal, 0)] {
            folder.clear()
            _ = fault_disk_log_pages(0)
            _ = fault_disk_begin(folder.path)
            let opening = try open(durability)
            try opening.journal.write(checkpoint(position(1, 0)))
            for revision in 1...20 as ClosedRange<UInt64> {
                let before = fault_disk_count()
                try opening.journal.write(batches(position(1, revision)))
                let kinds = (before..<fault_disk_count()).map { fault_disk_at($0).pointee.kind }
                #expect(kinds.filter { $0 == FAULT_SYNC }.count == expected)
                #expect(kinds.last == (durability == .full ? FAULT_SYNC : FAULT_WRITE))
            }
            try opening.journal.close()
        }
    }

    @Test("keeps its files to their owner and one opening at a time")
    func access() throws {
        let path = folder.path + "/state"
        let opening = try Journal.open(path + "/own.db", durability: .full)
        try opening.journal.write(checkpoint(position(1, 1)))
        #expect(folder.mode("state") == 0o700)
        #expect(folder.mode("state/own.db") == 0o600)
        #expect(folder.mode("state/own.db-wal") == 0o600)
        #expect(code { _ = try Journal.open(path + "/own.db", durability: .full) } == .inUse)
        try opening.journal.write(batches(position(1, 2)))
        try opening.journal.close()
        #expect(code { try opening.journal.write(batches(position(1, 3))) } == .closed)
        let again = try Journal.open(path + "/own.db", durability: .normal)
        #expect(again.replicas.first?.log.count == 1)
        try again.journal.close()
        unlink(path + "/own.db")
        rmdir(path)
    }

    @Test("of a newer release is refused, and left alone")
    func newer() throws {
        try open().journal.close()
        let queue = try DatabaseQueue(path: folder.database)
        try queue.inDatabase { database in
            try database.execute(sql: "PRAGMA user_version = 2")
            try database.execute(sql: "PRAGMA application_id = \(0x5765_6602)")
        }
        try queue.close()
        let before = folder.readAll()
        #expect(code { _ = try open() } == .newerSchema)
        #expect(folder.names == ["own.db"])
        #expect(folder.readAll().count == before.count)
    }

    @Test("cannot be made in a folder that cannot be made")
    func nowhere() {
        #expect(
            code { _ = try Journal.open(folder.path + "/a/b/own.db", durability: .full) } == .system
        )
    }

    private func code(_ body: () throws -> Void) -> JournalError.Code? {
        do {
            try body()
            return nil
        } catch {
            return (error as? JournalError)?.code
        }
    }
}
