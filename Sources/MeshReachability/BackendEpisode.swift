// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// Failures of one backend since something there last answered.
struct BackendEpisode: Sendable {
    let first: Instant
    var last: Instant
    var lastFailure: BackendFailure
    /// Where it was at its last failure.
    var node: NodeID?
    var interface: UInt32
    var openings = 0
    var silent = 0
    var refused = 0
    var unreachable = 0
    /// It was told that a bound kept it out of quarantine.
    var isSpared = false

    var failures: Int { silent + refused + unreachable }

    func suffices(_ parameters: BackendHealthParameters) -> Bool {
        openings >= parameters.openingsUntilQuarantine
            && silent * parameters.silencePoints
                + (refused + unreachable) * parameters.refusalPoints
                >= parameters.pointsUntilQuarantine
    }
}

extension BackendEpisode {
    /// What became of `episode` between two readings of the kernel's counters; nil if none is open.
    ///
    /// An answer ends it. Of failures before and after an answer only the last is known to be after.
    /// What was taken back, because a policy denied it, is no failure; of which kind the others were,
    /// and when, isn't known again.
    static func following(
        _ episode: BackendEpisode?, _ before: BackendEvidence?, _ now: BackendEvidence
    ) -> BackendEpisode? {
        let change = Change(before, now)
        if change.answered > 0 {
            let fails = now.lastFailure > now.answered.last && change.retractedOpenings == 0
            return fails ? BackendEpisode(lastOf: now) : nil
        }
        guard change.failures > 0 || change.retractedOpenings > 0 else { return episode }
        guard episode != nil || change.failures > change.retracted else { return nil }
        var episode = episode ?? BackendEpisode(firstOf: now, change)
        episode.last = now.lastFailure
        episode.lastFailure = now.lastKind
        episode.node = now.node
        episode.interface = now.interface
        episode.openings += change.openings - change.retractedOpenings
        episode.silent = max(0, episode.silent + change.silent - change.retracted)
        episode.refused += change.refused
        episode.unreachable += change.unreachable
        return episode.openings > 0 && episode.failures > 0 ? episode : nil
    }

    private init(firstOf evidence: BackendEvidence, _ change: Change) {
        let times = [
            change.silent > 0 ? evidence.silent.last : nil,
            change.refused > 0 ? evidence.refused.last : nil,
            change.unreachable > 0 ? evidence.unreachable.last : nil,
        ]
        first = times.compactMap { $0 }.min() ?? evidence.lastFailure
        last = evidence.lastFailure
        lastFailure = evidence.lastKind
        node = evidence.node
        interface = evidence.interface
    }

    private init(lastOf evidence: BackendEvidence) {
        first = evidence.lastFailure
        last = evidence.lastFailure
        lastFailure = evidence.lastKind
        node = evidence.node
        interface = evidence.interface
        openings = 1
        switch lastFailure {
        case .silent: silent = 1
        case .refused: refused = 1
        case .unreachable: unreachable = 1
        }
    }

    /// How far the counters went; from zero if the entry is new or was begun anew.
    private struct Change {
        let answered: Int
        let openings: Int
        let silent: Int
        let refused: Int
        let unreachable: Int
        let retractedOpenings: Int
        let retracted: Int

        var failures: Int { silent + refused + unreachable }

        init(_ before: BackendEvidence?, _ now: BackendEvidence) {
            func step(_ path: KeyPath<BackendEvidence, UInt32>) -> Int {
                // Below half of the range: a reading that is behind is of an entry made anew.
                let step = now[keyPath: path] &- (before?[keyPath: path] ?? 0)
                return Int(step <= UInt32(Int32.max) ? step : now[keyPath: path])
            }
            answered = step(\.answered.count)
            openings = step(\.failedOpenings)
            silent = step(\.silent.count)
            refused = step(\.refused.count)
            unreachable = step(\.unreachable.count)
            retractedOpenings = step(\.retractedOpenings)
            retracted = step(\.retracted)
        }
    }
}

extension BackendEvidence {
    /// When something there, be it its node's policies, last sent a packet of its own.
    var lastSign: Instant { max(answered.last, refused.last, denied) }

    var lastKind: BackendFailure {
        if lastFailure == refused.last { return .refused }
        return lastFailure == unreachable.last ? .unreachable : .silent
    }
}
