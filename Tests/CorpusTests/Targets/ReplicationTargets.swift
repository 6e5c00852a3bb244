// SPDX-License-Identifier: Apache-2.0

import MeshModel

@testable import MeshReplication

let replicationTargets: [FuzzTarget] = [
    FuzzTarget("ledger-message") {
        try FuzzHistory.shared.get().messages
    } check: {
        try checkMessage($0)
    },
    FuzzTarget("delegation", seeds: delegationSeeds, check: checkDelegation),
    FuzzTarget("shard-body", seeds: shardBodySeeds, check: checkShardBody),
    FuzzTarget("bucket", seeds: bucketSeeds, check: checkBucket),
    FuzzTarget("checkpoint", seeds: checkpointSeeds, check: checkCheckpoint),
    FuzzTarget("ledger-session", seeds: sessionSeeds) { bytes in
        var session = try FuzzSession(bytes)
        try session.run()
    },
]

// MARK: Messages

private func checkMessage(_ bytes: [UInt8]) throws {
    let message = try checkDecoding(of: bytes, .exact) { bytes throws(RejectionReason) in
        try Message(decoding: bytes)
    } encode: {
        $0.encoded
    }
    switch message {
    case .batch(let batch):
        // Nobody but the owner knows which bodies fit; whatever reads as changes fits its shard.
        for change in (try? batch.changes(in: batch.present)) ?? [] {
            let shard = Placement.shard(ofKey: change.key.utf8)
            try demand(batch.present.contains(shard: shard), "\(change.key) in \(batch.present)")
        }
    case .offer(let offer):
        for bucket in 0..<ReplicationLimit.buckets {
            let isOffered = offer.shards.contains(shard: Placement.shard(ofBucket: bucket))
            try demand((offer.hash(ofBucket: bucket) != nil) == isOffered, "bucket \(bucket)")
        }
    default: break
    }
}

@Sendable private func checkDelegation(_ bytes: [UInt8]) throws {
    let signed = try checkDecoding(of: bytes, .exact) { bytes throws(DecodingFault) in
        var reader = ByteReader(bytes)
        let delegation = try SignedDelegation(from: &reader)
        try reader.finish()
        return delegation
    } encode: {
        var writer = ByteWriter()
        $0.encode(into: &writer)
        return writer.bytes
    }
    guard let signed else { return }
    let owner = signed.delegation.owner
    let history = try FuzzHistory.shared.get()
    guard owner == history.honest else { return }
    let authority = try history.authority(of: owner)
    guard signed.isSigned(by: authority) else { return }
    let epoch = signed.delegation.epoch
    let honest = try FuzzHistory.delegation(of: owner, epoch: epoch)
    try demand(signed.delegation == honest.delegation, "nobody signed \(signed)")
}

@Sendable private func delegationSeeds() throws -> [[UInt8]] {
    var writer = ByteWriter()
    try FuzzHistory.delegation(of: try FuzzHistory.cluster(7), epoch: 1).encode(into: &writer)
    return [writer.bytes]
}

// MARK: Bodies and buckets

/// The first byte is the shard.
@Sendable private func checkShardBody(_ bytes: [UInt8]) throws {
    guard let first = bytes.first else { return }
    let shard = Int(first) % ReplicationLimit.shards
    let changes = try checkDecoding(of: Array(bytes.dropFirst()), .exact) {
        bytes throws(DecodingFault) in
        try ShardBody.decode(bytes, shard: shard)
    } encode: {
        ShardBody.encode($0)
    }
    guard let changes else { return }
    var contents = LedgerContents.empty
    contents.apply(changes)
    for change in changes {
        try demand(contents.value(of: change.key).map(Array.init) == change.value, change.key)
    }
    let puts = changes.filter { $0.value != nil }
    try demand(contents.entries.count == puts.count, "\(puts.count) records, not as many kept")
}

@Sendable private func shardBodySeeds() throws -> [[UInt8]] {
    let history = try FuzzHistory.shared.get()
    return history.messages.flatMap { bytes -> [[UInt8]] in
        guard case .batch(let batch)? = try? Message(decoding: bytes) else { return [] }
        return batch.bodies.map { [UInt8($0.shard)] + $0.bytes }
    }
}

