// SPDX-License-Identifier: Apache-2.0

public import MeshStore

/// What a ``Reconciler`` makes equal to a table: usually a kernel map.
public protocol ReconcileTarget: ~Copyable {
    associatedtype Row: TableRow

    /// Every key the target holds now, whoever put it there.
    mutating func realised() throws -> [Row.Key]

    /// Makes the target hold `row`. Idempotent; on an error what it held before stays in force.
    mutating func update(_ row: Row) throws

    /// Removes a key. Deleting what is gone is success.
    mutating func delete(_ key: Row.Key) throws
}
