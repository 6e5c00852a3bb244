// SPDX-License-Identifier: Apache-2.0

import CFaultDisk
import MeshJournal
import Testing

/// A disk that refuses for a while, at every operation in turn.
@Suite("a disk that refuses", .tags(.simulation))
struct RefusalTests {
    @Test(
        "costs the transactions it refuses, whole, and nothing else",
        arguments: [FAULT_NO_SPACE, FAULT_IO_ERROR], [1, 40])
    func refusals(refusal: fault_refusal, length: Int) throws {
        let script = Workload.script(seed: 4, count: 24)
        let pictures = pictures(script)
        let folder = TemporaryFolder()
        defer { fault_disk_end() }
        _ = fault_disk_log_pages(30)
        var number = 0
        var refused: Set<JournalError.Code> = []
        repeat {
            folder.clear()
            _ = fault_disk_begin(folder.path)
            let opening = try Journal.open(folder.database, durability: .full)
            fault_disk_refuse(refusal, fault_disk_attempts() + number, length)
            var failures = 0
            for transaction in script {
                // The failure ends after so many operations: so does this loop.
                while let error = refuses(opening.journal, transaction) {
                    refused.insert(error.code)
                    failures += 1
                    try #require(failures <= 2 * length, "operation \(number): \(error)")
                }
            }
            fault_disk_refuse(refusal, 0, 0)
            try opening.journal.close()
            let again = try Journal.open(folder.database, durability: .full)
            try again.journal.close()
            #expect(again.outcome == .opened)
            #expect(Picture(again) == pictures[script.count], "operation \(number)")
            number += 1 + number / 50
        } while number < fault_disk_count()
        #expect(refused == [refusal == FAULT_NO_SPACE ? .full : .system])
    }

    @Test("leaves what was stored, and perhaps the transaction that it refused, whole")
    func powerCutAfterRefusal() throws {
        let script = Workload.script(seed: 5, count: 12)
        let pictures = pictures(script)
        let folder = TemporaryFolder()
        let ashore = TemporaryFolder()
        defer { fault_disk_end() }
        for number in 0..<200 {
            folder.clear()
            _ = fault_disk_begin(folder.path)
            let opening = try Journal.open(folder.database, durability: .full)
            fault_disk_refuse(FAULT_IO_ERROR, fault_disk_attempts() + number, .max / 2)
            var stored = 0
            while stored < script.count, refuses(opening.journal, script[stored]) == nil {
                stored += 1
            }
            var disk = FaultDisk(["own.db": []])
            for number in 0..<fault_disk_count() { disk.apply(fault_disk_at(number).pointee) }
            ashore.write(disk.survivors(seed: UInt64(number)))
            fault_disk_refuse(FAULT_IO_ERROR, 0, 0)
            try opening.journal.close()

            let again = try Journal.open(ashore.database, durability: .full)
            try again.journal.close()
            let found = try #require(Picture(again).number(in: pictures), "operation \(number)")
            #expect((stored...stored + 1).contains(found), "operation \(number)")
        }
    }

    @Test("for want of space lets a journal be opened, read and closed all the same")
    func openedWhenFull() throws {
        let script = Workload.script(seed: 14, count: 20)
        let folder = TemporaryFolder()
        let ashore = TemporaryFolder()
        defer { fault_disk_end() }
        _ = fault_disk_begin(folder.path)
        let first = try Journal.open(folder.database, durability: .full)
        for transaction in script { try first.journal.write(transaction) }
        // As after a crash: the log still holds most of it.
        ashore.write(folder.readAll())
        try first.journal.close()

        _ = fault_disk_begin(ashore.path)
        fault_disk_refuse(FAULT_NO_SPACE, 0, .max)
        for _ in 0..<2 {
            let opening = try Journal.open(ashore.database, durability: .full)
            #expect(opening.outcome == .opened)
            #expect(Picture(opening) == pictures(script).last)
            try opening.journal.close()
        }
    }

    @Test("and cannot be read is reported, not set aside")
    func unreadable() throws {
        let folder = TemporaryFolder()
        defer { fault_disk_end() }
        let first = try Journal.open(folder.database, durability: .full)
        let script = Workload.script(seed: 6, count: 20)
        try first.journal.write(script)
        try first.journal.close()

        _ = fault_disk_begin(folder.path)
        var number = 0
        repeat {
            fault_disk_refuse_reads(fault_disk_reads() + number, 1)
            let before = fault_disk_reads()
            do throws(JournalError) {
                try Journal.open(folder.database, durability: .full).journal.close()
                #expect(fault_disk_reads() <= before + number, "read \(number) was refused")
            } catch {
                #expect(error.code == .system)
            }
            number += 1
        } while fault_disk_reads() > number && number < 60
        fault_disk_refuse_reads(0, 0)
        let again = try Journal.open(folder.database, durability: .full)
        #expect(Picture(again) == pictures(script).last)
        try again.journal.close()
        #expect(folder.names == ["own.db"])
    }

    private func refuses(_ journal: Journal, _ transaction: JournalTransaction) -> JournalError? {
        do throws(JournalError) {
            try journal.write(transaction)
            return nil
        } catch {
            return error
        }
    }
}
