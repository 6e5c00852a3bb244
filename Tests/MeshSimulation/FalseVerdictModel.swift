// SPDX-License-Identifier: Apache-2.0

import MeshModel
public import MeshReachability

/// How often independent loss alone makes one cluster give up another, computed.
///
/// Paths beat at random phases. The beats that a path misses in a row are geometric: k with
/// (1 − p) pᵏ; so are those of mine that its peer doesn't echo, of which one more may be missing.
/// The paths are independent, so the rate at which the rule of ``VerdictEngine`` comes to hold is the
/// sum over all ways in which one more lost beat of one path makes it hold. To the leading order:
///
/// | paths | per day | at 3 % |
/// |---|---|---|
/// | 1, every 100 ms, 6 missed | 864,000 p⁶ | 6.3e-4 |
/// | 2, every 200 ms, 3 missed each | 2 · 432,000 p⁶ | 6.3e-4 |
/// | 3, every 200 ms, 3 missed on two, 7 in all | 21 · 432,000 p⁷ | 2.0e-4 |
///
/// 21: of (3, 3, 1) in three orders each of the three losses may be the last, of (4, 3, 0) in six
/// orders each of two.
///
/// It is above what the cores do: a peer whose echo says that its beats are lost sends more of them, and
/// a verdict waits until another cluster was heard.
public struct FalseVerdictModel: Sendable {
    /// Beyond this, p^k is below what a `Double` adds.
    private static let longest = 14

    private let paths: Int
    private let needed: Int
    private let down: Int
    private let beatsPerDay: Double
    /// Of the time, a beat is due and neither here nor counted as missing yet.
    private let pendingShare: Double

    /// - Parameter paths: 1...3 between two clusters.
    public init(paths: Int, _ parameters: ReachabilityParameters = .default) {
        let interval = paths == 1 ? parameters.intervalSinglePath : parameters.intervalInUse
        self.paths = paths
        needed =
            paths >= 3
            ? parameters.missedUntilUnreachableOfMany : parameters.missedUntilUnreachable
        down = parameters.missedUntilPathDown
        beatsPerDay = 86_400 / interval.seconds
        pendingShare = parameters.marginMinimum.seconds / interval.seconds
    }

    /// False hard verdicts a day that one cluster takes of one other.
    ///
    /// - Parameter loss: of each beat by itself, 0...1.
    public func perDay(loss: Double) -> Double {
        let others = standings(loss)
        return Double(paths) * beatsPerDay
            * steps(loss).reduce(0) { sum, step in
                sum + step.chance * share(of: others, from: step.before, to: step.after, [])
            }
    }

    private func isGone(_ missed: [Int]) -> Bool {
        missed.count { $0 >= down } >= paths / 2 + 1 && missed.reduce(0, +) >= needed
    }

    /// The share of all that the other paths may miss, with which the step makes the rule hold.
    private func share(
        of others: [Double], from before: Int, to after: Int, _ chosen: [Int]
    ) -> Double {
        guard chosen.count < paths - 1 else {
            return !isGone(chosen + [before]) && isGone(chosen + [after]) ? 1 : 0
        }
        return others.enumerated().reduce(0) { sum, other in
            sum + other.element
                * share(of: others, from: before, to: after, chosen + [other.offset])
        }
    }

    private func geometric(_ loss: Double) -> [Double] {
        var chance = 1 - loss
        return (0..<Self.longest).map { _ in
            defer { chance *= loss }
            return chance
        }
    }

    /// How probable it is that another path misses 0, 1, ... at the moment of a step.
    private func standings(_ loss: Double) -> [Double] {
        let geometric = geometric(loss)
        var chances = Array(repeating: 0.0, count: Self.longest)
        for (inbound, first) in geometric.enumerated() {
            for (outbound, second) in geometric.enumerated() {
                chances[max(inbound, outbound - 1)] += first * second
            }
        }
        return chances.enumerated().map { missed, chance in
            let arrived = missed == 0 ? 1 - loss : 0
            return (1 - pendingShare) * chance + pendingShare * (arrived + loss * chance)
        }
    }

    private struct Step {
        let before: Int
        let after: Int
        let chance: Double
    }

    /// What one due beat does to what its path misses.
    private func steps(_ loss: Double) -> [Step] {
        let geometric = geometric(loss)
        var steps: [Step] = []
        for (inbound, first) in geometric.enumerated() {
            for (outbound, second) in geometric.enumerated() {
                let before = max(inbound, outbound - 1)
                func add(_ after: Int, _ chance: Double) {
                    guard after > before else { return }
                    let chance = first * second * chance
                    steps.append(Step(before: before, after: after, chance: chance))
                }
                add(max(inbound + 1, outbound - 1), loss)
                // It arrives, and tells what became of mine since the one before it.
                var lost = 1 - loss
                for _ in 0...inbound { lost *= loss }
                add(outbound + inbound, lost)
            }
        }
        return steps
    }
}
