// SPDX-License-Identifier: Apache-2.0

import DequeModule
import HashTreeCollections

/// A row of a ``Table``: a value that knows its key.
public protocol TableRow: Equatable, Sendable {
    associatedtype Key: Hashable & Comparable & Sendable
    var key: Key { get }
}

/// What became of a row's latest version in the kernel.
public enum RowStatus: Hashable, Sendable {
    /// Not tried yet.
    case pending
    case done
    /// The kernel keeps what it held before; tried again with back-off. The reason is a sentence.
    case error(String)
}

/// Desired state of one kind: rows by key, each with the revision of its last change.
///
/// A table is a value. A copy costs nothing and shares its memory with the original until either
/// changes; then only the path to the changed row is copied.
public struct Table<Key, Row: TableRow>: Sendable where Row.Key == Key {
    /// Changes, deletions included, that ``changes(since:)`` can tell one by one. Who falls further
    /// behind learns the rows that changed, and must find out what was deleted by himself.
    public static var changeFeedMaximum: Int { 8192 }

    public struct Entry: Sendable {
        public let row: Row
        /// Of the table when the row last changed; 1 or more.
        public let revision: UInt64
        public fileprivate(set) var status: RowStatus
    }

    /// Counts changes of rows. Statuses don't count.
    public private(set) var revision: UInt64 = 0
    /// Whether the sources have said all they know, so that what is missing here is really gone.
    public private(set) var isComplete = false

    private var entriesByKey: TreeDictionary<Key, Entry> = [:]
    /// Keys in the order of their changes; the last has revision ``revision``, the one before it
    /// one less, and so on.
    private var feed: Deque<Key> = []

    public init() {}

    public var count: Int { entriesByKey.count }
    public var isEmpty: Bool { entriesByKey.isEmpty }

    public subscript(key: Key) -> Row? { entriesByKey[key]?.row }

    public func entry(for key: Key) -> Entry? { entriesByKey[key] }

    /// All rows in the order of their keys.
    public var entries: [Entry] { entriesByKey.values.sorted { $0.row.key < $1.row.key } }
    public var rows: [Row] { entries.map(\.row) }
    /// In no particular order.
    public var keys: [Key] { Array(entriesByKey.keys) }

    /// Inserts or replaces a row and makes it pending. An equal row is no change.
    ///
    /// - Returns: whether the table changed.
    @discardableResult
    public mutating func upsert(_ row: Row) -> Bool {
        guard entriesByKey[row.key]?.row != row else { return false }
        note(row.key)
        entriesByKey[row.key] = Entry(row: row, revision: revision, status: .pending)
        return true
    }

    /// Deletes a row; deleting what isn't there is no change.
    ///
    /// - Returns: whether the table changed.
    @discardableResult
    public mutating func delete(_ key: Key) -> Bool {
        guard entriesByKey.removeValue(forKey: key) != nil else { return false }
        note(key)
        return true
    }

    /// Makes `rows` the whole content; equal rows keep their revision and status. Of rows with the
    /// same key the last one counts.
    public mutating func replaceAll(with rows: some Sequence<Row>) {
        var obsolete = Set(entriesByKey.keys)
        for row in rows {
            obsolete.remove(row.key)
            upsert(row)
        }
        for key in obsolete.sorted() { delete(key) }
    }

    /// Says that every source has written what it knows. Until then reconcilers prune nothing, so
    /// that a restarted agent doesn't take away what its predecessor left in the kernel.
    public mutating func declareComplete() { isComplete = true }

    /// Writes a reconciler's result back to a row. The row's revision stays.
    ///
    /// - Parameter revision: of the row that was reconciled. If the row has changed since, the
    ///   status stays as it is.
    public mutating func report(_ status: RowStatus, for key: Key, at revision: UInt64) {
        guard let entry = entriesByKey[key], entry.revision == revision, entry.status != status
        else { return }
        entriesByKey[key]?.status = status
    }

    /// What changed after `revision`.
    ///
    /// - Complexity: proportional to the changes, or to the table if the feed doesn't reach back.
    public func changes(since revision: UInt64) -> TableChanges<Key, Row> {
        guard revision < self.revision else {
            return TableChanges(revision: self.revision)
        }
        guard self.revision - revision <= UInt64(feed.count) else {
            return TableChanges(
                revision: self.revision, upserts: entries.filter { $0.revision > revision },
                mayHaveMissedDeletes: true)
        }
        let changed = Set(feed.suffix(Int(self.revision - revision))).sorted()
        return TableChanges(
            revision: self.revision, upserts: changed.compactMap { entriesByKey[$0] },
            deletes: changed.filter { entriesByKey[$0] == nil })
    }

    private mutating func note(_ key: Key) {
        revision += 1
        if feed.count == Self.changeFeedMaximum { feed.removeFirst() }
        feed.append(key)
    }
}

/// The difference between two revisions of a ``Table``: only the last state of each key counts.
public struct TableChanges<Key, Row: TableRow>: Sendable where Row.Key == Key {
    /// Ask with this one next time.
    public let revision: UInt64
    /// In the order of their keys.
    public internal(set) var upserts: [Table<Key, Row>.Entry] = []
    /// In order.
    public internal(set) var deletes: [Key] = []
    /// The feed didn't reach back: rows that are gone are not named, compare with what you hold.
    public internal(set) var mayHaveMissedDeletes = false

    public var isEmpty: Bool { upserts.isEmpty && deletes.isEmpty && !mayHaveMissedDeletes }
}
