// SPDX-License-Identifier: Apache-2.0

public import MeshModel

extension MeshRoster {
    /// Says something else about this cluster: other roots while it rotates, addresses, charter.
    ///
    /// - Parameter signers: one by a root of the former announcement must be among them, or nobody
    ///   who knows that one will believe it.
    /// - Returns: the announcement to publish; nil if nothing is new.
    public mutating func announce(
        _ description: ClusterDescription, now: UInt64, signers: [StatementSigner]
    ) throws(TrustError) -> SignedAnnouncement? {
        guard description != self.description || announcement.content.hasLeft else { return nil }
        return try announce(description, hasLeft: false, now: now, signers: signers)
    }

    /// This cluster leaves the mesh: publish the announcement, and end when the others have it.
    public mutating func leave(
        now: UInt64, signers: [StatementSigner]
    ) throws(TrustError) -> SignedAnnouncement {
        try announce(description, hasLeft: true, now: now, signers: signers)
    }

    private mutating func announce(
        _ description: ClusterDescription, hasLeft: Bool, now: UInt64, signers: [StatementSigner]
    ) throws(TrustError) -> SignedAnnouncement {
        guard description.bundle.trustDomain == self.description.bundle.trustDomain else {
            throw .invalidBundle(
                domain: description.bundle.trustDomain.name, reason: "it isn't this cluster's")
        }
        var next = self
        let sequence = next.nextSequence(now: now)
        next.durable.own = try Signed(
            Announcement(
                description: description, sequence: sequence, issuedAt: now, hasLeft: hasLeft),
            by: signers)
        self = next
        return announcement
    }

    /// Signs this cluster's admissions again, with what their subjects say now: after its own root
    /// has changed, so that newcomers can verify them.
    ///
    /// - Returns: what to publish.
    public mutating func renewAdmissions(
        now: UInt64, signers: [StatementSigner]
    ) throws(TrustError) -> [SignedAdmission] {
        var next = self
        var renewed: [SignedAdmission] = []
        for (subject, claims) in durable.claims.sorted(by: { $0.key < $1.key }) {
            for (index, claim) in claims.enumerated() {
                guard let old = claim.admissions[name]?.content else { continue }
                let isInForce = old.decision == .admitted && claim.leftSequence == nil
                let signed = try Signed(
                    Admission(
                        introducer: name, sequence: next.nextSequence(now: now), issuedAt: now,
                        decision: old.decision, since: old.since, replaces: old.replaces,
                        subject: isInForce ? claim.announcement : old.subject), by: signers)
                next.durable.claims[subject]?[index].admit(signed)
                renewed.append(signed)
            }
        }
        self = next
        return renewed
    }

    /// Ends the trust in a cluster here. If this cluster had admitted it, the admission is taken back.
    ///
    /// Members that rest on the word of a forgotten introducer alone are accepted as they are: its
    /// end isn't theirs.
    ///
    /// - Returns: the withdrawal to publish, if there is one, and what has changed.
    public mutating func forget(
        _ name: ClusterName, now: UInt64, signers: [StatementSigner]
    ) throws(RosterFault) -> (admission: SignedAdmission?, events: [RosterEvent]) {
        guard name != self.name else { throw .itself }
        guard durable.claims[name]?.isEmpty == false else { throw .unknown(name) }
        var next = self
        next.keepMembers(introducedBy: name)
        var withdrawal: SignedAdmission?
        for (index, claim) in (durable.claims[name] ?? []).enumerated() {
            next.durable.claims[name]?[index].isForgottenHere = true
            next.durable.claims[name]?[index].accepted = nil
            guard let old = claim.admissions[self.name]?.content, old.decision == .admitted
            else { continue }
            do throws(TrustError) {
                let sequence = next.nextSequence(now: now)
                let signed = try Signed(
                    Admission(
                        introducer: self.name, sequence: sequence, issuedAt: now,
                        decision: .forgotten, since: old.since, replaces: old.replaces,
                        subject: claim.announcement), by: signers)
                next.durable.claims[name]?[index].admit(signed)
                withdrawal = signed
            } catch {
                throw .signing(error)
            }
        }
        let events = next.update()
        self = next
        return (withdrawal, events)
    }

    private mutating func keepMembers(introducedBy introducer: ClusterName) {
        for member in members where member.introducers == [introducer] && !member.isAcceptedHere {
            for (index, claim) in (durable.claims[member.name] ?? []).enumerated()
            where claim.description == member.description {
                durable.claims[member.name]?[index].accepted = claim.granted(by: introducer)
            }
        }
    }

    /// Whose admissions count besides this cluster's; nil: the founder's.
    public mutating func setIntroducers(
        _ names: [ClusterName]?, verify: StatementVerifier
    ) -> [RosterEvent] {
        durable.listed = names.map { Set($0).sorted() }
        return settle(verify)
    }

    /// Whether introducers were chosen here; else the founder is the only one.
    public var hasChosenIntroducers: Bool { durable.listed != nil }

    /// Drops everything about the others: after leaving, before joining another mesh.
    public mutating func forgetEverybody() {
        durable = Durable(own: durable.own, sequence: durable.sequence, lives: durable.lives)
        clusters = [:]
    }
}
