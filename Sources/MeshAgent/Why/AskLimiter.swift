// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// How often each node may ask: ``burst`` times at once, and once more each ``interval``.
struct AskLimiter: Sendable {
    static let burst = 16
    static let interval = Duration.milliseconds(250)
    /// Above it, nodes that may ask as they like are forgotten.
    static let nodesMaximum = 8192

    /// The time up to which each node's asks are spent.
    private var spentUntil: [NodeID: Instant] = [:]

    /// Nodes that it remembers.
    var count: Int { spentUntil.count }

    /// Whether a node may ask now; a question that may be asked is counted, another one isn't.
    mutating func admits(_ node: NodeID, at now: Instant) -> Bool {
        let until = max(spentUntil[node] ?? now, now)
        guard until - now <= Self.interval * (Self.burst - 1) else { return false }
        if spentUntil.count >= Self.nodesMaximum { spentUntil = spentUntil.filter { $1 > now } }
        spentUntil[node] = until + Self.interval
        return true
    }
}
