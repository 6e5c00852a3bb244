// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// Some of an owner's 16 shards: what a replica holds, and what it wants. Bit 0 is shard 0.
public struct ShardSet: OptionSet, Hashable, Sendable {
    public let rawValue: UInt16

    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let all = ShardSet(rawValue: .max)
    /// Nodes, identities, namespaces, and every kind that is named nowhere else: few and vital.
    public static let base = ShardSet(shard: Placement.baseShard)
    public static let endpoints = ShardSet(Placement.endpointShards)

    /// Services and slices of one namespace; about a seventh of all.
    public static func services(ofNamespace namespace: String) -> ShardSet {
        ShardSet(shard: Placement.serviceShard(ofNamespace: namespace.utf8))
    }

    init(shard: Int) { rawValue = 1 << UInt16(shard) }

    init(_ shards: some Sequence<Int>) {
        rawValue = shards.reduce(0) { $0 | 1 << UInt16($1) }
    }

    func contains(shard: Int) -> Bool { rawValue >> UInt16(shard) & 1 == 1 }

    /// Ascending.
    var shards: [Int] { (0..<ReplicationLimit.shards).filter(contains(shard:)) }
}

/// Where a key belongs: 0...255, of which the high four bits are its shard.
///
/// Shards follow kinds, so that a reader can leave out what it has no use for: one for what is few,
/// seven for services and slices by namespace, eight for endpoints, the many, by key.
enum Placement {
    static let baseShard = 0
    static let serviceShards = 1...7
    static let endpointShards = 8...15

    private static let endpoint = FNV1a("endpoint".utf8)
    private static let service = FNV1a("service".utf8)
    private static let slice = FNV1a("slice".utf8)

    static func bucket(of key: some Collection<UInt8>) -> Int {
        var (kind, namespace) = (FNV1a(), FNV1a())
        var slashes = 0
        for byte in key {
            if byte == UInt8(ascii: "/") {
                slashes += 1
            } else if slashes == 0 {
                kind.combine(byte)
            } else if slashes == 1 {
                namespace.combine(byte)
            }
        }
        let hash = RecordHash(of: key)
        switch kind {
        case Self.endpoint: return bucket(ofEndpoint: hash)
        case Self.service, Self.slice: return bucket(hash, inShard: serviceShard(namespace))
        default: return bucket(hash, inShard: baseShard)
        }
    }

    static func bucket(ofEndpoint hash: RecordHash) -> Int {
        bucket(hash, inShard: endpointShards.lowerBound + Int(hash.rawValue & 7))
    }

    private static func bucket(_ hash: RecordHash, inShard shard: Int) -> Int {
        shard * ReplicationLimit.bucketsPerShard + Int(hash.rawValue >> 8 & 15)
    }

    static func shard(ofBucket bucket: Int) -> Int { bucket / ReplicationLimit.bucketsPerShard }

    static func shard(ofKey key: some Collection<UInt8>) -> Int { shard(ofBucket: bucket(of: key)) }

    static func serviceShard(ofNamespace namespace: some Sequence<UInt8>) -> Int {
        serviceShard(FNV1a(namespace))
    }

    private static func serviceShard(_ namespace: FNV1a) -> Int {
        serviceShards.lowerBound + Int(namespace.folded % UInt64(serviceShards.count))
    }

    static func buckets(ofShard shard: Int) -> Range<Int> {
        let first = shard * ReplicationLimit.bucketsPerShard
        return first..<first + ReplicationLimit.bucketsPerShard
    }
}
