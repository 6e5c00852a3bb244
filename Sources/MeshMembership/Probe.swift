// SPDX-License-Identifier: Apache-2.0

import MeshModel
import OrderedCollections

/// The probe under way: a ping, then a second one and those of helpers, until the period ends.
struct Probe: Sendable {
    let slot: Int
    let sequence: UInt32
    let sentAt: Instant
    let timeout: Duration
    let end: Instant
    var helpers: [String] = []
    /// Helpers that got no ack, either.
    var deniers: [String] = []
    var isIndirect = false

    /// When its next step is due if no ack comes.
    func due(early: Bool) -> Instant {
        guard isIndirect else { return min(sentAt + timeout, end) }
        let isDenied = early && !helpers.isEmpty && deniers.count >= helpers.count
        return isDenied ? min(sentAt + timeout * 2, end) : end
    }
}

/// Pings sent for others, by the number they were sent under.
struct Errands: Sendable {
    struct Errand: Sendable {
        let asker: String
        let askedAs: UInt32
        let target: String
        /// Nil once it is said.
        var nackAt: Instant?
        /// An ack is passed on until then.
        let endsAt: Instant
    }

    private var list: OrderedDictionary<UInt32, Errand> = [:]

    var count: Int { list.count }

    /// - Returns: false if too many are under way.
    mutating func add(_ errand: Errand, as sequence: UInt32) -> Bool {
        guard list.count < MembershipParameters.Limit.errands,
            list.values.count(where: { $0.asker == errand.asker })
                < MembershipParameters.Limit.errandsPerMember
        else { return false }
        list[sequence] = errand
        return true
    }

    /// Ends the errand that this ack belongs to.
    mutating func acknowledge(_ sequence: UInt32, from name: String) -> Errand? {
        guard list[sequence]?.target == name else { return nil }
        return list.removeValue(forKey: sequence)
    }

    /// Those to be denied now; ended ones are dropped.
    mutating func due(at time: Instant) -> [Errand] {
        guard !list.isEmpty else { return [] }
        var denied: [Errand] = []
        for index in list.values.indices {
            guard let nackAt = list.values[index].nackAt, nackAt <= time else { continue }
            list.values[index].nackAt = nil
            denied.append(list.values[index])
        }
        list.removeAll { $0.value.endsAt <= time }
        return denied
    }

    var nextWake: Instant? { list.values.map { $0.nackAt ?? $0.endsAt }.min() }
}
