// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// A claim whose cluster would be a member if nobody else wanted the same.
private struct Candidate {
    let name: ClusterName
    let pins: [KeyPin]
    let id: ClusterID
    /// What it was granted.
    let charter: ClusterCharter
    /// Accepted introducers that admit it, and since when in their count.
    var since: [ClusterName: UInt64] = [:]
    var isAcceptedHere = false

    func conflict(with other: Candidate) -> RosterMember.Conflict? {
        if name == other.name { return .name(name) }
        if id == other.id { return .id(id, with: other.name) }
        return charter.overlap(other.charter).map {
            .prefixes(own: $0.own, other: $0.other, with: other.name)
        }
    }

    func goesBefore(_ other: Candidate) -> Bool {
        if isAcceptedHere != other.isAcceptedHere { return isAcceptedHere }
        let introduced = other.since[name] != nil
        if introduced != (since[other.name] != nil) { return introduced }
        let shared = since.keys.filter { other.since[$0] != nil }
        return !shared.isEmpty
            && shared.allSatisfy { (since[$0] ?? 0) < (other.since[$0] ?? 0) }
    }
}

private enum Standing {
    case candidate
    case decided(RosterMember.State)
}

extension MeshRoster {
    /// Every cluster's state from what is known. Of claims of one name the best one is shown.
    ///
    /// - Complexity: quadratic in the number of clusters.
    func resolve() -> [ClusterName: RosterMember] {
        let introducers = groundedIntroducers()
        let claims = sortedClaims
        let standings = claims.map { standing(of: $0, introducers: introducers) }
        let candidates = claims.map { candidate($0, introducers: introducers) }
        func indices(where matches: (Standing) -> Bool) -> [Int] {
            claims.indices.filter { matches(standings[$0]) }
        }
        // Who isn't accepted as an introducer can't reserve anything by forgetting it.
        let forgotten = indices {
            if case .decided(.forgotten(let by)) = $0 { introducers.contains(by) } else { false }
        }
        let running = indices { if case .candidate = $0 { true } else { false } }
        var own = Candidate(
            name: name, pins: description.pins, id: description.id, charter: description.charter)
        own.isAcceptedHere = true

        let reserved = running.reduce(into: [Int: RosterMember.Conflict]()) { found, index in
            let candidate = candidates[index]
            guard !candidate.isAcceptedHere, candidate.since[name] == nil else { return }
            found[index] =
                forgotten.lazy.compactMap { candidate.conflict(with: candidates[$0]) }
                .first
        }
        let rivals = running.filter { reserved[$0] == nil }
        func state(_ index: Int) -> RosterMember.State {
            if case .decided(let state) = standings[index] { return state }
            let candidate = candidates[index]
            if let conflict = reserved[index] { return .pending(.reserved(conflict)) }
            if candidate.isAcceptedHere { return .member }
            if let conflict = candidate.conflict(with: own) { return .conflicted(conflict) }
            for rival in rivals where rival != index && !candidate.goesBefore(candidates[rival]) {
                if let conflict = candidate.conflict(with: candidates[rival]) {
                    return .conflicted(conflict)
                }
            }
            return .member
        }
        var result: [ClusterName: RosterMember] = [:]
        for index in claims.indices {
            let found = RosterMember(
                state: state(index), description: claims[index].description,
                granted: candidates[index].charter,
                introducers: candidates[index].since.keys.sorted(),
                isAcceptedHere: candidates[index].isAcceptedHere)
            if let known = result[found.name], !Self.isShownBefore(found, known) { continue }
            result[found.name] = found
        }
        return result
    }

    private static func isShownBefore(_ one: RosterMember, _ other: RosterMember) -> Bool {
        func rank(_ member: RosterMember) -> Int {
            switch member.state {
            case .member: 0
            case .conflicted: 1
            case .pending: 2
            case .forgotten: 3
            case .left: 4
            }
        }
        if rank(one) != rank(other) { return rank(one) < rank(other) }
        return one.description.pins.lexicographicallyPrecedes(other.description.pins)
    }

    /// Accepted introducers that this cluster, directly or through others, has reason to believe.
    /// Whom none of those vouches for any more can't vouch for anybody.
    private func groundedIntroducers() -> Set<ClusterName> {
        let accepted = introducers
        var grounded: Set<ClusterName> = [name]
        var isComplete = false
        while !isComplete {
            isComplete = true
            for introducer in accepted.subtracting(grounded).sorted() {
                let claims = durable.claims[introducer] ?? []
                let isVouchedFor = claims.contains { claim in
                    !claim.isForgottenHere
                        && (claim.accepted != nil
                            || claim.admissions.values.contains {
                                grounded.contains($0.content.introducer)
                                    && $0.content.decision == .admitted
                            })
                }
                guard isVouchedFor else { continue }
                grounded.insert(introducer)
                isComplete = false
            }
        }
        return grounded
    }

    private func candidate(
        _ claim: RosterClaim, introducers: Set<ClusterName>
    ) -> Candidate {
        let admitting = admitting(claim, introducers: introducers)
        var candidate = Candidate(
            name: claim.description.name, pins: claim.description.pins, id: claim.description.id,
            charter: claim.granted(introducers: admitting.map(\.introducer)))
        for admission in admitting { candidate.since[admission.introducer] = admission.since }
        candidate.isAcceptedHere = isAcceptedHere(claim)
        return candidate
    }

    private func isAcceptedHere(_ claim: RosterClaim) -> Bool {
        !claim.isForgottenHere && claim.accepted.map(claim.isAfterLeaving) ?? false
    }

    /// Admissions in force.
    private func admitting(
        _ claim: RosterClaim, introducers: Set<ClusterName>
    ) -> [Admission] {
        claim.admissions.sorted { $0.key < $1.key }.map(\.value.content).filter {
            introducers.contains($0.introducer) && $0.decision == .admitted
                && claim.isAfterLeaving($0.subject) && !isAfterIntroducerLeft($0)
        }
    }

    /// What a cluster signs after it has left admits nobody; what it signed before stays.
    private func isAfterIntroducerLeft(_ admission: Admission) -> Bool {
        let introducers = (durable.claims[admission.introducer] ?? [])
            .filter { $0.accepted != nil || !$0.admissions.isEmpty }
        return introducers.contains {
            $0.announcement.content.hasLeft
                && admission.sequence > $0.announcement.content.sequence
        } && !introducers.contains { !$0.announcement.content.hasLeft }
    }

    private func standing(of claim: RosterClaim, introducers: Set<ClusterName>) -> Standing {
        if claim.isForgottenHere { return .decided(.forgotten(by: name)) }
        if isAcceptedHere(claim) { return .candidate }
        let admitting = admitting(claim, introducers: introducers)
        if let last = admitting.last {
            // This cluster's own admission followed a token that an operator here has made.
            return admitting.contains { $0.replaces.isEmpty || $0.introducer == name }
                ? .candidate : .decided(.pending(.newRoot(replaces: last.replaces)))
        }
        if claim.leftSequence != nil { return .decided(.left) }
        let all = claim.admissions.sorted { $0.key < $1.key }.map(\.value.content)
        let heard = all.filter { introducers.contains($0.introducer) }
        if let by = heard.first(where: { $0.decision == .forgotten }) {
            return .decided(.forgotten(by: by.introducer))
        }
        let hopeful = all.filter { $0.decision == .admitted }.map(\.introducer)
        if hopeful.isEmpty, let by = all.first {
            return .decided(.forgotten(by: by.introducer))
        }
        return .decided(.pending(.introducers(hopeful)))
    }
}
