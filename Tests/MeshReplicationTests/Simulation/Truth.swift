// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshSimulation

@testable import MeshReplication

typealias Records = [String: [UInt8]]

/// What owners really signed, and when it was told: replicas are compared with it.
struct Truth {
    private struct Revision {
        let records: Records
        let contents: LedgerContents
        /// The header before, in the same epoch.
        let parent: LedgerDigest?
    }

    private var revisions: [LedgerDigest: Revision] = [:]
    /// When each head was first told to anybody, in the order of their positions.
    private var told: [ClusterID: [(position: Position, instant: Instant)]] = [:]

    func records(at head: LedgerHead) -> Records? {
        head == .origin ? [:] : revisions[head.hash]?.records
    }

    /// Whether `replica` holds what it should; nil if nobody signed its head.
    func agrees(with replica: Replica) -> Bool? {
        guard replica.head != .origin else { return replica.count == 0 }
        guard let contents = revisions[replica.head.hash]?.contents else { return nil }
        return (0..<ReplicationLimit.buckets).allSatisfy { bucket in
            let isHeld = replica.held.contains(shard: Placement.shard(ofBucket: bucket))
            return replica.contents.buckets[bucket].bytes
                == (isHeld ? contents.buckets[bucket].bytes : [])
        }
    }

    /// An owner signed `batch` over `before`.
    mutating func note(_ batch: Batch, over before: LedgerHead) throws(RejectionReason) {
        var records = records(at: before) ?? [:]
        for change in try batch.changes() { records[change.key] = change.value }
        var contents = LedgerContents.empty
        contents.apply(records.map { LedgerChange(key: $0.key, value: $0.value) })
        revisions[batch.signed.hash] = Revision(
            records: records, contents: contents,
            parent: batch.signed.header.opensEpoch ? nil : before.hash)
    }

    mutating func tell(_ head: LedgerHead, of owner: ClusterID, at now: Instant) {
        guard head.position > told[owner]?.last?.position ?? .origin else { return }
        told[owner, default: []].append((head.position, now))
    }

    /// Since when `position` has not been the newest that was told; nil if it is.
    func outdated(_ position: Position, of owner: ClusterID) -> Instant? {
        told[owner]?.first { $0.position > position }?.instant
    }

    /// Whether `later` follows from `earlier` in one epoch.
    func isDescendant(_ later: LedgerHead, of earlier: LedgerHead) -> Bool {
        var hash = later.hash
        while hash != earlier.hash {
            guard let parent = revisions[hash]?.parent else { return false }
            hash = parent
        }
        return true
    }
}

extension Records {
    /// What a replica holds of it.
    func restricted(to shards: ShardSet) -> Records {
        shards == .all
            ? self : filter { shards.contains(shard: Placement.shard(ofKey: $0.key.utf8)) }
    }
}
