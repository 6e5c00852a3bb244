// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// How often each node may ask: ``burst`` times at once, and ``perSecond`` times a second.
struct AskLimiter: Sendable {
    static let burst = 16.0
    static let perSecond = 4.0
    /// Above it, nodes that may ask as they like are forgotten.
    static let nodesMaximum = 8192

    private struct Allowance {
        var asks: Double
        var at: Instant

        mutating func refill(at now: Instant) {
            asks = min(burst, asks + max(0, (now - at).seconds) * perSecond)
            at = now
        }
    }

    private var allowances: [NodeID: Allowance] = [:]

    /// Nodes that it remembers.
    var count: Int { allowances.count }

    /// Whether a node may ask now; a question that may be asked is counted, another one isn't.
    mutating func admits(_ node: NodeID, at now: Instant) -> Bool {
        var allowance = allowances[node] ?? Allowance(asks: Self.burst, at: now)
        allowance.refill(at: now)
        defer { allowances[node] = allowance }
        guard allowance.asks >= 1 else { return false }
        allowance.asks -= 1
        if allowances.count >= Self.nodesMaximum { forgetIdle(at: now) }
        return true
    }

    private mutating func forgetIdle(at now: Instant) {
        allowances = allowances.filter { _, allowance in
            var allowance = allowance
            allowance.refill(at: now)
            return allowance.asks < Self.burst
        }
    }
}
