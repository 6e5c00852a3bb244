// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// Why an operator's wish was refused. The roster is unchanged.
public enum RosterFault: Error, Hashable, Sendable {
    case unknown(ClusterName)
    /// Several clusters want the name: say which root is meant.
    case ambiguous(ClusterName, [KeyPin])
    case conflict(ClusterName, RosterMember.Conflict)
    case hasLeft(ClusterName)
    case itself
    case signing(TrustError)
}

extension RosterFault: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unknown(let name): "no cluster '\(name)' is known here: see 'weft cluster list'"
        case .ambiguous(let name, let pins):
            "\(pins.count) clusters want the name '\(name)', with roots \(pins.map(\.short).joined(separator: ", ")): say which one"
        case .conflict(let name, let conflict):
            "cluster '\(name)' can't be accepted: \(conflict); change that, or run 'weft cluster forget' for the other one first"
        case .hasLeft(let name):
            "cluster '\(name)' has left: it must join again, with a new token"
        case .itself: "that is this cluster: use 'weft leave'"
        case .signing(let error): "\(error)"
        }
    }
}

/// What an operator, or this cluster itself, decides.
extension MeshRoster {
    /// Trusts a pending or conflicted cluster, or grants a member the charter it asks for.
    ///
    /// - Parameter root: which one, if several want the name: the beginning of a root's pin.
    public mutating func accept(
        _ name: ClusterName, root: String? = nil, verify: StatementVerifier
    ) throws(RosterFault) -> [RosterEvent] {
        let claims = durable.claims[name] ?? []
        guard !claims.isEmpty else { throw .unknown(name) }
        let chosen = claims.indices.filter { index in
            root.map { root in
                claims[index].description.pins.contains { $0.description.hasPrefix(root) }
            } ?? true
        }
        guard let index = chosen.first else { throw .unknown(name) }
        guard chosen.count == 1
        else { throw .ambiguous(name, chosen.flatMap { claims[$0].description.pins }) }
        let claim = claims[index]
        guard !claim.announcement.content.hasLeft else { throw .hasLeft(name) }
        if let conflict = conflict(
            of: claim.description, itself: claim.description, with: members)
        {
            throw .conflict(name, conflict)
        }
        durable.claims[name]?[index].accepted = claim.announcement
        durable.claims[name]?[index].isForgottenHere = false
        return settle(verify)
    }

    /// What `newcomer` can't have because this cluster or one of `holders` has it.
    ///
    /// - Parameter itself: what it says of itself now, if it is known.
    private func conflict(
        of newcomer: ClusterDescription, itself: ClusterDescription?, with holders: [RosterMember]
    ) -> RosterMember.Conflict? {
        let others = holders.filter { $0.description != itself }
        for (holder, granted) in [(description, description.charter)]
            + others.map({ ($0.description, $0.granted) })
        {
            if holder.name == newcomer.name { return .name(newcomer.name) }
            if holder.id == newcomer.id { return .id(newcomer.id, with: holder.name) }
            if let (own, other) = newcomer.charter.overlap(granted) {
                return .prefixes(own: own, other: other, with: holder.name)
            }
        }
        return nil
    }

    /// The claim that a signature ties to `signed`. A root that it merely lists may be anybody's.
    private func claim(
        of signed: SignedAnnouncement, _ verify: StatementVerifier
    ) -> RosterClaim? {
        durable.claims[signed.content.description.name]?.first {
            switch $0.link(signed, verify) {
            case .same, .newer, .older: true
            case .contradicts, .foreign: false
            }
        }
    }

    /// Members, and those that would be members but for a conflict. Anybody can make a pending one,
    /// so those stop nobody.
    private var holders: [RosterMember] {
        clusters.values.sorted { $0.name < $1.name }.filter {
            switch $0.state {
            case .member, .conflicted: true
            case .pending, .left, .forgotten: false
            }
        }
    }