/// The first byte is the bucket.
@Sendable private func checkBucket(_ bytes: [UInt8]) throws {
    guard let first = bytes.first else { return }
    let index = Int(first)
    let packed = Array(bytes.dropFirst())
    let bucket: Bucket
    do throws(DecodingFault) {
        bucket = try Bucket(validating: packed, index: index)
    } catch {
        return
    }
    let entries = Array(bucket)
    try demand(bucket.bytes == packed && entries.count == bucket.count, "bytes are lost")
    var contents = LedgerContents.empty
    contents.apply(entries.map { LedgerChange(key: $0.key, value: $0.value) })
    try demand(contents.buckets[index].bytes == packed, "put together again, they are others")
    for entry in entries {
        try demand(
            bucket.value(of: Array(entry.key.utf8)).map(Array.init) == entry.value, entry.key)
    }
    try demand(bucket.changes(to: bucket).isEmpty, "it differs from itself")
    let puts = Bucket.empty.changes(to: bucket)
    try demand(puts.compactMap(\.value) == entries.map(\.value), "not all is new")
    contents.apply(entries.map { LedgerChange(key: $0.key, value: nil) })
    try demand(contents.root == LedgerContents.empty.root, "something is left")
}

@Sendable private func bucketSeeds() throws -> [[UInt8]] {
    let history = try FuzzHistory.shared.get()
    return history.replicas.flatMap { replica in
        replica.contents.buckets.enumerated().filter { $1.count > 0 }.map { index, bucket in
            [UInt8(index)] + bucket.bytes
        }
    }
}

// MARK: Checkpoints

/// A header, and any number of buckets: each with a 16-bit length, buckets behind their index.
@Sendable private func checkCheckpoint(_ bytes: [UInt8]) throws {
    let history = try FuzzHistory.shared.get()
    var reader = ByteReader(bytes)
    let header: [UInt8]
    var buckets: [ReplicaCheckpoint.Bucket] = []
    do throws(DecodingFault) {
        header = Array(try reader.read(raw: Int(try reader.read(UInt16.self))))
        while !reader.isAtEnd {
            let index = try reader.read(UInt8.self)
            let count = Int(try reader.read(UInt16.self))
            buckets.append(.init(index: index, bytes: Array(try reader.read(raw: count))))
        }
    } catch {
        return
    }
    var replica = Replica(
        owner: history.honest, authority: try history.authority(of: history.honest))
    do throws(RestoreFault) {
        try replica.restore(header: header, buckets: buckets, log: [])
    } catch {
        return
    }
    guard let state = history.states[replica.head]
    else { throw BrokenProperty("\(replica.head) was never signed") }
    try demand(replica.contents.root == state.root, "\(replica.position) is another state")
    for entry in replica.entries {
        try demand(
            state.value(of: entry.key).map(Array.init) == entry.value, "\(entry.key) is forged")
    }
}

@Sendable private func checkpointSeeds() throws -> [[UInt8]] {
    try FuzzHistory.shared.get().replicas.compactMap { replica in
        var replica = replica
        guard let checkpoint = replica.takeCheckpoint(whole: true) else { return nil }
        var writer = ByteWriter()
        writer.write(UInt16(checkpoint.header.count))
        writer.write(raw: checkpoint.header)
        for bucket in checkpoint.buckets {
            writer.write(bucket.index)
            writer.write(UInt16(bucket.bytes.count))
            writer.write(raw: bucket.bytes)
        }
        return writer.bytes
    }
}

// MARK: Sessions

/// All that is true, in its order, over one link; a liar's snapshots and batches; a batch altered
/// where only others look; then a little of each other step.
@Sendable private func sessionSeeds() throws -> [[UInt8]] {
    let history = try FuzzHistory.shared.get()
    let truth: [UInt8] = (0..<UInt8(clamping: history.messages.count)).flatMap { [0, $0, 0] }
    // At each of the positions that FuzzSession.lie() chooses from.
    let lies: [[UInt8]] = (0..<UInt8(64)).map { place in
        let offer: [UInt8] = [9, 2, 1, 2, place, 1, 0, 0, 0, 255]
        let batch: [UInt8] = [7, place / 8 + 16, 0, 1, 3, 1, 0, 0, 0]
        return batch + offer + batch
    }
    let end = UInt16(clamping: history.messages[0].count - 1)
    let altered: [UInt8] =
        [14, 0, 0, 1] + [0, UInt8(clamping: history.newcomer), 1]
        + [2, 0, 0, 1, UInt8(end >> 8), UInt8(truncatingIfNeeded: end), 0, 1]
    let steps: [[UInt8]] = (2..<18).map { step in [0, 0, 0, step, 1, 2, 3, 4, 5, 6, 7, 8] }
    return [truth, altered] + lies + steps
}
