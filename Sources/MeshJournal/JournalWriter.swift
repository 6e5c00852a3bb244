// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Synchronization

/// Group commit: takes transactions without blocking, and writes at once all that queued while the
/// disk was busy with those before.
///
/// Transactions are written in the order they were submitted. When a write fails, so do all in it and
/// all that queued behind it, and every later one is refused until ``resume()``: what the caller submitted
/// before it knew may build on what isn't there.
public final class JournalWriter: Sendable {
    /// How much may wait. A transaction above `bytes` is taken when nothing else waits.
    public struct Capacity: Hashable, Sendable {
        public var transactions: Int
        public var bytes: Int

        public init(transactions: Int = 4096, bytes: Int = 64 << 20) {
            self.transactions = transactions
            self.bytes = bytes
        }
    }

    public struct Status: Hashable, Sendable {
        /// Submitted, and not yet stored or failed.
        public var waiting = 0
        /// Their opaque bytes.
        public var waitingBytes = 0
        /// The last transaction that is stored, 0 before the first.
        public var stored: UInt64 = 0
        /// Writes of the journal, each of one transaction or more.
        public var writes: UInt64 = 0
        /// What to mend before ``JournalWriter/resume()``.
        public var failure: JournalError?

        public init() {}
    }

    /// Runs on the writer's own queue, in order of submission; must not block.
    public typealias Completion = @Sendable (Result<UInt64, JournalError>) -> Void

    private struct Entry: Sendable {
        let sequence: UInt64
        let transaction: JournalTransaction
        let bytes: Int
        let completion: Completion
    }

    private struct State: Sendable {
        var status = Status()
        var submitted: UInt64 = 0
        var queue: [Entry] = []
        var isRunning = false
        var isClosed = false
    }

    private let journal: Journal
    private let capacity: Capacity
    private let state = Mutex(State())
    private let thread = DispatchQueue(label: "weft.journal.writer", qos: .userInitiated)

    private let willWrite: @Sendable () -> Void

    /// The journal is the writer's from now on.
    public convenience init(_ journal: Journal, capacity: Capacity = Capacity()) {
        self.init(journal, capacity: capacity, willWrite: {})
    }

    /// - Parameter willWrite: runs before each write, when it is decided what is in it: a slow disk.
    init(
        _ journal: Journal, capacity: Capacity = Capacity(),
        willWrite: @escaping @Sendable () -> Void
    ) {
        self.journal = journal
        self.capacity = capacity
        self.willWrite = willWrite
    }

    public var status: Status { state.withLock { $0.status } }

    /// Queues a transaction; `completion` hears when it is stored, as the journal's durability means it.
    ///
    /// - Returns: its number: 1 and up, without gaps. A failed one's isn't used again.
    /// - Throws: ``JournalError`` `.backlogged`, `.outOfBounds`, `.suspended`, `.closed`: it was
    ///   not taken, `completion` is never called.
    @discardableResult
    public func submit(
        _ transaction: JournalTransaction, _ completion: @escaping Completion
    ) throws(JournalError) -> UInt64 {
        try transaction.checkBounds()
        let bytes = transaction.byteCount
        return try state.withLock { state throws(JournalError) in
            func refuse(_ code: JournalError.Code, _ detail: String) -> JournalError {
                JournalError(code, action: "queueing a transaction", detail: detail)
            }
            if state.isClosed { throw refuse(.closed, "closed") }
            if let failure = state.status.failure { throw refuse(.suspended, "\(failure)") }
            let waiting = state.status.waiting
            guard waiting < capacity.transactions,
                waiting == 0 || state.status.waitingBytes + bytes <= capacity.bytes
            else { throw refuse(.backlogged, "\(waiting) transactions wait") }

            state.submitted += 1
            state.status.waiting += 1
            state.status.waitingBytes += bytes
            state.queue.append(
                Entry(
                    sequence: state.submitted, transaction: transaction, bytes: bytes,
                    completion: completion))
            if !state.isRunning {
                state.isRunning = true
                thread.async { self.run() }
            }
            return state.submitted
        }
    }

    /// Queues a transaction and returns when it is stored. Cancelling the task doesn't take it back.
    ///
    /// - Returns: its number.
    /// - Throws: as ``submit(_:_:)``, and what ``Journal/write(_:)-([JournalTransaction])`` throws.
    @discardableResult
    public func commit(_ transaction: JournalTransaction) async throws(JournalError) -> UInt64 {
        let result: Result<UInt64, JournalError> = await withCheckedContinuation { continuation in
            do throws(JournalError) {
                try submit(transaction) { continuation.resume(returning: $0) }
            } catch {
                continuation.resume(returning: .failure(error))
            }
        }
        return try result.get()
    }

    /// Takes transactions again after a failure.
    public func resume() { state.withLock { $0.status.failure = nil } }

    /// Writes what waits, then closes the journal.
    ///
    /// - Throws: ``JournalError`` `.system`: nothing stored is lost.
    public func close() async throws(JournalError) {
        state.withLock { $0.isClosed = true }
        let result: Result<Void, JournalError> = await withCheckedContinuation { continuation in
            // Behind the run that writes the last of the queue.
            thread.async {
                do throws(JournalError) {
                    try self.journal.close()
                    continuation.resume(returning: .success(()))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        }
        try result.get()
    }

    /// Until nothing waits.
    private func run() {
        while let group = take() {
            let failure: JournalError?
            willWrite()
            do throws(JournalError) {
                try journal.write(group.map(\.transaction))
                failure = nil
            } catch {
                failure = error
            }
            for entry in settle(group, failure) { entry.0.completion(entry.1) }
        }
    }

    private func take() -> [Entry]? {
        state.withLock { state in
            guard !state.queue.isEmpty else {
                state.isRunning = false
                return nil
            }
            defer { state.queue.removeAll() }
            return state.queue
        }
    }

    /// Accounts for a write, and for what queued behind it if it failed.
    private func settle(
        _ group: [Entry], _ failure: JournalError?
    ) -> [(Entry, Result<UInt64, JournalError>)] {
        state.withLock { state in
            var outcomes: [(Entry, Result<UInt64, JournalError>)] = []
            if let failure {
                outcomes = group.map { ($0, .failure(failure)) }
                let suspended = JournalError(
                    .suspended, action: "writing behind a failure", detail: "\(failure)")
                outcomes += state.queue.map { ($0, .failure(suspended)) }
                state.queue.removeAll()
                state.status.failure = failure
            } else {
                outcomes = group.map { ($0, .success($0.sequence)) }
                state.status.writes += 1
                state.status.stored = group.last?.sequence ?? state.status.stored
            }
            for (entry, _) in outcomes {
                state.status.waiting -= 1
                state.status.waitingBytes -= entry.bytes
            }
            return outcomes
        }
    }
}
