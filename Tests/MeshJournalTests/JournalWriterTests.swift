// SPDX-License-Identifier: Apache-2.0

import Dispatch
import MeshModel
import Synchronization
import Testing

@testable import MeshJournal

@Suite("group commit")
struct JournalWriterTests {
    let folder = TemporaryFolder()

    private func note(_ number: Int) -> JournalTransaction {
        JournalTransaction(notes: [JournalNote("last", [UInt8(number)])])
    }

    private var orphan: JournalTransaction {
        JournalTransaction(batches: [
            JournalBatch(owner: cluster(9), position: Position(epoch: 1, revision: 1), message: [])
        ])
    }

    /// Holds the writer within a completion until `body` has queued what it wants together.
    private func together(
        _ writer: JournalWriter, _ body: () throws -> Void
    ) async throws {
        let held = DispatchSemaphore(value: 0)
        try writer.submit(note(0)) { _ in held.wait() }
        while writer.status.waiting > 0 { await Task.yield() }
        try body()
        held.signal()
    }

    @Test("writes what queued meanwhile as one, in order, and says so in order")
    func grouping() async throws {
        let writer = JournalWriter(try Journal.open(folder.database, durability: .full).journal)
        let done = Mutex<[UInt64]>([])
        try await together(writer) {
            for number in 1...50 {
                try writer.submit(note(number)) { result in
                    if case .success(let sequence) = result {
                        done.withLock { $0.append(sequence) }
                    }
                }
            }
        }
        #expect(try await writer.commit(note(51)) == 52)
        #expect(done.withLock { $0 } == Array(2...51))
        let status = writer.status
        #expect(status.stored == 52 && status.waiting == 0 && status.waitingBytes == 0)
        #expect((2...3).contains(status.writes))
        try await writer.close()
        let again = try Journal.open(folder.database, durability: .full)
        #expect(again.notes["last"] == [51])
        try again.journal.close()
    }

    @Test("refuses more than may wait")
    func backlog() async throws {
        let writer = JournalWriter(
            try Journal.open(folder.database, durability: .full).journal,
            capacity: .init(transactions: 3, bytes: 100))
        let large = JournalTransaction(notes: [
            JournalNote("large", [UInt8](repeating: 1, count: 500))
        ])
        try await together(writer) {
            try writer.submit(large) { _ in }
            #expect(code { try writer.submit(note(1)) { _ in } } == .backlogged)
        }
        while writer.status.waiting > 0 { await Task.yield() }
        try await together(writer) {
            for number in 1...3 { try writer.submit(note(number)) { _ in } }
            #expect(writer.status.waiting == 3)
            #expect(code { try writer.submit(note(4)) { _ in } } == .backlogged)
        }
        try await writer.close()
        #expect(code { try writer.submit(note(5)) { _ in } } == .closed)
    }

    @Test("stops at a failure until the caller has seen it")
    func failure() async throws {
        let writer = JournalWriter(try Journal.open(folder.database, durability: .full).journal)
        let codes = Mutex<[JournalError.Code]>([])
        let fail: JournalWriter.Completion = { result in
            if case .failure(let error) = result { codes.withLock { $0.append(error.code) } }
        }
        try await together(writer) {
            try writer.submit(note(1), fail)
            try writer.submit(orphan, fail)
        }
        while writer.status.waiting > 0 { await Task.yield() }
        #expect(writer.status.failure?.code == .gap)
        #expect(writer.status.stored == 1)
        await #expect(throws: JournalError.self) { try await writer.commit(note(2)) }
        writer.resume()
        #expect(try await writer.commit(note(3)) == 4)
        #expect(codes.withLock { $0 } == [.gap, .gap])
        try await writer.close()
    }

    @Test("stores nothing that was submitted behind a failure")
    func behind() async throws {
        let slow = DispatchSemaphore(value: 0)
        let begun = Mutex(0)
        let writer = JournalWriter(
            try Journal.open(folder.database, durability: .normal).journal,
            willWrite: {
                begun.withLock { $0 += 1 }
                slow.wait()
            })
        let codes = Mutex<[JournalError.Code?]>([])
        func submit(_ transaction: JournalTransaction) throws {
            try writer.submit(transaction) { result in
                codes.withLock { codes in
                    switch result {
                    case .success: codes.append(nil)
                    case .failure(let error): codes.append(error.code)
                    }
                }
            }
        }
        try submit(note(1))
        while begun.withLock({ $0 }) < 1 { await Task.yield() }
        // Two of one group, while the first is being written.
        try submit(note(2))
        try submit(orphan)
        slow.signal()
        while begun.withLock({ $0 }) < 2 { await Task.yield() }
        // Two behind it.
        try submit(note(3))
        try submit(note(4))
        slow.signal()
        while writer.status.waiting > 0 { await Task.yield() }
        #expect(code { try submit(note(5)) } == .suspended)
        try await writer.close()
        #expect(codes.withLock { $0 } == [nil, .gap, .gap, .suspended, .suspended])
        let again = try Journal.open(folder.database, durability: .normal)
        #expect(again.notes["last"] == [1])
        try again.journal.close()
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
