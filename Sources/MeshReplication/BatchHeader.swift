// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// What the owner signs about one batch.
///
/// Encoded in network byte order: version, 16-bit owner, position (32-bit epoch, 64-bit revision),
/// hash of the previous header or the delegation, state root, a 16-bit mask of the changed shards (bit 0 is shard 0),
/// two hashes for each set bit, and the resource versions with a 32-bit length. A later version may
/// append: readers hash and verify what they don't know, and carry it on.
public struct BatchHeader: Hashable, Sendable {
    static let version: UInt8 = 1

    public let owner: ClusterID
    public let position: Position
    /// Of the header before; of the delegation, for the batch that opens an epoch: two writers of
    /// one epoch never have a header in common.
    public let previous: LedgerDigest
    /// Root over the hashes of all 256 buckets of the state that this batch leads to. It lets anyone
    /// serve a snapshot that nobody can alter, and lets a replica enter a new epoch without one.
    public let stateRoot: LedgerDigest
    /// Each changed shard, ascending.
    public let shards: [ChangedShard]
    /// What the publisher's sources had reached, 0...1,024 bytes that the ledger doesn't read.
    public let resourceVersions: [UInt8]

    /// A reader that leaves out a shard takes its state's hash from here, and still checks the root.
    public struct ChangedShard: Hashable, Sendable {
        /// 0...15.
        public let shard: Int
        /// SHA-256 of the shard's body in this batch.
        public let body: LedgerDigest
        /// Over the hashes of the shard's 16 buckets, after this batch.
        public let state: LedgerDigest
    }

    var changed: ShardSet { ShardSet(shards.lazy.map(\.shard)) }

    var opensEpoch: Bool { position.revision == 1 }
}

extension BatchHeader {
    var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.write(Self.version)
        writer.write(owner.rawValue)
        writer.write(position)
        writer.write(previous)
        writer.write(stateRoot)
        writer.write(changed.rawValue)
        for shard in shards {
            writer.write(shard.body)
            writer.write(shard.state)
        }
        writer.write(field: resourceVersions)
        return writer.bytes
    }

    init(encoded bytes: some Sequence<UInt8>) throws(DecodingFault) {
        var reader = ByteReader(bytes)
        let version = try reader.read(UInt8.self)
        guard version == Self.version else { throw .unsupportedVersion(version) }
        owner = try reader.readOwner()
        position = try reader.readPosition()
        // The highest revision could have no next one.
        guard position.epoch > 0, (1..<UInt64.max).contains(position.revision)
        else { throw .invalid("position") }
        previous = try reader.readDigest()
        stateRoot = try reader.readDigest()
        var shards: [ChangedShard] = []
        for shard in ShardSet(rawValue: try reader.read()).shards {
            shards.append(
                ChangedShard(
                    shard: shard, body: try reader.readDigest(), state: try reader.readDigest()))
        }
        self.shards = shards
        resourceVersions = Array(
            try reader.readField(
                max: ReplicationLimit.resourceVersionBytes, "resource versions"))
    }
}
