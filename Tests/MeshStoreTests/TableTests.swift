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
    }

    @Test("tells the keys that changed since a revision, each once and in order")
    func changes() {
        var table = Table<Int, Word>()
        for key in 1...4 { table.upsert(Word(key: key)) }
        let seen = table.revision
        table.upsert(Word(key: 3, text: "x"))
        table.upsert(Word(key: 3, text: "y"))
        table.delete(1)
        table.upsert(Word(key: 5))
        table.delete(5)
        #expect(table.changedKeys(since: seen) == [1, 3, 5])
        #expect(table.changedKeys(since: table.revision) == [])
        table.settle(through: seen, failures: [:])
        #expect(table.changedKeys(since: seen) == [1, 3, 5], "not settled yet")
        #expect(table.changedKeys(since: seen - 1) == nil)
    }

    @Test("says so when its feed no longer reaches back")
    func overrun() {
        var table = Table<Int, Word>()
        table.upsert(Word(key: -1))
        table.upsert(Word(key: -2))
        let seen = table.revision
        table.delete(-1)
        for key in 0..<Table<Int, Word>.changeFeedMaximum { table.upsert(Word(key: key)) }
        #expect(table.changedKeys(since: seen) == nil)
        #expect(
            table.changedKeys(since: seen + 1) == Array(0..<Table<Int, Word>.changeFeedMaximum))
    }

    @Test("a row is pending from its change until the kernel has it or has refused it")
    func statuses() {
        var table = Table<Int, Word>()
        for key in 1...3 { table.upsert(Word(key: key)) }
        func story() -> [RowStatus] { table.entries.map(\.status) }
        #expect(story() == [.pending, .pending, .pending])
        table.settle(through: table.revision, failures: [2: "no room"])
        #expect(story() == [.done, .error("no room"), .done])
        table.upsert(Word(key: 1))
        #expect(story() == [.done, .error("no room"), .done], "an equal row is no change")
        let revision = table.revision
        table.upsert(Word(key: 1, text: "new"))
        table.upsert(Word(key: 2, text: "new"))
        #expect(story() == [.pending, .pending, .done])
        table.settle(through: revision, failures: [2: "late"])
        #expect(story() == [.pending, .pending, .done], "a result for an older version is void")
        table.settle(through: table.revision, failures: [:])
        #expect(story() == [.done, .done, .done])
        #expect(table.entry(for: 2)?.status == .done)
    }

    @Test("of failures too many to be named, no row is said to be done")
    func unnamedFailures() {
        var table = Table<Int, Word>()
        for key in 1...2 { table.upsert(Word(key: key)) }
        table.settle(through: table.revision, failures: [2: "no room"], isWhole: false)
        #expect(table.entries.map(\.status) == [.pending, .error("no room")])
    }

    @Test("after its feed was overrun, no row is said to be done until the kernel has all")
    func overrunStatuses() {
        var table = Table<Int, Word>()
        for key in 0...Table<Int, Word>.changeFeedMaximum { table.upsert(Word(key: key)) }
        #expect(table.entries.allSatisfy { $0.status == .pending })
        table.settle(through: table.revision, failures: [:])
        #expect(table.entries.allSatisfy { $0.status == .done })
    }

    @Test("hands out all rows in order, in blocks")
    func blocks() {
        var table = Table<Int, Word>()
        for key in (0..<10).reversed() { table.upsert(Word(key: key)) }
        var blocks: [[Int]] = []
        table.forEachBlock(of: 4) { blocks.append($0.map(\.key)) }
        #expect(blocks == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]])
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
}
