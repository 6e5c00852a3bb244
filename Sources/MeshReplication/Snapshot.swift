// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// What a sender could send: the signed header of a position, the hashes of all shards, and those of
/// the buckets that the receiver may want. It asks for those that differ from its own, so that a new
/// epoch over the same state moves no records.
struct SnapshotOffer: Hashable, Sendable {
    let signed: SignedHeader
    let delegation: SignedDelegation
    /// All 16.
    let shardHashes: [LedgerDigest]
    let shards: ShardSet
    /// 16 for each of ``shards``.
    let bucketHashes: [LedgerDigest]

    var owner: ClusterID { signed.owner }
    var position: Position { signed.header.position }
    var proof: LedgerProof { LedgerProof(signed: signed, delegation: delegation) }

    /// - Parameter shard: one of ``shards``.
    func bucketHashes(ofShard shard: Int) -> ArraySlice<LedgerDigest> {
        let place = shards.shards.prefix { $0 < shard }.count * ReplicationLimit.bucketsPerShard
        return bucketHashes[place..<place + ReplicationLimit.bucketsPerShard]
    }

    /// Nil for a bucket of another shard.
    func hash(ofBucket bucket: Int) -> LedgerDigest? {
        let shard = Placement.shard(ofBucket: bucket)
        guard shards.contains(shard: shard) else { return nil }
        let hashes = bucketHashes(ofShard: shard)
        return hashes[hashes.startIndex + bucket % ReplicationLimit.bucketsPerShard]
    }
}

extension SnapshotOffer {
    func encode(into writer: inout ByteWriter) {
        signed.encode(into: &writer)
        delegation.encode(into: &writer)
        for hash in shardHashes { writer.write(hash) }
        writer.write(shards.rawValue)
        for hash in bucketHashes { writer.write(hash) }
    }

    init(from reader: inout ByteReader) throws(DecodingFault) {
        signed = try SignedHeader(from: &reader)
        delegation = try SignedDelegation(from: &reader)
        shardHashes = try reader.readDigests(ReplicationLimit.shards)
        shards = ShardSet(rawValue: try reader.read())
        bucketHashes = try reader.readDigests(
            shards.shards.count * ReplicationLimit.bucketsPerShard)
    }
}

struct SnapshotAcceptance: Hashable, Sendable {
    let owner: ClusterID
    let position: Position
    /// Ascending, not empty.
    let buckets: [UInt8]
}

struct SnapshotChunk: Hashable, Sendable {
    let owner: ClusterID
    let position: Position
    let bucket: UInt8
    /// Whether the bucket is complete with this chunk.
    let isLast: Bool
    /// 0...32,768 bytes.
    let bytes: [UInt8]
}

/// A snapshot on its way to a peer: a copy of the state at the offered position, which shares
/// everything that hasn't changed since.
struct OutgoingSnapshot: Sendable {
    let offer: SnapshotOffer
    private let contents: LedgerContents
    private var wanted: ArraySlice<UInt8> = []
    private var offset = 0

    /// Nil before any history, and if the replica lacks some of `shards`.
    init?(of replica: Replica, shards: ShardSet) {
        guard let last = replica.last, let delegation = replica.delegation,
            shards.isSubset(of: replica.held)
        else { return nil }
        let contents = replica.contents
        self.contents = contents
        offer = SnapshotOffer(
            signed: last, delegation: delegation, shardHashes: contents.shardHashes,
            shards: shards,
            bucketHashes: shards.shards.flatMap { Array(contents.bucketHashes(ofShard: $0)) })
    }

    var isComplete: Bool { wanted.isEmpty }

    func accepting(_ buckets: [UInt8]) -> OutgoingSnapshot {
        var accepted = self
        accepted.wanted = buckets[...]
        return accepted
    }

    /// The next part; nil when everything is under way.
    mutating func nextChunk() -> SnapshotChunk? {
        guard let bucket = wanted.first else { return nil }
        let bytes = contents.buckets[Int(bucket)].bytes
        let end = min(offset + ReplicationLimit.chunkBytes, bytes.count)
        let chunk = SnapshotChunk(
            owner: offer.owner, position: offer.position, bucket: bucket,
            isLast: end == bytes.count, bytes: Array(bytes[offset..<end]))
        offset = chunk.isLast ? 0 : end
        if chunk.isLast { wanted.removeFirst() }
        return chunk
    }
}

/// A snapshot on its way from a peer. Nothing of it is used before all of it is there and checked.
struct IncomingSnapshot: Sendable {
    let link: ReplicationLink
    let offer: SnapshotOffer
    private var wanted: ArraySlice<UInt8>
    private var partial: [UInt8] = []
    private(set) var buckets: [(index: Int, bucket: Bucket)] = []
    private(set) var byteCount = 0
    /// What had arrived when ``isStalled(at:)`` last saw progress, and when that was.
    private var progress: (byteCount: Int, instant: Instant)?

    init(from link: ReplicationLink, offer: SnapshotOffer, wanted: [UInt8]) {
        self.link = link
        self.offer = offer
        self.wanted = wanted[...]
    }

    var isComplete: Bool { wanted.isEmpty }

    /// - Throws: ``RejectionReason``: the whole snapshot is to be dropped.
    mutating func receive(_ chunk: SnapshotChunk) throws(RejectionReason) {
        let index = Int(chunk.bucket)
        guard chunk.bucket == wanted.first, chunk.isLast || !chunk.bytes.isEmpty
        else { throw .unexpectedMessage(chunk.owner) }
        guard partial.count + chunk.bytes.count <= ReplicationLimit.bucketBytes
        else { throw .bucketMismatch(chunk.owner, bucket: index) }
        partial += chunk.bytes
        byteCount += chunk.bytes.count
        guard chunk.isLast else { return }
        guard LedgerDigest(of: partial) == offer.hash(ofBucket: index)
        else { throw .bucketMismatch(chunk.owner, bucket: index) }
        do throws(DecodingFault) {
            buckets.append((index, try Bucket(validating: partial, index: index)))
        } catch {
            throw .malformedBody(chunk.owner, error)
        }
        partial = []
        wanted.removeFirst()
        byteCount += 1  // an empty bucket is progress too
    }

    mutating func isStalled(at now: Instant) -> Bool {
        guard let progress, progress.byteCount == byteCount else {
            self.progress = (byteCount, now)
            return false
        }
        return now - progress.instant >= .seconds(ReplicationLimit.snapshotStallSeconds)
    }
}
