// SPDX-License-Identifier: Apache-2.0

public import MeshModel
public import MeshStore

/// Makes a target hold what a table says, and writes back to each row what came of it.
///
/// Sans-IO: the caller waits for the store's watch or for ``PassResult/nextRetry``, whichever comes
/// first, and calls ``pass(_:now:full:)`` again.
public struct Reconciler<Target: ReconcileTarget & ~Copyable>: ~Copyable {
    public typealias Row = Target.Row
    public typealias Key = Row.Key
    public typealias TablePath = any WritableKeyPath<MeshTables, Table<Key, Row>> & Sendable

    /// What failed is tried again after this long, then after twice as long each time.
    public static var retryDelayMinimum: Duration { .milliseconds(50) }
    public static var retryDelayMaximum: Duration { .seconds(10) }

    public var target: Target
    private let table: TablePath
    /// Of the table: changes up to here are taken over, or stand in `retries`.
    private var revision: UInt64 = 0
    private var retries: [Key: Retry] = [:]
    /// The target may hold keys that the table lacks. True at the start: they may be left over from
    /// an agent that ran before.
    private var needsPrune = true
    private var pruneRetry = Retry()

    /// - Parameter table: as in `Reconciler(target, table: \.frontends)`.
    public init(_ target: consuming Target, table: TablePath) {
        self.target = target
        self.table = table
    }

    /// Takes over what changed since the last pass and tries again what failed and is due; deletes
    /// before it updates, in the order of the keys.
    ///
    /// As soon as the table is complete, the first pass also deletes what the target holds and the
    /// table lacks; so does the pass after the change feed was overrun.
    ///
    /// - Parameters:
    ///   - now: for back-off only.
    ///   - full: updates every row, changed or not, and prunes: repairs what others did to the
    ///     target.
    public mutating func pass(_ store: MeshStore, now: Instant, full: Bool = false) -> PassResult {
        let plan = plan(store, now: now, full: full)
        var result = PassResult()
        var reports: [(key: Key, revision: UInt64, status: RowStatus)] = []

        for key in plan.deletes.sorted() {
            do {
                try target.delete(key)
                retries[key] = nil
                result.deleted += 1
            } catch {
                retries[key, default: Retry()].fail(at: now)
                result.note(error)
            }
        }
        for entry in plan.updates {
            let key = entry.row.key
            do {
                try target.update(entry.row)
                retries[key] = nil
                result.updated += 1
                reports.append((key, entry.revision, .done))
            } catch {
                retries[key, default: Retry()].fail(at: now)
                result.note(error)
                reports.append((key, entry.revision, .error("\(error)")))
            }
        }
        if !reports.isEmpty {
            let table = table
            store.write { [reports] in
                for report in reports {
                    $0[keyPath: table].report(report.status, for: report.key, at: report.revision)
                }
            }
        }
        if let error = plan.pruneError { result.note(error) }
        result.nextRetry = nextRetry
        return result
    }

    private struct Plan {
        var deletes: Set<Key>
        var updates: [Table<Key, Row>.Entry]
        var pruneError: (any Error)?
    }

    private mutating func plan(_ store: MeshStore, now: Instant, full: Bool) -> Plan {
        let current = store.snapshot()[keyPath: table]
        let changes = current.changes(since: revision)
        revision = changes.revision
        if full || changes.mayHaveMissedDeletes { needsPrune = true }

        var deletes = Set(changes.deletes)
        var updates = full ? current.entries : changes.upserts
        let changed = Set(updates.map(\.row.key))
        for (key, retry) in retries where !changed.contains(key) {
            guard retry.due <= now || full else { continue }
            if let entry = current.entry(for: key) {
                updates.append(entry)
            } else {
                deletes.insert(key)
            }
        }
        if updates.count != changed.count { updates.sort { $0.row.key < $1.row.key } }

        var plan = Plan(deletes: deletes, updates: updates)
        guard needsPrune, current.isComplete, pruneRetry.due <= now || full else { return plan }
        do {
            for key in try target.realised() where current.entry(for: key) == nil {
                plan.deletes.insert(key)
            }
            needsPrune = false
            pruneRetry = Retry()
        } catch {
            pruneRetry.fail(at: now)
            plan.pruneError = error
        }
        return plan
    }

    private var nextRetry: Instant? {
        var due = retries.values.map(\.due)
        if needsPrune, pruneRetry.failures > 0 { due.append(pruneRetry.due) }
        return due.min()
    }

    private struct Retry {
        var failures = 0
        var due = Instant.zero

        mutating func fail(at now: Instant) {
            let delay = Reconciler.retryDelayMinimum * (1 << min(failures, 20))
            failures += 1
            due = now + min(delay, Reconciler.retryDelayMaximum)
        }
    }
}

extension Reconciler: Copyable where Target: Copyable {}
extension Reconciler: Sendable where Target: Sendable & ~Copyable {}

/// What a pass did, for counters and one log line.
public struct PassResult: Sendable {
    public internal(set) var updated = 0
    public internal(set) var deleted = 0
    public internal(set) var failed = 0
    /// A sentence. Rows carry their own reason in their status; failed deletions have no row.
    public internal(set) var firstFailure: String?
    /// When to run the next pass even if no table changes; nil if nothing failed.
    public internal(set) var nextRetry: Instant?

    mutating func note(_ error: any Error) {
        failed += 1
        if firstFailure == nil { firstFailure = "\(error)" }
    }
}
