// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// One step of an owner's history, behind its checkpoint.
public struct JournalBatch: Hashable, Sendable {
    public var owner: ClusterID
    public var position: Position
    /// Opaque; at most ``JournalLimits/messageBytes``.
    public var message: [UInt8]

    public init(owner: ClusterID, position: Position, message: [UInt8]) {
        self.owner = owner
        self.position = position
        self.message = message
    }
}

/// A part of an owner's state. An absent bucket is empty, and so is one without bytes.
public struct JournalBucket: Hashable, Sendable {
    public var index: UInt8
    /// Opaque; at most ``JournalLimits/bucketBytes``.
    public var bytes: [UInt8]

    public init(index: UInt8, bytes: [UInt8]) {
        self.index = index
        self.bytes = bytes
    }
}

/// An owner's state at a position. Storing it deletes the log up to there.
public struct JournalCheckpoint: Hashable, Sendable {
    public var owner: ClusterID
    public var position: Position
    /// Opaque; at most ``JournalLimits/headerBytes``.
    public var header: [UInt8]
    /// Those that changed since the stored checkpoint; all that aren't empty if ``replacesAll``.
    public var buckets: [JournalBucket]
    /// Drops the buckets stored before.
    public var replacesAll: Bool

    public init(
        owner: ClusterID, position: Position, header: [UInt8], buckets: [JournalBucket],
        replacesAll: Bool
    ) {
        self.owner = owner
        self.position = position
        self.header = header
        self.buckets = buckets
        self.replacesAll = replacesAll
    }
}

/// A named value; no bytes delete it.
public struct JournalNote: Hashable, Sendable {
    /// 1...``JournalLimits/keyBytes`` bytes of UTF-8.
    public var key: String
    /// Opaque; at most ``JournalLimits/noteBytes``.
    public var bytes: [UInt8]?

    public init(_ key: String, _ bytes: [UInt8]?) {
        self.key = key
        self.bytes = bytes
    }
}

/// What is stored whole or not at all: in this order, owners are removed, checkpoints stored,
/// batches appended, notes set.
///
/// A checkpoint never lies before the stored one, and a batch is the next after the checkpoint or
/// batch before it: the next revision, or any of a later epoch. A removed owner begins anew.
public struct JournalTransaction: Hashable, Sendable {
    public var removedOwners: [ClusterID]
    public var checkpoints: [JournalCheckpoint]
    public var batches: [JournalBatch]
    public var notes: [JournalNote]

    public init(
        removedOwners: [ClusterID] = [], checkpoints: [JournalCheckpoint] = [],
        batches: [JournalBatch] = [], notes: [JournalNote] = []
    ) {
        self.removedOwners = removedOwners
        self.checkpoints = checkpoints
        self.batches = batches
        self.notes = notes
    }
}

/// What the journal holds of one owner.
public struct StoredReplica: Hashable, Sendable {
    public var owner: ClusterID
    /// The checkpoint's; the log leads on from here.
    public var position: Position
    public var header: [UInt8]
    /// Ascending by index, none empty.
    public var buckets: [JournalBucket]
    /// In order, without a gap.
    public var log: [JournalBatch]

    public init(
        owner: ClusterID, position: Position, header: [UInt8], buckets: [JournalBucket] = [],
        log: [JournalBatch] = []
    ) {
        self.owner = owner
        self.position = position
        self.header = header
        self.buckets = buckets
        self.log = log
    }
}
