// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// What a join came to.
public struct JoinOutcome: Hashable, Sendable {
    public let introducer: ClusterName
    /// Of the introducer's clock.
    public let clock: ClockDifference
    /// Whether it was a member here before: the join was repeated, or superfluous.
    public let isRepeated: Bool
    public let events: [RosterEvent]
}

/// The joining side of one join. It keeps nothing that must survive: killed before the roster is saved,
/// start anew with the same token and the same keys.
public struct Joiner: Sendable {
    public let token: JoinToken
    private let announcement: SignedAnnouncement
    private var request: [UInt8]?

    /// Checks what can be checked before a connection is made.
    ///
    /// - Parameter now: seconds since 1970.
    public init(token: JoinToken, roster: MeshRoster, now: UInt64) throws(JoinRefusal) {
        let own = roster.description
        if token.subject.kind == .cluster, token.issuer.cluster == roster.name,
            !Set(token.pins).isDisjoint(with: own.pins)
        {
            throw .itself(roster.name)
        }
        guard token.issuer.mesh == own.mesh
        else { throw .otherMesh(own: own.mesh, other: token.issuer.mesh) }
        guard token.subject == own.subject
        else { throw .tokenForOther(token.subject, presented: own.subject) }
        if token.issuer.cluster == roster.name { throw .duplicateName(roster.name) }
        try checkExpiry(of: token, now: now)
        self.token = token
        announcement = roster.announcement
    }

    /// What to send.
    ///
    /// - Parameters:
    ///   - channel: of the connection; its TLS certificate need not be verified, the answer is.
    ///   - nonce: 16 random bytes.
    ///   - now: seconds since 1970.
    public mutating func request(
        channel: JoinChannel, nonce: [UInt8], now: UInt64
    ) throws(TrustError) -> [UInt8] {
        let request = try JoinRequest(
            token: token, clock: now, nonce: nonce, body: .cluster(announcement), channel: channel)
        self.request = request.digest(on: channel)
        return request.encoded
    }

    /// Checks the answer and, if everything in it holds, takes the introducer and the others over.
    /// *Save the roster*; nothing else must be kept.
    ///
    /// - Parameter response: at most ``JoinLimit/responseBytes`` bytes.
    /// - Throws: ``JoinRefusal``, the other side's or the own: the roster is unchanged.
    public func receive(
        _ response: [UInt8], into roster: inout MeshRoster, now: UInt64, verify: StatementVerifier
    ) throws(JoinRefusal) -> JoinOutcome {
        guard let request else { throw .malformed("an answer without a request") }
        let (welcome, statements) = try JoinResponse(encoded: response)
            .welcome(answering: request)
        guard case .cluster(let introducer, let founder, let digest) = welcome.content.body
        else { throw .malformed("a node's certificate") }
        let other = introducer.content.description
        guard other.bundle.trustDomain == token.issuer
        else { throw .untrusted("it is of \(other.bundle.trustDomain), not of \(token.issuer)") }
        let pinned = try other.bundle.pinned(token.pins)
        do throws(TrustError) {
            try welcome.check(by: pinned, verify)
            try introducer.check(by: pinned, verify)
        } catch {
            throw .untrusted("\(error)")
        }
        guard sha256(JoinResponse.encode(statements)) == digest
        else { throw .untrusted("its list of clusters was changed") }
        try checkClocks(joiner: now, introducer: welcome.content.issuedAt)
        let wasMember = roster.clusters[other.name]?.state.isMember ?? false
        var events: [RosterEvent] = []
        var readable: [MeshStatement] = []
        for bytes in statements {
            do throws(DecodingFault) { readable.append(try MeshStatement(encoded: bytes)) } catch {
                events.append(.ignored("a statement", .unreadable("\(error)")))
            }
        }
        events += try roster.join(
            introducer, founder: founder, statements: readable, verify: verify)
        return JoinOutcome(
            introducer: other.name,
            clock: ClockDifference(own: now, other: welcome.content.issuedAt),
            isRepeated: wasMember, events: events)
    }
}

/// The issuing side's clock decides; here only what no tolerated difference explains is refused.
func checkExpiry(of token: JoinToken, now: UInt64) throws(JoinRefusal) {
    guard now <= token.expiresAt || now - token.expiresAt <= JoinLimit.clockToleranceSeconds
    else { throw .expiredToken(expiresAt: token.expiresAt, now: now) }
}

extension MeshRoster {
    /// Takes over what a verified introducer said, or nothing of it.
    ///
    /// The introducer is accepted on the token's word; the mesh's founder, if none is known yet, on the
    /// introducer's. Whether the others are members follows from their admissions.
    fileprivate mutating func join(
        _ introducer: SignedAnnouncement, founder: ClusterName, statements: [MeshStatement],
        verify: StatementVerifier
    ) throws(JoinRefusal) -> [RosterEvent] {
        var next = self
        try next.acceptFirsthand(introducer, verify: verify)
        if next.durable.founder == nil {
            next.durable.founder = founder
            if founder != introducer.content.description.name, founder != name {
                guard let announcement = Self.newest(of: founder, in: statements)
                else { throw .malformed("the founder '\(founder)' is missing") }
                try next.acceptFirsthand(announcement, verify: verify)
            }
        }
        let events = next.update() + next.receive(statements, verify: verify)
        for cluster in next.clusters.values.sorted(by: { $0.name < $1.name }) {
            if case .conflicted(let conflict) = cluster.state,
                let refusal = next.refusal(conflict, of: cluster)
            {
                throw refusal
            }
        }
        guard next.clusters[introducer.content.description.name]?.state.isMember == true
        else { throw .untrusted("it has left") }
        self = next
        return events
    }

    private static func newest(
        of name: ClusterName, in statements: [MeshStatement]
    ) -> SignedAnnouncement? {
        statements.compactMap {
            if case .announcement(let signed) = $0, signed.content.description.name == name {
                signed
            } else {
                nil
            }
        }.max { $0.content.sequence < $1.content.sequence }
    }

    /// Nil if the conflict isn't with this cluster.
    private func refusal(
        _ conflict: RosterMember.Conflict, of cluster: RosterMember
    ) -> JoinRefusal? {
        switch conflict {
        case .name: nil
        case .id(let id, let holder):
            holder == name ? .duplicateID(id, holder: cluster.name) : nil
        case .prefixes(let theirs, let own, let holder):
            holder == name
                ? .overlappingAddresses(own: own, other: theirs, holder: cluster.name) : nil
        }
    }
}
