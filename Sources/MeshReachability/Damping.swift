// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// The penalty of one cluster: raised by every unreachable verdict, halved every half-life (RFC 2439).
struct Damping: Sendable {
    private let parameters: DampingParameters
    private var penalty = 0.0
    private var asOf = Instant.zero
    private(set) var isSuppressed = false

    init(_ parameters: DampingParameters) { self.parameters = parameters }

    mutating func punish(at now: Instant) {
        let longest = parameters.maximum.seconds / parameters.halfLife.seconds
        let ceiling = parameters.reuse / Self.halved(longest)
        penalty = min(value(at: now) + parameters.penalty, ceiling)
        asOf = now
        if penalty >= parameters.suppress { isSuppressed = true }
    }

    /// - Returns: true when suppression has just ended.
    mutating func relent(at now: Instant) -> Bool {
        guard isSuppressed, value(at: now) <= parameters.reuse else { return false }
        isSuppressed = false
        return true
    }

    func value(at now: Instant) -> Double {
        penalty * Self.halved((now - asOf).seconds / parameters.halfLife.seconds)
    }

    /// 2^−x for x ≥ 0, by square roots, which IEEE 754 rounds alike on every machine; `exp2` isn't.
    private static func halved(_ x: Double) -> Double {
        guard x < 64 else { return 0 }
        var factor = 1.0
        for _ in 0..<Int(x) { factor /= 2 }
        var fraction = x - x.rounded(.down)
        var root = 0.5
        for _ in 0..<20 {
            root = root.squareRoot()
            fraction *= 2
            if fraction >= 1 {
                factor *= root
                fraction -= 1
            }
        }
        return factor
    }
}
