// SPDX-License-Identifier: Apache-2.0

import MeshModel

extension MeshRoster {
    /// Takes statements from ledgers or from a join, in any order, any number of times.
    ///
    /// - Returns: what has changed, and why something changed nothing. A statement that is known
    ///   already is passed over in silence.
    public mutating func receive(
        _ statements: [MeshStatement], verify: StatementVerifier
    ) -> [RosterEvent] {
        var events: [RosterEvent] = []
        for statement in statements {
            switch take(statement, verify) {
            case .taken: events += settle(verify)
            case .concernsUs(let event): events += [event].compactMap { $0 } + settle(verify)
            case .known: break
            case .ignored(let reason): events.append(.ignored("\(statement)", reason))
            case .waits:
                if let reason = wait(statement) {
                    events.append(.ignored("\(statement)", reason))
                }
            }
        }
        return events
    }

    private enum Outcome {
        case taken, known, waits
        case concernsUs(RosterEvent?)
        case ignored(IgnoredReason)
    }

    /// Whatever became known may verify what waits.
    mutating func settle(_ verify: StatementVerifier) -> [RosterEvent] {
        var events = update()
        var isSettled = false
        while !isSettled {
            isSettled = true
            for statement in durable.waiting {
                let outcome = take(statement, verify)
                if case .waits = outcome { continue }
                durable.waiting.removeAll { $0 == statement }
                if case .ignored(let reason) = outcome {
                    events.append(.ignored("\(statement)", reason))
                } else {
                    if case .concernsUs(let event?) = outcome { events.append(event) }
                    events += update()
                    isSettled = false
                }
            }
        }
        return events
    }

    /// - Returns: why it is reported; nil if it waits already.
    private mutating func wait(_ statement: MeshStatement) -> IgnoredReason? {
        if durable.waiting.contains(statement) { return nil }
        let fellows = durable.waiting.count { $0.signer == statement.signer }
        guard durable.waiting.count < Self.waitingMaximum, fellows < Self.waitingPerSignerMaximum
        else { return .tooMany }
        durable.waiting.append(statement)
        return .unverified
    }

    private mutating func take(_ statement: MeshStatement, _ verify: StatementVerifier) -> Outcome {
        guard statement.mesh == description.mesh
        else { return .ignored(.otherMesh(statement.mesh)) }
        switch statement {
        case .announcement(let signed): return take(signed, verify)
        case .admission(let signed): return take(signed, verify)
        }
    }

    // MARK: Announcements

    private mutating func take(
        _ signed: SignedAnnouncement, _ verify: StatementVerifier
    ) -> Outcome {
        let name = signed.content.description.name
        if let reason = forgery(of: signed, verify) { return .ignored(reason) }
        guard name != self.name else { return takeOwn(signed) }
        for (index, claim) in (durable.claims[name] ?? []).enumerated() {
            switch claim.link(signed, verify) {
            case .same: return .known
            case .contradicts: return .ignored(.contradiction)
            case .newer, .older:
                durable.claims[name]?[index].add(signed)
                mergeClaims(of: name, verify)
                return .taken
            case .foreign: continue
            }
        }
        return .waits
    }

    private func takeOwn(_ signed: SignedAnnouncement) -> Outcome {
        guard signed.content.description.sharesRoot(with: description)
        else { return .ignored(.ourName) }
        return signed == announcement
            ? .known : .ignored(.replayed(known: announcement.content.sequence))
    }

    /// Every announcement carries the roots it is signed by, so whoever made it has one of the keys.
    private func forgery(
        of signed: SignedAnnouncement, _ verify: StatementVerifier
    ) -> IgnoredReason? {
        do throws(TrustError) {
            try signed.check(by: signed.content.description.bundle, verify)
            return nil
        } catch {
            return .forged("\(error)")
        }
    }

    /// An announcement may show that two claims are one cluster.
    private mutating func mergeClaims(of name: ClusterName, _ verify: StatementVerifier) {
        guard var claims = durable.claims[name], claims.count > 1 else { return }
        var index = 0
        while index < claims.count {
            let match = claims.indices.dropFirst(index + 1).first { other in
                switch claims[index].link(claims[other].announcement, verify) {
                case .same, .newer, .older: true
                case .contradicts, .foreign: false
                }
            }
            if let match {
                let other = claims.remove(at: match)
                claims[index].merge(other)
            } else {
                index += 1
            }
        }
        durable.claims[name] = claims
    }

