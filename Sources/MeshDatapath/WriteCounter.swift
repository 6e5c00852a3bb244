// SPDX-License-Identifier: Apache-2.0

internal import Synchronization

/// What the maps have been changed by so far: elements written or deleted by system calls, and
/// stores to shared memory, by name of the map.
public struct WriteCounts: Hashable, Sendable {
    public internal(set) var byMap: [String: Int] = [:]

    public var total: Int { byMap.values.reduce(0, +) }

    /// What was written after `earlier`; maps without a write are left out.
    public func since(_ earlier: WriteCounts) -> WriteCounts {
        WriteCounts(
            byMap: byMap.compactMapValues { $0 }.reduce(into: [:]) { result, entry in
                let count = entry.value - earlier.byMap[entry.key, default: 0]
                if count > 0 { result[entry.key] = count }
            })
    }
}

final class WriteCounter: Sendable {
    private let state = Mutex(WriteCounts())

    func add(_ count: Int = 1, to map: String) {
        state.withLock { $0.byMap[map, default: 0] += count }
    }

    var counts: WriteCounts { state.withLock { $0 } }
}
