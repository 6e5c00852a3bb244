// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// What the owner signs about one batch.
///
/// Encoded in network byte order: version, 16-bit owner, position (32-bit epoch, 64-bit revision),
/// hash of the previous header, state root, a 16-bit mask of the changed shards (bit 0 is shard 0),
/// a hash for each set bit, and the resource versions with a 32-bit length. A later version may
/// append: readers hash and verify what they don't know, and carry it on.
public struct BatchHeader: Hashable, Sendable {
    static let version: UInt8 = 1

    public let owner: ClusterID
    public let position: Position
    /// Of the header before, ``LedgerDigest/zero`` for the batch that opens an epoch.
    public let previous: LedgerDigest
    /// Root over the hashes of all 256 buckets of the state that this batch leads to. It lets anyone
    /// serve a snapshot that nobody can alter, and lets a replica enter a new epoch without one.
    public let stateRoot: LedgerDigest
    /// SHA-256 of each changed shard's body, ascending by shard. A reader that leaves out a body
    /// still checks the header and the bodies it takes.
    public let shards: [ShardHash]
    /// What the publisher's sources had reached, 0...1,024 bytes that the ledger doesn't read.
    public let resourceVersions: [UInt8]

    public struct ShardHash: Hashable, Sendable {
        /// 0...15.
        public let shard: Int
        public let hash: LedgerDigest
    }

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
        writer.write(ShardMask.encode(shards.lazy.map(\.shard)))
        for shard in shards { writer.write(shard.hash) }
        writer.write(field: resourceVersions)
        return writer.bytes
    }

    init(encoded bytes: some Sequence<UInt8>) throws(DecodingFault) {
        var reader = ByteReader(bytes)
        let version = try reader.read(UInt8.self)
        guard version == Self.version else { throw .unsupportedVersion(version) }
        owner = try reader.readOwner()
        position = try reader.readPosition()
        guard position.epoch > 0, position.revision > 0 else { throw .invalid("position") }
        previous = try reader.readDigest()
        stateRoot = try reader.readDigest()
        var shards: [ShardHash] = []
        for shard in ShardMask.decode(try reader.read()) {
            shards.append(ShardHash(shard: shard, hash: try reader.readDigest()))
        }
        self.shards = shards
        resourceVersions = Array(
            try reader.readField(
                max: ReplicationLimit.resourceVersionBytes, "resource versions"))
        guard !opensEpoch || previous == .zero else { throw .invalid("previous header") }
    }
}

/// A set of shards in 16 bits.
enum ShardMask {
    static func encode(_ shards: some Sequence<Int>) -> UInt16 {
        shards.reduce(0) { $0 | 1 << UInt16($1) }
    }

    static func decode(_ mask: UInt16) -> [Int] {
        (0..<ReplicationLimit.shards).filter { mask >> UInt16($0) & 1 == 1 }
    }
}
