// SPDX-License-Identifier: Apache-2.0

public import MeshModel
public import MeshStore

/// Makes a target hold what a table says, and writes back to the table what came of it.
///
/// Sans-IO: the caller waits for the store's watch or for ``PassResult/nextRetry``, whichever comes
/// first, and calls ``pass(_:now:full:)`` again.
public struct Reconciler<Target: ReconcileTarget & ~Copyable>: ~Copyable {
    public typealias Key = Target.Row.Key
    public typealias TablePath = any WritableKeyPath<MeshTables, Target.Rows> & Sendable

    /// What failed is tried again after this long, then after twice as long each time.
    public static var retryDelayMinimum: Duration { .milliseconds(50) }
    public static var retryDelayMaximum: Duration { .seconds(10) }
    /// Failures that are remembered one by one. When there are more, all rows are tried again.
    public static var retriesMaximum: Int { 4096 }
    /// Rows that the target is given at once.
    public static var blockMaximum: Int { 1024 }

    public var target: Target
    private let table: TablePath
    /// Of the table: changes up to here are taken over, or stand in `retries`.
    private var revision: UInt64 = 0
    private var retries: [Key: Retry] = [:]
    /// For failures that `retries` had no room for.
    private var retryOfAll = Retry()
    /// The target may hold keys that the table lacks. True at the start: they may be left over from
    /// an agent that ran before.
    private var needsPrune = true
    private var retryOfPrune = Retry()

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
    ///   - tables: a snapshot of the store's that others go by, too; nil: as they are now.
    public mutating func pass(
        _ store: MeshStore, now: Instant, full: Bool = false, tables: MeshTables? = nil
    ) -> PassResult {
        let current = (tables ?? store.snapshot())[keyPath: table]
        let changed = full ? nil : current.changedKeys(since: revision)
        if changed == nil { needsPrune = true }
        let isWhole = changed == nil || retryOfAll.isDue(at: now)
        let due = retries.filter { $0.value.due <= now || full }.keys
        let keys = Set(changed ?? []).union(due)

        var pass = Pass(now: now)
        let obsolete = obsoleteKeys(of: current, full: full, in: &pass)
        delete(obsolete.union(keys.lazy.filter { !current.contains($0) }).sorted(), in: &pass)
        if isWhole {
            current.forEachBlock(of: Self.blockMaximum) { update($0, in: &pass) }
        } else {
            var rest = keys.sorted()[...]
            while !rest.isEmpty {
                update(rest.prefix(Self.blockMaximum).compactMap { current[$0] }, in: &pass)
                rest = rest.dropFirst(Self.blockMaximum)
            }
        }
        if pass.isOverflowing {
            retryOfAll.fail(at: now, "")
            needsPrune = true
        } else if isWhole {
            retryOfAll = Retry()
        }
        if isWhole || !keys.isEmpty { settle(store, through: current.revision) }
        revision = current.revision
        pass.result.nextRetry = nextRetry
        return pass.result
    }

    private struct Pass {
        let now: Instant
        var result = PassResult()
        /// There were more failures than are remembered.
        var isOverflowing = false
    }

    /// What the target holds and the table lacks, if it is time to find out.
    private mutating func obsoleteKeys(
        of current: Target.Rows, full: Bool, in pass: inout Pass
    ) -> Set<Key> {
        guard needsPrune, current.isComplete, retryOfPrune.due <= pass.now || full else {
            return []
        }
        do {
            let obsolete = Set(try target.realised().lazy.filter { !current.contains($0) })
            needsPrune = false
            retryOfPrune = Retry()
            return obsolete
        } catch {
            retryOfPrune.fail(at: pass.now, "\(error)")
            pass.result.note(error)
            return []
        }
    }

    private mutating func delete(_ keys: [Key], in pass: inout Pass) {
        for key in keys {
            do {
                try target.delete(key)
                retries[key] = nil
                pass.result.deleted += 1
            } catch {
                note(RowFailure(key: key, error: error), in: &pass)
            }
        }
    }

    private mutating func update(_ rows: [Target.Row], in pass: inout Pass) {
        let failures = target.update(rows)
        pass.result.updated += rows.count - failures.count
        if !retries.isEmpty {
            let failed = Set(failures.map(\.key))
            for row in rows where !failed.contains(row.key) { retries[row.key] = nil }
        }
        for failure in failures { note(failure, in: &pass) }
    }

    private mutating func note(_ failure: RowFailure<Target.Row>, in pass: inout Pass) {
        pass.result.note(failure.error)
        if retries.count < Self.retriesMaximum || retries[failure.key] != nil {
            retries[failure.key, default: Retry()].fail(at: pass.now, "\(failure.error)")
        } else {
            pass.isOverflowing = true
        }
    }

    private func settle(_ store: MeshStore, through revision: UInt64) {
        let table = table
        let failures = retries.mapValues(\.reason)
        let isWhole = retryOfAll.failures == 0
        store.write {
            $0[keyPath: table].settle(through: revision, failures: failures, isWhole: isWhole)
        }
    }

    private var nextRetry: Instant? {
        var due = retries.values.map(\.due)
        if retryOfAll.failures > 0 { due.append(retryOfAll.due) }
        if needsPrune, retryOfPrune.failures > 0 { due.append(retryOfPrune.due) }
        return due.min()
    }

    private struct Retry {
        var failures = 0
        var due = Instant.zero
        /// A sentence.
        var reason = ""

        func isDue(at now: Instant) -> Bool { failures > 0 && due <= now }

        mutating func fail(at now: Instant, _ reason: String) {
            let delay = Reconciler.retryDelayMinimum * (1 << min(failures, 20))
            failures += 1
            due = now + min(delay, Reconciler.retryDelayMaximum)
            self.reason = reason
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
    /// A sentence. The table's statuses have each row's reason; failed deletions have no row.
    public internal(set) var firstFailure: String?
    /// When to run the next pass even if no table changes; nil if nothing failed.
    public internal(set) var nextRetry: Instant?

    mutating func note(_ error: any Error) {
        failed += 1
        if firstFailure == nil { firstFailure = "\(error)" }
    }
}
