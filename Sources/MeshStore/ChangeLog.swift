// SPDX-License-Identifier: Apache-2.0

import DequeModule

/// What changed in a table, what of it the kernel has taken over, and what it refused.
struct ChangeLog<Key: Hashable & Comparable & Sendable>: Sendable {
    /// Changes, deletions included, that are told one by one. Who falls further behind goes through
    /// the whole table.
    static var maximum: Int { 8192 }

    /// Counts changes of rows.
    private(set) var revision: UInt64 = 0
    var isComplete = false
    /// Keys in the order of their changes; the last has revision ``revision``, the one before it
    /// one less, and so on. What is settled needs no telling any more.
    private var feed: Deque<Key> = []
    /// Up to here every change is in the kernel or among the failures.
    private var settled: UInt64 = 0
    private var failures: [Key: String] = [:]
    private var listsAllFailures = true

    mutating func note(_ key: Key) {
        revision += 1
        if feed.count == Self.maximum { feed.removeFirst() }
        feed.append(key)
    }

    /// What changed after `revision`, ascending; nil if that is no longer known.
    func changedKeys(since revision: UInt64) -> [Key]? {
        guard revision < self.revision else { return [] }
        guard self.revision - revision <= UInt64(feed.count) else { return nil }
        return Set(feed.suffix(Int(self.revision - revision))).sorted()
    }

    mutating func settle(through revision: UInt64, failures: [Key: String], isWhole: Bool) {
        guard revision >= settled else { return }
        settled = revision
        self.failures = failures
        listsAllFailures = isWhole
        let open = Int(clamping: self.revision - revision)
        // A new deque, for an emptied one keeps its memory.
        if feed.count > open { feed = Deque(feed.suffix(open)) }
    }

    /// What became of the latest change of a key.
    ///
    /// - Complexity: proportional to what isn't settled yet, as a rule nothing.
    func status(of key: Key) -> RowStatus {
        let open = revision - settled
        return status(
            of: key, isOpen: open > UInt64(feed.count) || feed.suffix(Int(open)).contains(key))
    }

    /// As ``status(of:)``, for many keys.
    var statuses: (Key) -> RowStatus {
        let open = changedKeys(since: settled).map(Set.init)
        return { status(of: $0, isOpen: open?.contains($0) ?? true) }
    }

    private func status(of key: Key, isOpen: Bool) -> RowStatus {
        guard !isOpen else { return .pending }
        if let reason = failures[key] { return .error(reason) }
        return listsAllFailures ? .done : .pending
    }
}
