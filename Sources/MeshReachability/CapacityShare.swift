// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// The part of one cluster's weight that follows its capacity: 0.1...1, falling at once, rising slowly.
///
/// The law alone would swing: a weight's effect shows late. So a step goes only as far as where the load
/// would come to rest if it followed at once, and each turn of direction halves the stride.
struct CapacityShare: Sendable {
    private let parameters: CapacityParameters
    private(set) var value: Double
    private var steppedAt: Instant
    private var isFalling: Bool?
    private var stride = 1.0
    private var turnedAt = Instant.zero
    private var risesFrom = Instant.zero

    init(_ value: Double = 1, at now: Instant, _ parameters: CapacityParameters) {
        self.parameters = parameters
        self.value = parameters.clamp(value)
        steppedAt = now
    }

    /// One step after what is heard, if one is due. Nil, a cluster that doesn't say, goes to full weight.
    mutating func follow(_ workload: Workload?, at now: Instant) {
        guard now - steppedAt >= parameters.interval else { return }
        let use = workload?.share ?? 0
        let target = parameters.target(use: use)
        // What the law wants in full is given in full, in the end.
        let isWanted = target == 1 ? value < 1 : abs(target - value) >= parameters.deadBand
        guard isWanted, target < value || now >= risesFrom else { return }
        turn(toFall: target < value, at: now)
        var step = parameters.rest(from: value, use: use) - value
        step = min(step, pace) * stride
        value = parameters.clamp(value + step)
        if target == 1, value > 0.98 { value = 1 }
        steppedAt = now
    }

    /// While the cluster takes nothing anyway: as the law has it, at once.
    mutating func reset(to workload: Workload?, at now: Instant) {
        self = CapacityShare(
            parameters.target(use: workload?.share ?? 0), at: now, parameters)
    }

    /// Another cluster has left.
    /// - Parameter factor: 0...1; 1 for the one that can take most.
    mutating func yield(_ factor: Double, at now: Instant) {
        value = parameters.clamp(value * factor)
        steppedAt = now
        risesFrom = now + parameters.rise
    }

    /// The longest rise in one interval.
    private var pace: Double {
        (1 - parameters.floor) * parameters.interval.seconds / parameters.rise.seconds
    }

    private mutating func turn(toFall falls: Bool, at now: Instant) {
        if now - turnedAt > parameters.calm { stride = 1 }
        if let isFalling, isFalling != falls {
            stride = max(stride / 2, parameters.strideMinimum)
            turnedAt = now
        }
        isFalling = falls
    }
}
