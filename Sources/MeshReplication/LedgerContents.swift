// SPDX-License-Identifier: Apache-2.0

/// An owner's records at one position, and the root that authenticates them.
///
/// A tree of fixed depth: root over 16 shards, shard over 16 buckets, bucket over its bytes; all
/// SHA-256. A change rehashes the buckets it touches. Copies share what didn't change.
struct LedgerContents: Sendable {
    private(set) var buckets: [Bucket]
    private(set) var shardHashes: [LedgerDigest]
    private(set) var root: LedgerDigest

    static let empty = LedgerContents(
        buckets: Array(repeating: .empty, count: ReplicationLimit.buckets))

    private init(buckets: [Bucket]) {
        self.buckets = buckets
        shardHashes = (0..<ReplicationLimit.shards).map { shard in
            LedgerDigest(
                combining: buckets[Placement.buckets(ofShard: shard)].lazy.map(\.hash))
        }
        root = LedgerDigest(combining: shardHashes)
    }

    var count: Int { buckets.reduce(0) { $0 + $1.count } }
    var byteCount: Int { buckets.reduce(0) { $0 + $1.bytes.count } }

    /// Whether a snapshot can carry every bucket.
    var fitsSnapshots: Bool {
        buckets.allSatisfy { $0.bytes.count <= ReplicationLimit.bucketBytes }
    }

    func bucketHashes(ofShard shard: Int) -> some Collection<LedgerDigest> {
        buckets[Placement.buckets(ofShard: shard)].lazy.map(\.hash)
    }

    func value(of key: String) -> ArraySlice<UInt8>? {
        let bytes = Array(key.utf8)
        return buckets[Placement.bucket(of: bytes)].value(of: bytes)
    }

    /// - Parameters:
    ///   - changes: in any order, keys unique.
    ///   - untracked: hashes of changed shards whose records aren't held here.
    /// - Complexity: one pass over each bucket that is touched.
    mutating func apply(
        _ changes: [LedgerChange], untracked: [Int: LedgerDigest] = [:]
    ) {
        let ordered = changes.map(PackedChange.init).sorted(by: PackedChange.inOrder)
        var rest = ordered[...]
        var touched: Set<Int> = []
        while let first = rest.first {
            let group = rest.prefix { $0.bucket == first.bucket }
            buckets[first.bucket] = buckets[first.bucket].applying(group)
            touched.insert(Placement.shard(ofBucket: first.bucket))
            rest = rest.dropFirst(group.count)
        }
        rehash(touched, untracked)
    }

    /// - Parameter untracked: hashes of the shards that aren't held here; their buckets become empty.
    mutating func replace(
        _ replacements: [(index: Int, bucket: Bucket)], untracked: [Int: LedgerDigest] = [:]
    ) {
        for (index, bucket) in replacements { buckets[index] = bucket }
        for shard in untracked.keys {
            for index in Placement.buckets(ofShard: shard) { buckets[index] = .empty }
        }
        // All: a shard may become a tracked one without a bucket to replace, if it is empty.
        rehash(Set(0..<ReplicationLimit.shards).subtracting(untracked.keys), untracked)
    }

    private mutating func rehash(_ touched: Set<Int>, _ untracked: [Int: LedgerDigest]) {
        for shard in touched {
            shardHashes[shard] = LedgerDigest(combining: bucketHashes(ofShard: shard))
        }
        for (shard, hash) in untracked { shardHashes[shard] = hash }
        root = LedgerDigest(combining: shardHashes)
    }
}

extension LedgerContents {
    /// Every record, bucket by bucket.
    var entries: [LedgerEntry] { buckets.flatMap { Array($0) } }
}
