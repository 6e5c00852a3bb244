// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// Lets one line a minute through for each peer.
struct RefusalLog {
    static let interval = Duration.seconds(60)
    static let peersMaximum = 1_024

    private var last: [String: Instant] = [:]

    /// Strangers choose the names: when the table is full of recent ones, new ones aren't logged.
    mutating func admits(_ peer: String, at now: Instant) -> Bool {
        if let previous = last[peer], now - previous < Self.interval { return false }
        if last.count >= Self.peersMaximum {
            last = last.filter { now - $0.value < Self.interval }
            guard last.count < Self.peersMaximum else { return false }
        }
        last[peer] = now
        return true
    }
}
