// SPDX-License-Identifier: Apache-2.0

import HashTreeCollections

/// A row of a table: a value that knows its key.
public protocol TableRow: Equatable, Sendable {
    associatedtype Key: Hashable & Comparable & Sendable
    var key: Key { get }
}

/// What became of a row's latest version in the kernel.
public enum RowStatus: Hashable, Sendable {
    /// Not known to be there yet.
    case pending
    case done
    /// The kernel keeps what it held before; tried again with back-off. The reason is a sentence.
    case error(String)
}

/// A row and what became of it.
public struct TableEntry<Row: TableRow>: Sendable {
    public let row: Row
    public let status: RowStatus
}

/// Desired state of one kind, as a reconciler sees it: rows by key, and what changed when.
public protocol ReconciledTable: Sendable {
    associatedtype Row: TableRow

    /// Counts changes of rows. Statuses don't count.
    var revision: UInt64 { get }
    /// Whether the sources have said all they know, so that what is missing here is really gone.
    var isComplete: Bool { get }

    func contains(_ key: Row.Key) -> Bool
    subscript(key: Row.Key) -> Row? { get }

    /// What was inserted, changed or deleted after `revision`, in order; nil if the table no longer
    /// knows: then go through all rows, and find out what was deleted by comparing.
    func changedKeys(since revision: UInt64) -> [Row.Key]?

    /// Calls `body` with all rows, `count` at a time at most.
    func forEachBlock(of count: Int, _ body: ([Row]) -> Void)

    /// Says that the kernel holds what the table said at `revision`, but for `failures`: they are
    /// the reasons, sentences, by key. What changed since stays pending.
    ///
    /// - Parameter isWhole: whether there are no other failures.
    mutating func settle(through revision: UInt64, failures: [Row.Key: String], isWhole: Bool)
}

/// A table of any kind of row.
///
/// It is a value. A copy costs nothing and shares its memory with the original until either
/// changes; then only the path to the changed row is copied.
public struct Table<Key, Row: TableRow>: ReconciledTable where Row.Key == Key {
    public typealias Entry = TableEntry<Row>
    /// Changes, deletions included, that ``changedKeys(since:)`` can tell one by one.
    public static var changeFeedMaximum: Int { ChangeLog<Key>.maximum }

    private var rowsByKey: TreeDictionary<Key, Row> = [:]
    private var log = ChangeLog<Key>()

    public init() {}

    public var revision: UInt64 { log.revision }
    public var isComplete: Bool { log.isComplete }
    public var count: Int { rowsByKey.count }
    public var isEmpty: Bool { rowsByKey.isEmpty }

    public func contains(_ key: Key) -> Bool { rowsByKey[key] != nil }
    public subscript(key: Key) -> Row? { rowsByKey[key] }

    public func entry(for key: Key) -> Entry? {
        self[key].map { Entry(row: $0, status: log.status(of: key)) }
    }

    /// All rows in the order of their keys.
    public var rows: [Row] { rowsByKey.values.sorted { $0.key < $1.key } }

    /// All rows, in an order that differs in every process, without the cost of sorting them.
    public var unorderedRows: some Sequence<Row> { rowsByKey.values }

    public var entries: [Entry] {
        let statuses = log.statuses
        return rows.map { Entry(row: $0, status: statuses($0.key)) }
    }

    public func forEachBlock(of count: Int, _ body: ([Row]) -> Void) {
        var rest = rows[...]
        while !rest.isEmpty {
            body(Array(rest.prefix(count)))
            rest = rest.dropFirst(count)
        }
    }

    /// Inserts or replaces a row and makes it pending. An equal row is no change.
    ///
    /// - Returns: whether the table changed.
    @discardableResult
    public mutating func upsert(_ row: Row) -> Bool {
        guard rowsByKey[row.key] != row else { return false }
        rowsByKey[row.key] = row
        log.note(row.key)
        return true
    }

    /// Makes rows pending again although they are as they were: what they are applied with changed.
    ///
    /// - Complexity: goes through all rows.
    mutating func touch(where isConcerned: (Row) -> Bool) {
        for (key, row) in rowsByKey where isConcerned(row) { log.note(key) }
    }

    /// Deletes a row; deleting what isn't there is no change.
    ///
    /// - Returns: whether the table changed.
    @discardableResult
    public mutating func delete(_ key: Key) -> Bool {
        guard rowsByKey.removeValue(forKey: key) != nil else { return false }
        log.note(key)
        return true
    }

    /// Says that every source has written what it knows. Until then reconcilers prune nothing, so
    /// that a restarted agent doesn't take away what its predecessor left in the kernel.
    public mutating func declareComplete() { log.isComplete = true }

    public func changedKeys(since revision: UInt64) -> [Key]? { log.changedKeys(since: revision) }

    public mutating func settle(
        through revision: UInt64, failures: [Key: String], isWhole: Bool = true
    ) {
        log.settle(through: revision, failures: failures, isWhole: isWhole)
    }
}
