// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// One cluster as a roster knows it: announcements that are linked by signatures, and what others say
/// of them. Two claims of one name are two clusters that want the same name.
struct RosterClaim: Hashable, Sendable, Codable {
    static let historyMaximum = 7

    /// The newest: its roots, its addresses.
    var announcement: SignedAnnouncement
    /// Older ones, ascending: what was said of them counts here.
    var history: [SignedAnnouncement] = []
    /// The newest of each introducer.
    var admissions: [ClusterName: SignedAdmission] = [:]
    /// What each introducer's first admission allowed: renewing it can't make it more.
    private var baselines: [ClusterName: SignedAnnouncement] = [:]
    /// The announcement that was accepted here: by joining, or by an operator.
    var accepted: SignedAnnouncement?
    var isForgottenHere = false

    init(_ announcement: SignedAnnouncement) { self.announcement = announcement }

    var description: ClusterDescription { announcement.content.description }

    /// Of the newest announcement that said so. What was admitted before no longer counts.
    var leftSequence: UInt64? {
        (history + [announcement]).last { $0.content.hasLeft }?.content.sequence
    }

    func isAfterLeaving(_ announcement: SignedAnnouncement) -> Bool {
        announcement.content.sequence > leftSequence ?? 0 && !announcement.content.hasLeft
    }

    // MARK: Linking

    enum Link { case same, newer, older, contradicts, foreign }

    /// Whether another announcement is of this cluster. The newest says so with its own roots; an
    /// older one's roots signed one that is known.
    ///
    /// The ID can't change: another member's could be taken.
    func link(_ other: SignedAnnouncement, _ verify: StatementVerifier) -> Link {
        guard other.content.description.id == description.id else { return .foreign }
        let known = history + [announcement]
        if known.contains(other) { return .same }
        let sequence = other.content.sequence
        if known.contains(where: { $0.content.sequence == sequence }) {
            return isLinked(announcement, other, verify) ? .contradicts : .foreign
        }
        if sequence > announcement.content.sequence {
            return other.isSigned(by: description.bundle, verify) ? .newer : .foreign
        }
        let isOurs =
            known.contains { $0.content.sequence > sequence && isLinked(other, $0, verify) }
            || known.contains { $0.content.sequence < sequence && isLinked($0, other, verify) }
        return isOurs ? .older : .foreign
    }

    private func isLinked(
        _ older: SignedAnnouncement, _ newer: SignedAnnouncement, _ verify: StatementVerifier
    ) -> Bool { newer.isSigned(by: older.content.description.bundle, verify) }

    /// Adds what ``link(_:_:)`` called newer or older.
    mutating func add(_ other: SignedAnnouncement) {
        var all = history + [announcement, other]
        all.sort { $0.content.sequence < $1.content.sequence }
        announcement = all.removeLast()
        // Those that said the cluster left must not be pushed out.
        while all.count > Self.historyMaximum {
            let left = all.lastIndex { $0.content.hasLeft }
            all.remove(at: left == 0 ? 1 : 0)
        }
        history = all
    }

    /// Takes over another claim of the name that turned out to be the same cluster.
    mutating func merge(_ other: RosterClaim) {
        for one in other.history + [other.announcement]
        where !(history + [announcement]).contains(one) {
            add(one)
        }
        for admission in other.admissions.values { admit(admission) }
        accepted = accepted ?? other.accepted
        isForgottenHere = isForgottenHere || other.isForgottenHere
    }

    // MARK: Admissions

    /// Keeps the newest of each introducer.
    mutating func admit(_ signed: SignedAdmission) {
        let admission = signed.content
        let known = admissions[admission.introducer]?.content
        guard admission.sequence > known?.sequence ?? 0 else { return }
        admissions[admission.introducer] = signed
        if admission.decision == .admitted, known?.since != admission.since {
            baselines[admission.introducer] = admission.subject
        }
    }

    /// The announcement that the introducer's first admission was of.
    func granted(by introducer: ClusterName) -> SignedAnnouncement {
        baselines[introducer] ?? announcement
    }

    /// What it may ask for: what was accepted here, else what its first introducer by name admitted.
    /// Nobody else may have it, even while it asks for less.
    func granted(introducers: [ClusterName]) -> ClusterCharter {
        let granted =
            accepted.flatMap { isAfterLeaving($0) ? $0 : nil }
            ?? introducers.sorted().lazy.compactMap { baselines[$0] }.first ?? announcement
        return granted.content.description.charter
    }
}
