// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshTrust

/// Why the home doesn't do what an operator wants now.
enum DeskFault: Error, Hashable, CustomStringConvertible {
    case leaving
    /// Nil for what is no ID: it may be the token itself, and isn't repeated.
    case noToken(TokenID?)

    var description: String {
        switch self {
        case .leaving:
            "this cluster is leaving the mesh: wait until 'weft leave' is done, or force it"
        case .noToken(let id):
            (id.map { "there is no token \($0)" } ?? "a token's ID has 16 hexadecimal digits")
                + ": see 'weft join tokens'"
        }
    }
}

// MARK: The joining side

extension JoinDesk {
    /// Checks what can be checked before a connection is made. A cluster that has left says that it is
    /// there again, to whom it joins first.
    mutating func begin(_ token: JoinToken, now: UInt64) throws -> Joiner {
        guard roster.hasLeft else {
            return try Joiner(token: token, roster: roster, now: now)
        }
        guard roster.members.isEmpty else { throw DeskFault.leaving }
        var next = roster
        _ = try next.announce(next.description, now: now, signers: signers)
        let joiner = try Joiner(token: token, roster: next, now: now)
        try keep(next)
        return joiner
    }

    mutating func complete(
        _ joiner: Joiner, with answer: [UInt8], by actor: AuditActor, now: UInt64
    ) throws(JoinRefusal) -> JoinOutcome {
        var next = roster
        let outcome: JoinOutcome
        do throws(JoinRefusal) {
            outcome = try joiner.receive(
                answer, into: &next, now: now, verify: verifyMeshStatement)
        } catch {
            audit(
                AuditEntry(
                    .join, .refused, by: actor, subject: .cluster(joiner.token.issuer.cluster),
                    reason: "\(error)"))
            throw error
        }
        do throws(TrustError) { try keep(next) } catch { throw .failed("\(error)") }
        audit(AuditEntry(.join, .granted, by: actor, subject: .cluster(outcome.introducer)))
        return outcome
    }
}

// MARK: What operators and others say

extension JoinDesk {
    /// Takes what other clusters' ledgers say.
    mutating func receive(_ statements: [MeshStatement]) throws(TrustError) -> [RosterEvent] {
        var next = roster
        let events = next.receive(statements, verify: verifyMeshStatement)
        try keep(next)
        for event in events { if let entry = AuditEntry(event) { audit(entry) } }
        return events
    }

    /// Says something else about this cluster, if it is something else: addresses, charter, roots. A
    /// cluster that has left says no more.
    ///
    /// - Returns: whether something new is to be published.
    mutating func announce(
        _ description: ClusterDescription, now: UInt64
    ) throws(TrustError) -> Bool {
        guard !roster.hasLeft else { return false }
        var next = roster
        let said = try next.announce(
            description, now: now, signers: signers)
        try keep(next)
        return said != nil
    }

    mutating func accept(
        _ name: ClusterName, root: String?, by actor: AuditActor
    ) throws -> [RosterEvent] {
        var next = roster
        let events: [RosterEvent]
        do throws(RosterFault) {
            events = try next.accept(name, root: root, verify: verifyMeshStatement)
        } catch {
            audit(
                AuditEntry(
                    .accept, .refused, by: actor, subject: .cluster(name), reason: "\(error)"))
            throw error
        }
        try keep(next)
        audit(AuditEntry(.accept, .granted, by: actor, subject: .cluster(name)))
        return events
    }

    mutating func forget(
        _ name: ClusterName, by actor: AuditActor, now: UInt64
    ) throws -> [RosterEvent] {
        var next = roster
        let signers = try signers
        let events: [RosterEvent]
        do throws(RosterFault) {
            events = try next.forget(name, now: now, signers: signers).events
        } catch {
            audit(
                AuditEntry(
                    .forget, .refused, by: actor, subject: .cluster(name), reason: "\(error)"))
            throw error
        }
        try keep(next)
        audit(AuditEntry(.forget, .granted, by: actor, subject: .cluster(name)))
        return events
    }

    /// - Parameter names: whose word about newcomers counts besides this cluster's; nil: the
    ///   founder's.
    mutating func setIntroducers(
        _ names: [ClusterName]?, by actor: AuditActor
    ) throws -> [RosterEvent] {
        for name in names ?? [] where name != roster.name && roster.clusters[name] == nil {
            let fault = RosterFault.unknown(name)
            audit(
                AuditEntry(
                    .introducers, .refused, by: actor, subject: .cluster(name),
                    reason: "\(fault)"))
            throw fault
        }
        var next = roster
        let events = next.setIntroducers(names, verify: verifyMeshStatement)
        try keep(next)
        for name in names ?? [] {
            audit(AuditEntry(.introducers, .granted, by: actor, subject: .cluster(name)))
        }
        if names?.isEmpty ?? true {
            let reason: AuditReason = names == nil ? "the mesh's founder" : "this cluster alone"
            audit(AuditEntry(.introducers, .granted, by: actor, reason: reason))
        }
        return events
    }

    /// Nobody can use the token any more; what came of it stays.
    mutating func revoke(_ text: String, by actor: AuditActor) throws -> TokenBook.Entry {
        guard let id = TokenID(text) else { throw DeskFault.noToken(nil) }
        guard let entry = book.entry(id) else { throw DeskFault.noToken(id) }
        var book = book
        _ = book.revoke(id)
        try keep(book)
        audit(
            AuditEntry(
                .tokenRevoked, .granted, by: actor, subject: auditSubject(entry.subject),
                reason: "token \(id) for \(entry.subject)"))
        return entry
    }

    // MARK: Leaving

    /// Says that this cluster leaves. Members stay its peers until ``endLeave(by:)``.
    mutating func leave(by actor: AuditActor, now: UInt64) throws(TrustError) {
        guard !roster.hasLeft else { return }
        var next = roster
        _ = try next.leave(now: now, signers: signers)
        try keep(next)
        audit(AuditEntry(.leave, .granted, by: actor, subject: .cluster(roster.name)))
    }

    /// Members that haven't said yet that they know of the leave.
    ///
    /// - Parameter heard: the sequence of this cluster's announcement that each has.
    func awaited(heard: [ClusterName: UInt64]) -> [ClusterName] {
        roster.members.map(\.name).filter {
            heard[$0, default: 0] < roster.announcement.content.sequence
        }
    }

    /// Signs this cluster's admissions again: after its root has changed.
    mutating func renewAdmissions(now: UInt64) throws(TrustError) {
        var next = roster
        _ = try next.renewAdmissions(now: now, signers: signers)
        try keep(next)
    }

    /// Drops everybody.
    mutating func endLeave() throws(TrustError) {
        var next = roster
        next.forgetEverybody()
        try keep(next)
    }
}

extension AuditEntry {
    /// Nil for what isn't worth a record: a statement that waits, or is known, comes again.
    fileprivate init?(_ event: RosterEvent) {
        func about(_ name: ClusterName, _ action: AuditAction) -> AuditEntry {
            AuditEntry(action, .noted, by: .agent, subject: .cluster(name), reason: "\(event)")
        }
        switch event {
        case .joined(let name, _), .pending(let name, _), .conflicted(let name, _),
            .charterChanged(let name), .growthWaits(let name), .addressesChanged(let name, _):
            self = about(name, .join)
        case .rootsChanged(let name, _): self = about(name, .bundle)
        case .left(let name): self = about(name, .leave)
        case .forgotten(let name, _), .forgottenOurselves(let name): self = about(name, .forget)
        case .ignored: return nil
        }
    }
}
