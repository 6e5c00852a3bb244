// SPDX-License-Identifier: Apache-2.0

/// An owner's records at one position, and the root that authenticates them.
///
/// A tree of fixed depth: root over 16 shards, shard over 16 buckets, bucket over its bytes; all
/// SHA-256. A change rehashes the buckets it touches. Copies share what didn't change.
struct LedgerContents: Sendable {
    private(set) var buckets: [Bucket]
    private var shards: [LedgerDigest]
    private(set) var root: LedgerDigest

    static let empty = LedgerContents(
        buckets: Array(repeating: .empty, count: ReplicationLimit.buckets))

    private init(buckets: [Bucket]) {
        self.buckets = buckets
        shards = Self.shards(over: buckets.map(\.hash))
        root = LedgerDigest(combining: shards)
    }

    var count: Int { buckets.reduce(0) { $0 + $1.count } }
    var byteCount: Int { buckets.reduce(0) { $0 + $1.bytes.count } }
    var bucketHashes: [LedgerDigest] { buckets.map(\.hash) }

    /// The root that a snapshot of these buckets must have.
    static func root(over bucketHashes: [LedgerDigest]) -> LedgerDigest {
        LedgerDigest(combining: shards(over: bucketHashes))
    }

    private static func shards(over bucketHashes: [LedgerDigest]) -> [LedgerDigest] {
        (0..<ReplicationLimit.shards).map { shard in
            let first = shard * ReplicationLimit.bucketsPerShard
            return LedgerDigest(
                combining: bucketHashes[first..<first + ReplicationLimit.bucketsPerShard])
        }
    }

    func value(of key: String) -> ArraySlice<UInt8>? {
        let bytes = Array(key.utf8)
        return buckets[Placement.bucket(of: bytes)].value(of: bytes)
    }

    /// - Parameter changes: in any order, keys unique.
    /// - Complexity: one pass over each bucket that is touched.
    mutating func apply(_ changes: [LedgerChange]) {
        let ordered = changes.map(PackedChange.init).sorted(by: PackedChange.inOrder)
        var rest = ordered[...]
        var touched: Set<Int> = []
        while let first = rest.first {
            let group = rest.prefix { $0.bucket == first.bucket }
            buckets[first.bucket] = buckets[first.bucket].applying(group)
            touched.insert(Placement.shard(ofBucket: first.bucket))
            rest = rest.dropFirst(group.count)
        }
        rehash(touched)
    }

    mutating func replace(_ replacements: [(index: Int, bucket: Bucket)]) {
        for (index, bucket) in replacements { buckets[index] = bucket }
        rehash(Set(replacements.map { Placement.shard(ofBucket: $0.index) }))
    }

    private mutating func rehash(_ touched: Set<Int>) {
        for shard in touched {
            let first = shard * ReplicationLimit.bucketsPerShard
            shards[shard] = LedgerDigest(
                combining: buckets[first..<first + ReplicationLimit.bucketsPerShard].lazy
                    .map(\.hash))
        }
        root = LedgerDigest(combining: shards)
    }
}

extension LedgerContents {
    /// Every record, bucket by bucket.
    var entries: [LedgerEntry] { buckets.flatMap { Array($0) } }
}
