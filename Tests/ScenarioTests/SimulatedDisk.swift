// SPDX-License-Identifier: Apache-2.0

import MeshLease
import MeshModel
import MeshReplication

@testable import MeshAgent

/// What a node wrote down of ledgers, in memory; every write is durable at once.
struct SimulatedDisk {
    private struct Stored {
        var header: [UInt8] = []
        var buckets: [UInt8: [UInt8]] = [:]
        var log: [[UInt8]] = []
    }

    private var ledgers: [ClusterID: Stored] = [:]

    mutating func append(_ owner: ClusterID, _ message: [UInt8]) {
        ledgers[owner, default: Stored()].log.append(message)
    }

    mutating func save(_ checkpoint: ReplicaCheckpoint) {
        var stored = ledgers[checkpoint.owner] ?? Stored()
        if checkpoint.isWhole { stored.buckets = [:] }
        for bucket in checkpoint.buckets { stored.buckets[bucket.index] = bucket.bytes }
        stored.header = checkpoint.header
        stored.log = []
        ledgers[checkpoint.owner] = stored
    }

    mutating func forget(_ owner: ClusterID) { ledgers[owner] = nil }

    var contents: [StoredLedger] {
        ledgers.sorted { $0.key < $1.key }.map { owner, stored in
            StoredLedger(
                owner: owner, header: stored.header,
                buckets: stored.buckets.sorted { $0.key < $1.key }.map {
                    .init(index: $0.key, bytes: $0.value)
                }, messages: stored.log)
        }
    }
}

/// Where a cluster's candidates keep their lease: answers at once, unless it is out of reach.
final class SimulatedLease {
    private var state: LeaseState?
    private var writes = 0
    var isReachable = true

    func answer(_ request: LeaseCall.Request) -> LeaseAnswer {
        guard isReachable else {
            return .failed(LeaseStoreError(.unavailable, "out of reach"))
        }
        switch request {
        case .read: return .read(state)
        case .swap(let record, let version):
            guard state?.version == version else { return .swap(.conflict(state)) }
            writes += 1
            let next = LeaseVersion(rawValue: String(writes))
            state = LeaseState(record: record, version: next)
            return .swap(.swapped(next))
        }
    }

    func lose() { state = nil }

    var copy: SimulatedLease {
        let copy = SimulatedLease()
        copy.state = state
        copy.writes = writes
        return copy
    }
}
