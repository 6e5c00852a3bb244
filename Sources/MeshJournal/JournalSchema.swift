// SPDX-License-Identifier: Apache-2.0

internal import FoundationEssentials
import GRDB

/// The tables, and the settings without which the journal's promises would not hold.
enum JournalSchema {
    static let version: Int64 = 1
    /// "Wef" and the version again: a flipped bit in either is no newer release.
    static let application: Int64 = 0x5765_6600 | version

    /// Keys are single integers, so that each table is one B-tree and a checkpoint's rows lie side
    /// by side: a bucket's is owner ‖ 8-bit index, a log entry's owner ‖ 48-bit sequence, contiguous.
    /// SQLite keeps these texts as they stand; they are compared at each opening.
    static let tables = [
        "owner": """
        CREATE TABLE owner(id INTEGER PRIMARY KEY, checksum INTEGER NOT NULL, \
        epoch INTEGER NOT NULL, revision INTEGER NOT NULL, header BLOB NOT NULL) STRICT
        """,
        "bucket": """
        CREATE TABLE bucket(id INTEGER PRIMARY KEY, checksum INTEGER NOT NULL, \
        bytes BLOB NOT NULL) STRICT
        """,
        "log": """
        CREATE TABLE log(id INTEGER PRIMARY KEY, checksum INTEGER NOT NULL, \
        epoch INTEGER NOT NULL, revision INTEGER NOT NULL, message BLOB NOT NULL) STRICT
        """,
        "note": """
        CREATE TABLE note(key BLOB PRIMARY KEY, checksum INTEGER NOT NULL, \
        bytes BLOB NOT NULL) STRICT, WITHOUT ROWID
        """,
    ]

    static let sequenceBits: Int64 = 48
    static let indexBits: Int64 = 8

    static func connect(_ path: String, _ durability: Journal.Durability) throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.label = "weft.journal"
        // A second process would have to wait for the end of the first: it is told at once.
        configuration.busyMode = .immediateError
        configuration.prepareDatabase { database in
            // Before the log is first read: its index then lives in memory, with no -shm file to
            // go wrong, and the lock is held until the connection closes.
            try database.execute(sql: "PRAGMA locking_mode = EXCLUSIVE")
            try database.execute(sql: "PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF")
            // Debian's SQLite overwrites deleted rows with zeros unless told not to.
            try database.execute(sql: "PRAGMA secure_delete = OFF")
        }
        let queue = try DatabaseQueue(path: path, configuration: configuration)
        do {
            try queue.inDatabase { try configure($0, durability) }
        } catch {
            try? queue.close()  // The first error is the one that matters.
            throw error
        }
        return queue
    }

    /// Not left to `Configuration.journalMode`: with that, GRDB sets `synchronous = NORMAL`.
    private static func configure(
        _ database: Database, _ durability: Journal.Durability
    ) throws {
        let mode = try Row.fetchOne(database, sql: "PRAGMA journal_mode = WAL")
        guard mode?.text(0) == "wal" else { throw Refusal(.system, "SQLite refuses to keep a log") }
        let level: Int64 = durability == .full ? 2 : 1
        try database.execute(sql: "PRAGMA synchronous = \(level)")
        // What one large transaction made of the log doesn't stay on disk.
        try database.execute(sql: "PRAGMA journal_size_limit = \(16 << 20)")
        guard try integer(database, "PRAGMA synchronous") == level else {
            throw Refusal(.system, "SQLite refuses to be durable")
        }
    }

    /// Makes the tables in a new file, and refuses what isn't exactly this version's.
    ///
    /// - Returns: whether the file was new.
    static func establish(_ database: Database) throws -> Bool {
        let found = try integer(database, "PRAGMA user_version")
        let application = try integer(database, "PRAGMA application_id")
        let tables = try Row.fetchAll(database, sql: "SELECT name, sql FROM sqlite_schema")
        if found == 0, application == 0, tables.isEmpty {
            try database.inTransaction(.immediate) {
                for (_, text) in Self.tables.sorted(by: { $0.key < $1.key }) {
                    try database.execute(sql: text)
                }
                try database.execute(sql: "PRAGMA user_version = \(version)")
                try database.execute(sql: "PRAGMA application_id = \(Self.application)")
                return .commit
            }
            return true
        }
        if found > version, application == Self.application - version + found {
            throw Refusal(
                .newerSchema, "its version is \(found), this release knows \(version)")
        }
        guard found == version, application == Self.application else {
            throw Refusal(.damaged, "version \(found) of application \(application)")
        }
        guard tables.count == Self.tables.count,
            tables.allSatisfy({ row in
                guard let name = row.text(0), let text = row.text(1) else { return false }
                return Self.tables[name] == text
            })
        else { throw Refusal(.damaged, "the tables are not the journal's") }
        // A header may forbid writing: better known now than with the first transaction. Only a
        // change asks; the beginning of a transaction is content with reading.
        try database.inTransaction(.immediate) {
            try database.execute(sql: "PRAGMA user_version = \(version)")
            return .rollback
        }
        return false
    }

    private static func integer(_ database: Database, _ query: String) throws -> Int64 {
        guard let value = try Row.fetchOne(database, sql: query)?.integer(0) else {
            throw Refusal(.damaged, "no answer to \(query)")
        }
        return value
    }
}

/// A ``JournalError`` before it knows what was being done.
struct Refusal: Error {
    let code: JournalError.Code
    let detail: String

    init(_ code: JournalError.Code, _ detail: String) {
        self.code = code
        self.detail = detail
    }
}

/// GRDB's own conversions end the process when a column holds another type.
extension Row {
    private func storage(_ index: Int) -> DatabaseValue.Storage {
        let value: DatabaseValue = self[index]
        return value.storage
    }

    func integer(_ index: Int) -> Int64? {
        guard case .int64(let value) = storage(index) else { return nil }
        return value
    }

    func text(_ index: Int) -> String? {
        guard case .string(let value) = storage(index) else { return nil }
        return value
    }

    func bytes(_ index: Int) -> [UInt8]? {
        guard case .blob(let value) = storage(index) else { return nil }
        return [UInt8](value)
    }
}
