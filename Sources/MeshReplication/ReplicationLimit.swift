// SPDX-License-Identifier: Apache-2.0

/// Every bound of the ledger's wire format and of its sessions.
public enum ReplicationLimit {
    /// Parts of a batch that are hashed by themselves, so that a reader may leave some out.
    public static let shards = 16
    /// Parts of a shard's state that are hashed by themselves, so that one change rehashes little.
    public static let bucketsPerShard = 16
    public static let buckets = shards * bucketsPerShard

    /// Length of a key: printable ASCII without spaces.
    public static let keyBytes = 600
    /// Length of a value: the largest that still fits in a batch beside the longest key.
    public static let valueBytes = 63 * 1024
    /// All shard bodies of one batch together.
    public static let bodyBytes = 64 * 1024
    public static let headerBytes = 4 * 1024
    public static let resourceVersionBytes = 1024
    static let delegationBytes = 512
    /// A delegation's signature, with the certificates that lead to the CA's root.
    static let delegationSignatureBytes = 2 * 1024
    /// How far a delegation's end is stretched, for clocks differ.
    public static let clockSkewSeconds: UInt64 = 300
    /// One bucket of a snapshot: 1/256 of an owner's state.
    public static let bucketBytes = 4 * 1024 * 1024
    /// Part of a bucket carried by one message.
    public static let chunkBytes = 32 * 1024
    /// Owners named by one message; more of them take several messages.
    public static let headsPerMessage = 1024
    /// Proofs of another history, each at most ``headerBytes`` and a delegation, that one message of
    /// heads draws.
    public static let evidencePerMessage = 16
    /// The longest message: a full batch with the longest header and its framing.
    public static let messageBytes = 72 * 1024

    /// Batches that a log window keeps at most.
    public static let windowBatches = 65_536
    /// Bytes that a log window keeps at most.
    public static let windowBytes = 16 * 1024 * 1024

    /// Bytes that the log windows of other clusters keep together, unless there are more than 1,024.
    public static let sharedWindowBytes = 64 * 1024 * 1024
    /// Some hundred batches: about ten minutes of a cluster's usual changes.
    public static let leastWindowBytes = 64 * 1024

    /// Batches journaled behind a checkpoint before the next one is due, unless the state is larger.
    public static let checkpointBytes = 4 * 1024 * 1024

    /// A newcomer that lacks more batches gets a snapshot at once: it is applied in one step.
    public static let newcomerBatches = 8

    /// Bytes under way to a peer that it hasn't acknowledged yet.
    public static let unacknowledgedBytes: UInt64 = 1024 * 1024
    /// What snapshots may take of it, so that changes never wait behind one.
    public static let unacknowledgedSnapshotBytes: UInt64 = unacknowledgedBytes / 2
    /// Bytes after whose arrival a receiver acknowledges.
    public static let acknowledgeEveryBytes: UInt64 = 64 * 1024
    /// A snapshot that doesn't grow for so long is taken from another peer.
    public static let snapshotStallSeconds = 5
}
