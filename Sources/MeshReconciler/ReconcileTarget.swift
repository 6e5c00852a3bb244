// SPDX-License-Identifier: Apache-2.0

public import MeshStore

/// What a ``Reconciler`` makes equal to a table: usually a kernel map.
public protocol ReconcileTarget: ~Copyable {
    associatedtype Row where Row == Rows.Row
    /// The kind of table.
    associatedtype Rows: ReconciledTable = Table<Row.Key, Row>

    /// Every key the target holds now, whoever put it there.
    mutating func realised() throws -> [Row.Key]

    /// Makes the target hold `row`. Idempotent; on an error what it held before stays in force.
    mutating func update(_ row: Row) throws

    /// Makes the target hold `rows`, as many as it can; on an error what it held before of that row
    /// stays in force. One after the other unless the target knows better.
    ///
    /// - Returns: those that failed.
    mutating func update(_ rows: [Row]) -> [RowFailure<Row>]

    /// Removes a key. Deleting what is gone is success.
    mutating func delete(_ key: Row.Key) throws
}

/// A row that a target refused.
public struct RowFailure<Row: TableRow> {
    public let key: Row.Key
    public let error: any Error

    public init(key: Row.Key, error: any Error) {
        self.key = key
        self.error = error
    }
}

extension ReconcileTarget where Self: ~Copyable {
    public mutating func update(_ rows: [Row]) -> [RowFailure<Row>] {
        var failures: [RowFailure<Row>] = []
        for row in rows {
            do {
                try update(row)
            } catch {
                failures.append(RowFailure(key: row.key, error: error))
            }
        }
        return failures
    }
}
