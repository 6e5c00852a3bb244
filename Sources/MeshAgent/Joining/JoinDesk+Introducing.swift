// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshModel
import MeshTrust

/// What somebody who wants to join is told, and what came of it.
struct DeskAnswer: Sendable {
    let bytes: [UInt8]
    var events: [RosterEvent] = []
    /// Set if a certificate was issued.
    var node: String?
    var refusal: JoinRefusal?
}

// MARK: The introducing side

extension JoinDesk {
    /// Makes a token; it is kept, but for its secret, before it is returned.
    ///
    /// - Parameters:
    ///   - filed: clusters that operators' files name.
    ///   - now: seconds since 1970.
    mutating func makeToken(
        for subject: TokenSubject, lifetimeSeconds: UInt64, beside filed: [FiledCluster] = [],
        by actor: AuditActor, now: UInt64
    ) throws -> JoinToken {
        guard !roster.hasLeft || roster.members.isEmpty else { throw DeskFault.leaving }
        if subject.kind == .cluster, let name = ClusterName(rawValue: subject.name),
            let refusal = roster.refusal(of: name, id: subject.cluster)
                ?? filed.refusal(of: name, id: subject.cluster)
        {
            throw refusal
        }
        var book = book
        let token = try book.issue(
            for: subject, issuer: roster.description.bundle.trustDomain,
            pins: roster.description.pins, lifetimeSeconds: lifetimeSeconds, now: now)
        try keep(book)
        audit(
            AuditEntry(
                .tokenMade, .granted, by: actor, subject: auditSubject(subject),
                reason: "token \(token.id) for \(subject)"))
        return token
    }

    /// Answers a question from somebody who has no certificate, or is no member, yet.
    ///
    /// - Parameters:
    ///   - leaf: the certificate in DER that this side presents.
    ///   - clock: seconds of a clock that doesn't jump.
    ///   - now: seconds since 1970.
    ///   - filed: clusters that operators' files name; only who has proven a token learns of them.
    mutating func answer(
        _ request: [UInt8], presenting leaf: [UInt8], to source: Address, clock: UInt64,
        now: UInt64, beside filed: () -> [FiledCluster] = { [] }
    ) -> DeskAnswer {
        let channel = JoinChannel(serverCertificate: leaf)
        do throws(JoinRefusal) {
            return TokenSubject.Kind(ofRequest: request) == .node
                ? try certify(request, channel, source, clock, now)
                : try introduce(request, channel, source, clock, now, filed)
        } catch {
            // Who tries too often must not fill the log either.
            if case .tooManyTries = error {
            } else {
                audit(
                    AuditEntry(
                        .tokenUsed, .refused, by: .stranger(source), reason: "\(error)"))
            }
            return DeskAnswer(bytes: JoinIntroduction.refusal(error), refusal: error)
        }
    }

    private mutating func introduce(
        _ request: [UInt8], _ channel: JoinChannel, _ source: Address, _ clock: UInt64,
        _ now: UInt64, _ filed: () -> [FiledCluster]
    ) throws(JoinRefusal) -> DeskAnswer {
        var (book, roster) = (book, roster)
        guard !roster.hasLeft else { throw .failed("this cluster has left the mesh") }
        let introduction = try JoinIntroduction.open(
            request, channel: channel, source: source, book: &book, limiter: &limiter,
            roster: roster, clock: clock, now: now, verify: verifyMeshStatement)
        if let refusal = filed().refusal(of: introduction.newcomer.content.description) {
            throw refusal
        }
        try saved { desk throws(TrustError) in try desk.keep(book) }
        let signers = try told { desk throws(TrustError) in try desk.signers }
        let events = try introduction.admit(
            into: &roster, now: now, signers: signers, verify: verifyMeshStatement
        ).events
        try saved { desk throws(TrustError) in try desk.keep(roster) }
        introduction.complete(in: &book)
        try saved { desk throws(TrustError) in try desk.keep(book) }
        let name = introduction.newcomer.content.description.name
        audit(
            AuditEntry(
                .tokenUsed, .granted, by: .cluster(name), subject: .cluster(name),
                reason: "token \(introduction.token) from \(source)"))
        audit(AuditEntry(.join, .granted, by: .cluster(name), subject: .cluster(name)))
        let answer = try told { desk throws(TrustError) in
            try introduction.response(from: desk.roster, now: now, signers: desk.signers)
        }
        return DeskAnswer(bytes: answer, events: events)
    }

    private mutating func certify(
        _ request: [UInt8], _ channel: JoinChannel, _ source: Address, _ clock: UInt64,
        _ now: UInt64
    ) throws(JoinRefusal) -> DeskAnswer {
        var book = book
        let introduction = try NodeIntroduction.open(
            request, channel: channel, source: source, book: &book, limiter: &limiter,
            own: roster.description, clock: clock, now: now)
        try saved { desk throws(TrustError) in try desk.keep(book) }
        let authority = authority()
        let node = PeerIdentity(domain: authority.trustDomain, node: introduction.node)
        let chain = try told { _ throws(TrustError) in
            try authority.issue(
                for: introduction, now: Date(timeIntervalSince1970: Double(now)))
        }
        audit(
            AuditEntry(
                .issue, .granted, by: .stranger(source),
                subject: node.map { .identity($0.spiffeID) }, certificate: chain.first,
                reason: "token \(introduction.token)"))
        introduction.complete(in: &book)
        try saved { desk throws(TrustError) in try desk.keep(book) }
        audit(
            AuditEntry(
                .tokenUsed, .granted, by: .stranger(source),
                subject: node.map { .identity($0.spiffeID) },
                reason: "token \(introduction.token)"))
        let answer = try told { desk throws(TrustError) in
            try introduction.response(
                chain: chain, bundle: desk.roster.description.bundle, now: now,
                signers: desk.signers)
        }
        return DeskAnswer(bytes: answer, node: introduction.node)
    }

    private mutating func saved(
        _ body: (inout JoinDesk) throws(TrustError) -> Void
    ) throws(JoinRefusal) {
        do throws(TrustError) { try body(&self) } catch { throw .failed("\(error)") }
    }

    private func told<Value>(
        _ body: (JoinDesk) throws(TrustError) -> Value
    ) throws(JoinRefusal) -> Value {
        do throws(TrustError) { return try body(self) } catch { throw .failed("\(error)") }
    }

    func auditSubject(_ subject: TokenSubject) -> AuditSubject? {
        switch subject.kind {
        case .cluster: ClusterName(rawValue: subject.name).map { .cluster($0) }
        case .node:
            PeerIdentity(domain: roster.description.bundle.trustDomain, node: subject.name)
                .map { .identity($0.spiffeID) }
        }
    }
}
