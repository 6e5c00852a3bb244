// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// What is held of one name of the roster, oneself (slot 0) included.
struct Member: Sendable {
    let name: String
    let nameHash: UInt64
    /// In own time.
    let addedAt: Instant
    var state = MemberState.unknown
    var incarnation: UInt32 = 0
    /// By the clock, like `heardAt`.
    var since: Instant
    var heardAt: Instant?
    /// By its own last word.
    var workload: Workload?
    var accusers: [String] = []
    /// In own time: when the present suspicion began, and when it was last told of what is held.
    var suspectedAt = Instant.zero
    var remindedAt: Instant?
    /// Its last datagram was of a lower incarnation than is held: it doesn't know of its last life.
    var isBehind = false
    /// Of the one timer it has, 0 for none: a suspect's end, or the end of gossip to a dead one.
    var timer: UInt64 = 0

    init(_ name: String, at moment: Moment) {
        self.name = name
        addedAt = moment.time
        since = moment.now
        nameHash = FNV1a(name.utf8).value
    }

    var isGone: Bool { state >= .dead }
    var isLiving: Bool { state == .alive || state == .suspect }

    /// With as many accusers as fit, which of names of a usual length are all.
    var statement: Statement {
        var told = Statement(name: name, state: state, incarnation: incarnation, accusers: accusers)
        while told.encodedCount > MembershipParameters.Limit.statement {
            told.accusers.removeLast()
        }
        return told
    }

    var status: MemberStatus {
        MemberStatus(
            name: name, state: state, incarnation: incarnation, since: since, heardAt: heardAt,
            accusers: accusers, workload: workload)
    }

    /// Changes with all that others should agree on.
    var digest: UInt64 {
        Dice.mix(nameHash ^ UInt64(incarnation) << 8 ^ UInt64(state.rawValue))
    }
}

/// A deadline of a member; void if the member has a later one.
struct Timer: Comparable, Sendable {
    let time: Instant
    let slot: Int
    let serial: UInt64

    static func < (left: Timer, right: Timer) -> Bool {
        (left.time, left.serial) < (right.time, right.serial)
    }
}
