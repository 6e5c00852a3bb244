// SPDX-License-Identifier: Apache-2.0

import MeshStore
import Testing

private struct Word: TableRow {
    let key: Int
    var text = ""
}

@Suite("A table")
struct TableTests {
    @Test("counts changes; an equal row and a deletion of nothing are none")
    func revisions() {
        var table = Table<Int, Word>()
        let first = [
            table.upsert(Word(key: 1, text: "a")), table.upsert(Word(key: 2, text: "b")),
            table.upsert(Word(key: 1, text: "a")), table.delete(3),
        ]
        #expect(first == [true, true, false, false])
        #expect(table.revision == 2)
        let second = [table.upsert(Word(key: 1, text: "c")), table.delete(2)]
        #expect(second == [true, true])
        #expect(table.revision == 4)
        #expect(table.rows == [Word(key: 1, text: "c")])
        #expect(table.entry(for: 1)?.revision == 3)
    }

    @Test("tells what changed since a revision, the last state of each key only")
    func changes() {
        var table = Table<Int, Word>()
        for key in 1...4 { table.upsert(Word(key: key)) }
        let seen = table.revision
        table.upsert(Word(key: 3, text: "x"))
        table.upsert(Word(key: 3, text: "y"))
        table.delete(1)
        table.upsert(Word(key: 5))
        table.delete(5)
        let changes = table.changes(since: seen)
        #expect(changes.upserts.map(\.row) == [Word(key: 3, text: "y")])
        #expect(changes.deletes == [1, 5])
        #expect(!changes.mayHaveMissedDeletes)
        #expect(changes.revision == table.revision)
        #expect(table.changes(since: changes.revision).isEmpty)
    }

    @Test("says so when its feed no longer reaches back, and still names every changed row")
    func overrun() {
        var table = Table<Int, Word>()
        table.upsert(Word(key: -1))
        table.upsert(Word(key: -2))
        let seen = table.revision
        table.delete(-1)
        for key in 0..<Table<Int, Word>.changeFeedMaximum { table.upsert(Word(key: key)) }
        let changes = table.changes(since: seen)
        #expect(changes.mayHaveMissedDeletes)
        #expect(changes.upserts.count == Table<Int, Word>.changeFeedMaximum)
        #expect(!table.changes(since: seen + 1).mayHaveMissedDeletes)
    }

    @Test("keeps the status of an unchanged row and resets that of a changed one")
    func statuses() {
        var table = Table<Int, Word>()
        table.upsert(Word(key: 1))
        #expect(table.entry(for: 1)?.status == .pending)
        table.report(.done, for: 1, at: 1)
        table.upsert(Word(key: 1))
        #expect(table.entry(for: 1)?.status == .done)
        #expect(table.revision == 1)
        table.upsert(Word(key: 1, text: "new"))
        #expect(table.entry(for: 1)?.status == .pending)
        table.report(.error("late"), for: 1, at: 1)
        #expect(table.entry(for: 1)?.status == .pending, "a result for an older version is void")
    }

    @Test("is a value: a copy stays as it was")
    func copies() {
        var table = Table<Int, Word>()
        for key in 0..<1000 { table.upsert(Word(key: key)) }
        let copy = table
        table.delete(7)
        table.upsert(Word(key: 8, text: "x"))
        #expect(copy[7] == Word(key: 7) && copy[8] == Word(key: 8))
        #expect(copy.count == 1000 && table.count == 999)
    }

    @Test("replaced as a whole changes only where it differs")
    func replace() {
        var table = Table<Int, Word>()
        for key in 1...3 { table.upsert(Word(key: key)) }
        table.replaceAll(with: [Word(key: 2), Word(key: 3, text: "x"), Word(key: 4)])
        let changes = table.changes(since: 3)
        #expect(changes.upserts.map(\.row.key) == [3, 4])
        #expect(changes.deletes == [1])
    }
}
