// SPDX-License-Identifier: Apache-2.0

/// A point in the history of one cluster's ledger; revisions are contiguous within an epoch.
public struct Position: Hashable, Comparable, Sendable {
    public var epoch: UInt32
    public var revision: UInt64

    public init(epoch: UInt32, revision: UInt64) {
        self.epoch = epoch
        self.revision = revision
    }

    /// Before any history: what an empty replica holds.
    public static let origin = Position(epoch: 0, revision: 0)

    public var next: Position { Position(epoch: epoch, revision: revision + 1) }

    public static func < (left: Position, right: Position) -> Bool {
        (left.epoch, left.revision) < (right.epoch, right.revision)
    }
}

extension Position: CustomStringConvertible {
    public var description: String { "\(epoch).\(revision)" }
}
