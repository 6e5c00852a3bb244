// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// Whether this process runs when it asked to. One that was held up can't tell a silent peer from
/// its own deafness: the time it slept is no evidence (Lifeguard's self-awareness, arXiv:1707.00788).
struct Punctuality: Sendable {
    private let maximum: Duration
    private let recovery: Duration
    private var asked: Instant?
    private var doubtfulUntil: Instant?

    init(_ parameters: ReachabilityParameters) {
        maximum = parameters.latenessMaximum
        recovery = parameters.punctualFor
    }

    var isDoubtful: Bool { doubtfulUntil != nil }
    /// When doubt ends if every wake until then is in time.
    var nextWake: Instant? { doubtfulUntil }

    /// Called first whenever the process runs.
    /// - Returns: how long it overslept, if longer than it may.
    mutating func wake(at now: Instant) -> Duration? {
        if let asked, now - asked > maximum {
            doubtfulUntil = now + recovery
            return now - asked
        }
        if let until = doubtfulUntil, now >= until { doubtfulUntil = nil }
        return nil
    }

    /// Called last, with the time the process wants to run again.
    mutating func ask(for wake: Instant?) { asked = wake }
}