    /// Why a cluster can't join, by what is known here.
    public func refusal(
        of signed: SignedAnnouncement, verify: StatementVerifier
    ) -> JoinRefusal? {
        let newcomer = signed.content.description
        guard newcomer.mesh == description.mesh
        else { return .otherMesh(own: description.mesh, other: newcomer.mesh) }
        if newcomer.name == name {
            return newcomer.sharesRoot(with: description) ? .itself(name) : .duplicateName(name)
        }
        let itself = claim(of: signed, verify)?.description
        return switch conflict(of: newcomer, itself: itself, with: holders) {
        case nil: nil
        case .name(let name): .duplicateName(name)
        case .id(let id, let holder): .duplicateID(id, holder: holder)
        case .prefixes(let own, let other, let holder):
            .overlappingAddresses(own: own, other: other, holder: holder)
        }
    }

    /// Whether a token for this name and ID could be used; nil if so.
    public func refusal(of name: ClusterName, id: ClusterID) -> JoinRefusal? {
        if name == self.name { return .itself(name) }
        let holder = ([(self.name, description.id)] + holders.map { ($0.name, $0.description.id) })
            .first { $0.1 == id && $0.0 != name }
        return holder.map { .duplicateID(id, holder: $0.0) }
    }

    /// This cluster introduces another one that has just proved a token of it.
    ///
    /// - Returns: the admission to publish, nil if it is a member already, and what has changed.
    /// - Throws: ``JoinRefusal``: nothing has changed.
    public mutating func admit(
        _ newcomer: SignedAnnouncement, now: UInt64, signers: [StatementSigner],
        verify: StatementVerifier
    ) throws(JoinRefusal) -> (admission: SignedAdmission?, events: [RosterEvent]) {
        let asked = newcomer.content.description
        do throws(TrustError) { try newcomer.check(by: asked.bundle, verify) } catch {
            throw .untrusted("\(error)")
        }
        if let refusal = refusal(of: newcomer, verify: verify) { throw refusal }
        let claims = durable.claims[asked.name] ?? []
        if let known = clusters[asked.name], known.state.isMember,
            claims.contains(where: { $0.announcement == newcomer })
        {
            return (nil, [])
        }
        let linked = claim(of: newcomer, verify)
        let before = linked?.admissions[name]?.content
        let isRenewal = before?.decision == .admitted && linked?.leftSequence == nil
        let replaced =
            linked == nil
            ? claims.filter {
                $0.leftSequence == nil && !$0.admissions.isEmpty || $0.accepted != nil
            }
            .flatMap(\.description.pins)
            : before?.replaces ?? []
        var next = self
        if next.durable.founder == nil { next.durable.founder = name }
        let sequence = next.nextSequence(now: now)
        let admission: SignedAdmission
        do throws(TrustError) {
            admission = try Signed(
                Admission(
                    introducer: name, sequence: sequence, issuedAt: now, decision: .admitted,
                    since: isRenewal ? before?.since ?? sequence : sequence,
                    replaces: Array(Set(replaced).sorted().prefix(JoinLimit.roots)),
                    subject: newcomer), by: signers)
        } catch {
            throw .failed("\(error)")
        }
        for index in claims.indices where claims[index] == linked {
            next.durable.claims[asked.name]?[index].isForgottenHere = false
        }
        let events = next.receive([.admission(admission)], verify: verify)
        guard let state = next.clusters[asked.name]?.state, state.isMember
        else { throw .failed(next.clusters[asked.name].map { "it is \($0.state)" } ?? "") }
        self = next
        return (admission, events)
    }

    /// Takes a cluster that this one has reason to believe on its own, as the one it joins through.
    mutating func acceptFirsthand(
        _ signed: SignedAnnouncement, verify: StatementVerifier
    ) throws(JoinRefusal) {
        let other = signed.content.description
        if let refusal = refusal(of: signed, verify: verify) { throw refusal }
        var claims = durable.claims[other.name] ?? []
        let linked = claim(of: signed, verify)
        if let linked, let index = claims.firstIndex(of: linked) {
            if linked.link(signed, verify) != .same { claims[index].add(signed) }
            claims[index].accepted = signed
            claims[index].isForgottenHere = false
        } else {
            // Left-overs of another cluster of that name, which is no member.
            claims.removeAll { $0.accepted != nil || $0.isForgottenHere }
            var claim = RosterClaim(signed)
            claim.accepted = signed
            claims.append(claim)
        }
        durable.claims[other.name] = claims
    }
}