    // MARK: Admissions

    private mutating func take(
        _ signed: SignedAdmission, _ verify: StatementVerifier
    ) -> Outcome {
        let admission = signed.content
        if let reason = forgery(of: admission.subject, verify) { return .ignored(reason) }
        guard isVerified(signed, verify) else { return .waits }
        if admission.name == name { return takeAboutUs(signed, verify) }
        let known = (durable.claims[admission.name] ?? [])
            .compactMap { $0.admissions[admission.introducer] }
            .max { $0.content.sequence < $1.content.sequence }
        if let known {
            if known == signed { return .known }
            if known.content.sequence == admission.sequence { return .ignored(.contradiction) }
            if known.content.sequence > admission.sequence {
                return .ignored(.replayed(known: known.content.sequence))
            }
        }
        return place(signed, verify)
    }

    /// By a root of the introducer, which must be a member or have been one.
    private func isVerified(_ signed: SignedAdmission, _ verify: StatementVerifier) -> Bool {
        let introducer = signed.content.introducer
        if introducer == name { return signed.isSigned(by: description.bundle, verify) }
        guard let known = clusters[introducer] else { return false }
        // Whether what a cluster says counts while it is out is decided later; a pending one's name
        // may be anybody's.
        switch known.state {
        case .member, .left, .conflicted: return signed.isSigned(by: known.bundle, verify)
        case .pending, .forgotten: return false
        }
    }

    private mutating func takeAboutUs(
        _ signed: SignedAdmission, _ verify: StatementVerifier
    ) -> Outcome {
        let admission = signed.content
        guard admission.subject.content.description.sharesRoot(with: description)
        else { return .ignored(.ourName) }
        if let known = durable.aboutUs[admission.introducer] {
            if known == signed { return .known }
            if known.content.sequence >= admission.sequence {
                return .ignored(.replayed(known: known.content.sequence))
            }
        }
        durable.aboutUs[admission.introducer] = signed
        return .concernsUs(
            admission.decision == .forgotten ? .forgottenOurselves(by: admission.introducer) : nil)
    }

    /// Finds the claim that it is about, or makes one.
    private mutating func place(
        _ signed: SignedAdmission, _ verify: StatementVerifier
    ) -> Outcome {
        let admission = signed.content
        var claims = durable.claims[admission.name] ?? []
        for index in claims.indices {
            switch claims[index].link(admission.subject, verify) {
            case .foreign: continue
            case .contradicts: return .ignored(.contradiction)
            case .newer, .older: claims[index].add(admission.subject)
            case .same: break
            }
            claims[index].admit(signed)
            return keep(claims, after: signed, at: index, verify)
        }
        // Without its former roots' signature an introducer can't give a name to other roots: what
        // leads from one to the other may be on its way.
        let isTaken = claims.contains {
            $0.admissions[admission.introducer] != nil && $0.leftSequence == nil
        }
        if isTaken && admission.replaces.isEmpty { return .waits }
        guard claims.count < JoinLimit.roots, durable.claims.count < Self.clustersMaximum
        else { return .ignored(.tooMany) }
        var claim = RosterClaim(admission.subject)
        claim.admit(signed)
        claims.append(claim)
        return keep(claims, after: signed, at: claims.count - 1, verify)
    }

    /// An introducer's newest word is its only one: it no longer counts for other claims of the name.
    private mutating func keep(
        _ claims: [RosterClaim], after signed: SignedAdmission, at place: Int,
        _ verify: StatementVerifier
    ) -> Outcome {
        let admission = signed.content
        var claims = claims
        for index in claims.indices where index != place {
            claims[index].admissions[admission.introducer] = nil
        }
        claims.removeAll { $0.admissions.isEmpty && $0.accepted == nil && !$0.isForgottenHere }
        claims.sort { $0.description.pins.lexicographicallyPrecedes($1.description.pins) }
        durable.claims[admission.name] = claims
        mergeClaims(of: admission.name, verify)
        return .taken
    }
}
