// SPDX-License-Identifier: Apache-2.0

import MeshLease

/// A store without faults of its own: those are the network's.
struct MemoryStore {
    private(set) var state: LeaseState?
    private var writes = 0
    /// Planted: swaps succeed whatever the version.
    var isUnconditional = false

    mutating func answer(_ request: LeaseCall.Request) -> LeaseAnswer {
        switch request {
        case .read: return .read(state)
        case .swap(let record, let version):
            guard isUnconditional || state?.version == version else {
                return .swap(.conflict(state))
            }
            writes += 1
            let written = LeaseVersion(rawValue: "v\(writes)")
            state = LeaseState(record: record, version: written)
            return .swap(.swapped(written))
        }
    }

    mutating func delete() { state = nil }
}
