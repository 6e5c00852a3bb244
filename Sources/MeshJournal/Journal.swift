// SPDX-License-Identifier: Apache-2.0

import GRDB
import MeshModel
import Synchronization

/// A file that holds replicas and notes through crashes and power cuts.
///
/// What is found at an opening is the result of the first N transactions written, in order, for
/// some N; never a mixture. Calls block for as long as the disk takes: call them from a thread that
/// may (``JournalWriter`` is for everyone else).
public final class Journal: Sendable {
    /// What `write` returning means.
    public enum Durability: Sendable {
        /// The transaction survives a power cut. One flush of the disk a write.
        case full
        /// It survives the end of this process; a power cut may take the newest transactions.
        case normal
    }

    /// What was there.
    public enum Outcome: Hashable, Sendable {
        /// Nothing, or an empty file.
        case created
        case opened
        /// Something unusable, which is now at `path`; a new journal was begun.
        case setAside(path: String, reason: String)
    }

    /// A journal and all that it holds.
    public struct Opening: Sendable {
        public let journal: Journal
        public let outcome: Outcome
        /// Ascending by owner.
        public let replicas: [StoredReplica]
        public let notes: [String: [UInt8]]
    }

    private struct State: Sendable {
        var queue: DatabaseQueue?
        var tails: [ClusterID: Tail]
    }

    private let files: JournalFiles
    private let state: Mutex<State>

    private init(_ files: JournalFiles, _ queue: DatabaseQueue, _ tails: [ClusterID: Tail]) {
        self.files = files
        state = Mutex(State(queue: queue, tails: tails))
    }

    /// Reads and checks a journal, or begins one: the file with mode 0600, its folder, if there is
    /// none, with mode 0700. One that is damaged is renamed to `NAME.damaged-N` (the newest two
    /// are kept) and a new one takes its place. It is this connection's alone until it is closed.
    ///
    /// A damaged tail of SQLite's log can't be told from one that a power cut left: after a bad
    /// sector among the transactions since the last clean end, `opened` means *up to there*.
    ///
    /// - Throws: ``JournalError`` `.inUse`, `.newerSchema`, `.full`, `.system`: nothing was set aside.
    /// - Complexity: reads the file twice; 100,000 records of 100 bytes take some 30 ms.
    public static func open(
        _ path: String, durability: Durability
    ) throws(JournalError) -> Opening {
        let files = JournalFiles(path)
        try files.prepare()
        do {
            return try openOnce(files, durability) { $0 ? .created : .opened }
        } catch {
            guard error.code == .damaged else { throw error }
            let target = try files.setAside()
            try files.prepare()
            return try openOnce(files, durability) { _ in
                .setAside(path: target, reason: error.detail)
            }
        }
    }

    private static func openOnce(
        _ files: JournalFiles, _ durability: Durability, _ outcome: (_ isNew: Bool) -> Outcome
    ) throws(JournalError) -> Opening {
        do {
            let queue = try JournalSchema.connect(files.path, durability)
            do {
                let (isNew, reading) = try queue.inDatabase { database in
                    (try JournalSchema.establish(database), try JournalReading(database))
                }
                return Opening(
                    journal: Journal(files, queue, reading.tails), outcome: outcome(isNew),
                    replicas: reading.replicas, notes: reading.notes)
            } catch {
                try? queue.close()  // The first error is the one that matters.
                throw error
            }
        } catch {
            throw JournalError(error, action: "opening", files)
        }
    }

    /// Stores transactions, one after the other, all or none.
    ///
    /// - Throws: ``JournalError`` `.gap`, `.outOfBounds`, `.full`, `.system`: what was stored before
    ///   still is, and the journal can be written again once the cause is gone. `.damaged`: close
    ///   it, and open it again.
    /// - Complexity: a B-tree insertion a batch or bucket; with `.full`, one flush of the disk.
    public func write(_ transactions: [JournalTransaction]) throws(JournalError) {
        for transaction in transactions { try transaction.checkBounds() }
        try state.withLock { state throws(JournalError) in
            guard let queue = state.queue else {
                throw JournalError(.closed, action: "writing \(files.path)", detail: "closed")
            }
            let tails = state.tails
            do {
                state.tails = try queue.inDatabase { database in
                    var writing = JournalWriting(database: database, tails: tails)
                    try database.inTransaction(.immediate) {
                        for transaction in transactions { try writing.apply(transaction) }
                        return .commit
                    }
                    return writing.tails
                }
            } catch {
                throw JournalError(error, action: "writing", files)
            }
        }
    }

    public func write(_ transaction: JournalTransaction) throws(JournalError) {
        try write([transaction])
    }

    /// Lets another open the file. Again is harmless.
    ///
    /// - Throws: ``JournalError`` `.system`: nothing stored is lost.
    public func close() throws(JournalError) {
        try state.withLock { state throws(JournalError) in
            guard let queue = state.queue else { return }
            do {
                try queue.close()
                state.queue = nil
            } catch {
                throw JournalError(error, action: "closing", files)
            }
        }
    }
}

extension JournalError {
    init(_ error: any Error, action: String, _ files: JournalFiles) {
        let action = "\(action) \(files.path)"
        switch error {
        case let error as Refusal: self.init(error.code, action: action, detail: error.detail)
        case let error as DatabaseError:
            self.init(
                Code(error, isWritable: files.isWritable), action: action, detail: error.description
            )
        default: self.init(.system, action: action, detail: "\(error)")
        }
    }
}

extension JournalError.Code {
    /// - Parameter isWritable: whether the system lets this process write the file.
    init(_ error: DatabaseError, isWritable: Bool) {
        switch error.extendedResultCode {
        case .SQLITE_IOERR_SHORT_READ, .SQLITE_IOERR_CORRUPTFS:
            self = .damaged
            return
        default: break
        }
        self =
            switch error.resultCode {
            case .SQLITE_BUSY, .SQLITE_LOCKED: .inUse
            case .SQLITE_FULL: .full
            // The header says which versions of SQLite may write.
            case .SQLITE_READONLY: isWritable ? .damaged : .system
            case .SQLITE_IOERR, .SQLITE_CANTOPEN, .SQLITE_PERM, .SQLITE_AUTH, .SQLITE_NOMEM,
                .SQLITE_INTERRUPT, .SQLITE_NOLFS, .SQLITE_MISUSE:
                .system
            // The journal's own statements fail only over content that isn't the journal's.
            default: .damaged
            }
    }
}
