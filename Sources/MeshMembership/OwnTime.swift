// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// A call of the core: the clock of the shell, and time as this process has lived it.
struct Moment: Sendable {
    let now: Instant
    /// Of ``OwnTime``: what deadlines are judged by.
    let time: Instant
}

/// Time that stands still while this process is held up: it can't tell a silent peer from its own
/// deafness. A stopped process, a starved one and a clock that jumps ahead are the same to it.
struct OwnTime: Sendable {
    private let maximum: Duration
    private let settling: Duration
    private var lost = Duration.zero
    private var asked: Instant?
    private var latest = Instant.zero
    /// Of the call under way.
    var time: Instant { latest - lost }
    /// In own time: until then nobody is judged.
    private(set) var settledAt = Instant.zero

    init(_ parameters: MembershipParameters, flaws: Flaws) {
        let counts =
            parameters.refinements.contains(.ownLateness) && !flaws.contains(.latenessIgnored)
        maximum = counts ? parameters.latenessMaximum : .seconds(1 << 32)
        settling = parameters.settling
    }

    /// Called first whenever the process runs.
    /// - Returns: also how long it overslept, if longer than it may.
    mutating func enter(at clock: Instant) -> (moment: Moment, overslept: Duration?) {
        let now = max(clock, latest)
        latest = now
        guard let asked, now - asked > maximum else {
            return (Moment(now: now, time: now - lost), nil)
        }
        let overslept = now - asked
        lost += overslept
        self.asked = nil
        settledAt = now - lost + settling
        return (Moment(now: now, time: now - lost), overslept)
    }

    /// Called last, with the own time at which the process wants to run again.
    /// - Returns: the same by the clock; now, if that is past.
    mutating func ask(for wake: Instant?) -> Instant? {
        asked = wake.map { max($0 + lost, latest) }
        return asked
    }
}
