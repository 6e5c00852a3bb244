// SPDX-License-Identifier: Apache-2.0

import MeshModel

@testable import MeshReplication

/// What a journal holds, and what is written to it: the shape of the real one.
struct StoredLedgers {
    struct Stored {
        var header: [UInt8] = []
        var position = Position.origin
        var buckets: [UInt8: [UInt8]] = [:]
        var log: [(position: Position, message: [UInt8])] = []
    }

    enum Transaction {
        case append(ClusterID, Position, [UInt8])
        case checkpoint(ReplicaCheckpoint)
        /// How old a picture was at a real time.
        case age(ClusterID, Duration, at: Instant)
    }

    private(set) var owners: [ClusterID: Stored] = [:]
    private(set) var ages: [ClusterID: (age: Duration, instant: Instant)] = [:]

    mutating func apply(_ transaction: Transaction) {
        switch transaction {
        case .append(let owner, let position, let message):
            owners[owner, default: Stored()].log.append((position, message))
        case .checkpoint(let checkpoint):
            var stored = owners[checkpoint.owner] ?? Stored()
            stored.header = checkpoint.header
            stored.position = checkpoint.position
            if checkpoint.isWhole { stored.buckets = [:] }
            for bucket in checkpoint.buckets { stored.buckets[bucket.index] = bucket.bytes }
            stored.log.removeAll { $0.position <= checkpoint.position }
            owners[checkpoint.owner] = stored
        case .age(let owner, let age, let instant): ages[owner] = (age, instant)
        }
    }
}
