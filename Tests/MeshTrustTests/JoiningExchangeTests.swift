// SPDX-License-Identifier: Apache-2.0

import Foundation
import MeshModel
import Testing
import X509

@testable import MeshTrust

@Suite("Joining")
struct JoiningExchangeTests {
    var a: Site
    var b: Site

    init() throws {
        a = try Site("east", 1)
        b = try Site("west", 2)
    }

    @Test("makes each a member at the other, and the introducer the mesh's founder")
    mutating func plain() throws {
        let token = try a.token(for: b)
        let outcome = try join(&b, to: &a, token: token)
        #expect(a.roster.memberNames == ["west"] && b.roster.memberNames == ["east"])
        #expect(a.roster.founder == east && b.roster.founder == east)
        #expect(!outcome.isRepeated && outcome.introducer == east)
        #expect(b.roster.admissionsOfThis.count == 1)
        #expect(a.book.entry(token.id)?.state == .used(b.roster.description.pins[0]))
        let member = try #require(a.roster.members.first)
        #expect(member.charter.podPrefixes == [Prefix("10.2.0.0/16")!])
        #expect(member.description.addresses.map(\.description) == ["192.0.2.2:4790"])
        #expect(outcome.events == [.joined(east, introducers: [])])
    }

    @Test(
        "the third joins with one token and sees everybody; the second learns of it from the ledger"
    )
    mutating func third() throws {
        try join(&b, to: &a, token: a.token(for: b))
        var c = try Site("north", 3)
        try join(&c, to: &a, token: a.token(for: c))
        #expect(c.roster.memberNames == ["east", "west"])
        let events = b.roster.receive(a.roster.published, verify: verifyStatement)
        #expect(events == [.joined(c.authority.name, introducers: [east])])
        #expect(b.roster.memberNames == ["east", "north"])
        // Whom a member that is no introducer brings, others don't trust until they say so.
        var d = try Site("south", 4)
        try join(&d, to: &b, token: b.token(for: d))
        #expect(d.roster.memberNames == ["east", "north", "west"] && d.roster.founder == east)
        _ = a.roster.receive(b.roster.statements, verify: verifyStatement)
        #expect(a.roster.state("south").hasPrefix("pending: introduced by 'west'"))
        _ = try a.roster.accept(d.authority.name, verify: verifyStatement)
        #expect(a.roster.memberNames == ["north", "south", "west"])
    }

    @Test(
        "killed before any step nothing is half done, and the same token finishes it",
        arguments: 0..<joinSteps)
    mutating func kills(step: Int) throws {
        let token = try a.token(for: b)
        #expect(throws: Killed.self) { try join(&b, to: &a, token: token, dying: step) }
        try a.restart()
        try b.restart()
        #expect(a.roster.clusters.count == a.roster.members.count)
        if b.roster.memberNames == ["east"] { #expect(a.roster.memberNames == ["west"]) }
        if let state = a.book.entry(token.id)?.state, state != .open {
            // Whoever else has found the token has come too late.
            var thief = try Site("west", 2)
            #expect(
                try refusal { try join(&thief, to: &a, token: token) } == .usedToken(token.id))
            #expect(thief.roster.clusters.isEmpty)
        }
        // A second kill, of the other side, changes nothing.
        #expect(throws: Killed.self) { try join(&b, to: &a, token: token, dying: 7) }
        try b.restart()
        try join(&b, to: &a, token: token)
        try a.restart()
        #expect(a.roster.memberNames == ["west"] && b.roster.memberNames == ["east"])
        #expect(a.roster.published.count == 2)
        #expect(a.book.entry(token.id)?.state == .used(b.roster.description.pins[0]))
    }

    @Test("repeated with a new token, or the other way round, it succeeds and changes nothing")
    mutating func repeated() throws {
        try join(&b, to: &a, token: a.token(for: b))
        let before = a.roster
        #expect(try join(&b, to: &a, token: a.token(for: b)).isRepeated)
        #expect(a.roster == before)
        #expect(try join(&a, to: &b, token: b.token(for: a)).isRepeated)
        #expect(a.roster.memberNames == ["west"] && b.roster.memberNames == ["east"])
    }

    @Test("clocks half a minute apart raise an alarm, five minutes apart end the join, shown both")
    mutating func clocks() throws {
        let token = try a.token(for: b)
        for skew in [JoinLimit.clockToleranceSeconds + 1, 100_000] {
            for (now, remote) in [(dawn, dawn + skew), (dawn + skew, dawn)] {
                let late = max(now, remote) > token.expiresAt + JoinLimit.clockToleranceSeconds
                let found = try refusal {
                    try join(&b, to: &a, token: token, now: now, introducerNow: remote)
                }
                if !late { #expect(found == .clockSkew(joiner: now, introducer: remote)) }
                #expect(found != nil)
                #expect(a.roster.clusters.isEmpty && b.roster.clusters.isEmpty)
            }
            a.limiter = TryLimiter()
        }
        let text = "\(JoinRefusal.clockSkew(joiner: dawn, introducer: dawn + 301))"
        #expect(text.contains("2026-07-01T00:00:00Z") && text.contains("2026-07-01T00:05:01Z"))
        let outcome = try join(&b, to: &a, token: token, introducerNow: dawn + 31)
        #expect(outcome.clock.seconds == 31 && outcome.clock.isAlarming)
        let calm = try join(&b, to: &a, token: token, introducerNow: dawn - 30)
        #expect(calm.clock.seconds == -30 && !calm.clock.isAlarming)
    }

    @Test("who terminates TLS in between gains nothing")
    mutating func interception() throws {
        let token = try a.token(for: b)
        let other = JoinChannel(serverCertificate: [9])
        #expect(try refusal { try join(&b, to: &a, token: token, channel: other) } == .notProven)
        // Answering himself, as the cluster that the token names.
        var impostor = try Site("east", 1)
        impostor.book = a.book
        #expect(
            try refusal { try join(&b, to: &impostor, token: token) }
                == .wrongPin(
                    expected: token.pins, found: impostor.roster.description.pins))
        // Without asking for a proof, with his own root, and with the real one shown beside it.
        var joiner = try Joiner(token: token, roster: b.roster, now: dawn)
        let request = try joiner.request(channel: wire, nonce: nonce, now: dawn)
        let digest = try JoinRequest(encoded: request).digest(on: wire)
        var mixed = impostor.authority
        mixed.roots = [mixed.roots[0], a.authority.roots[0]]
        for (authority, expected) in [(impostor.authority, "wrongPin"), (mixed, "untrusted")] {
            let welcome = try Signed(
                JoinWelcome(
                    request: digest, issuedAt: dawn,
                    body: .cluster(
                        authority.announcement(1), founder: east,
                        statements: sha256(JoinResponse.encode([])))), by: authority.signers)
            let answer = JoinResponse(.welcome(welcome, statements: [])).encoded
            let found = try refusal {
                _ = try joiner.receive(answer, into: &b.roster, now: dawn, verify: verifyStatement)
            }
            #expect(found.map(label) == expected)
        }
        #expect(a.roster.clusters.isEmpty && b.roster.clusters.isEmpty)
    }

    @Test(
        "a thief who lists the victim's root beside the own neither takes its token nor its place")
    mutating func listedRoot() throws {
        for step in [3, Int.max] {
            var a = try Site("east", 1)
            let token = try a.token(for: b)
            do { try join(&b, to: &a, token: token, dying: step) } catch is Killed {}
            try a.restart()
            for order in [[0, 1], [1, 0]] {
                var thief = try TestAuthority("west")
                let own = thief.signers
                thief.roots.append(b.authority.roots[0])
                thief.roots = order.map { thief.roots[$0] }
                let listed = try thief.announcement(2, sequence: dawn + 50, signers: own)
                let request = try JoinRequest(
                    token: token, clock: dawn, nonce: nonce, body: .cluster(listed), channel: wire)
                #expect(throws: JoinRefusal.usedToken(token.id)) {
                    try JoinIntroduction.open(
                        request.encoded, channel: wire, source: source, book: &a.book,
                        limiter: &a.limiter, roster: a.roster, clock: 0, now: dawn,
                        verify: verifyStatement)
                }
                // Not even with a token of its own.
                let another = try a.token(for: b)
                let second = try JoinRequest(
                    token: another, clock: dawn, nonce: nonce, body: .cluster(listed),
                    channel: wire)
                guard a.roster.memberNames == ["west"] else { continue }
                #expect(throws: JoinRefusal.duplicateName(b.authority.name)) {
                    try JoinIntroduction.open(
                        second.encoded, channel: wire, source: source, book: &a.book,
                        limiter: &a.limiter, roster: a.roster, clock: 0, now: dawn,
                        verify: verifyStatement)
                }
            }
        }
    }

    @Test("statements of a kind that only a later version knows are passed over, and said to be")
    mutating func laterVersions() throws {
        let token = try a.token(for: b)
        var joiner = try Joiner(token: token, roster: b.roster, now: dawn)
        let request = try joiner.request(channel: wire, nonce: nonce, now: dawn)
        let statements = a.roster.statements.map(\.encoded) + [[9, 9, 9]]
        let welcome = try Signed(
            JoinWelcome(
                request: JoinRequest(encoded: request).digest(on: wire), issuedAt: dawn,
                body: .cluster(
                    a.roster.announcement, founder: east,
                    statements: sha256(JoinResponse.encode(statements)))),
            by: a.authority.signers)
        let outcome = try joiner.receive(
            JoinResponse(.welcome(welcome, statements: statements)).encoded, into: &b.roster,
            now: dawn, verify: verifyStatement)
        #expect(b.roster.memberNames == ["east"])
        #expect(
            outcome.events.contains {
                if case .ignored(_, .unreadable) = $0 { true } else { false }
            })
    }

    @Test("an answer to another request, on another connection, or repeated later is not taken")
    mutating func replayedAnswer() throws {
        let token = try a.token(for: b)
        func ask(_ joiner: inout Joiner, _ nonce: UInt8) throws -> [UInt8] {
            try joiner.request(
                channel: wire, nonce: [UInt8](repeating: nonce, count: 16), now: dawn)
        }
        var first = try Joiner(token: token, roster: b.roster, now: dawn)
        let request = try ask(&first, 1)
        let introduction = try JoinIntroduction.open(
            request, channel: wire, source: source, book: &a.book, limiter: &a.limiter,
            roster: a.roster, clock: 0, now: dawn, verify: verifyStatement)
        _ = try introduction.admit(
            into: &a.roster, now: dawn, signers: a.authority.signers, verify: verifyStatement)
        let answer = try introduction.response(
            from: a.roster, now: dawn, signers: a.authority.signers)
        var second = try Joiner(token: token, roster: b.roster, now: dawn)
        _ = try ask(&second, 2)
        var roster = b.roster
        #expect(throws: JoinRefusal.untrusted("it answers another request")) {
            try second.receive(answer, into: &roster, now: dawn, verify: verifyStatement)
        }
        let late = dawn + JoinLimit.clockToleranceSeconds + 1
        #expect(throws: JoinRefusal.clockSkew(joiner: late, introducer: dawn)) {
            try first.receive(answer, into: &roster, now: late, verify: verifyStatement)
        }
        #expect(roster == b.roster)
        _ = try first.receive(answer, into: &roster, now: dawn, verify: verifyStatement)
        #expect(roster.memberNames == ["east"])
    }

    @Test("no request and no answer with a changed byte is taken")
    mutating func mutations() throws {
        let token = try a.token(for: b)
        var joiner = try Joiner(token: token, roster: b.roster, now: dawn)
        let request = try joiner.request(channel: wire, nonce: nonce, now: dawn)
        #expect(TokenSubject.Kind(ofRequest: request) == .cluster)
        for index in request.indices {
            var changed = request
            changed[index] ^= 1 << (index % 8)
            var limiter = TryLimiter()
            #expect(throws: JoinRefusal.self, "byte \(index)") {
                try JoinIntroduction.open(
                    changed, channel: wire, source: source, book: &a.book, limiter: &limiter,
                    roster: a.roster, clock: 0, now: dawn, verify: verifyStatement)
            }
        }
        #expect(a.book.entry(token.id)?.state == .open)
        let introduction = try JoinIntroduction.open(
            request, channel: wire, source: source, book: &a.book, limiter: &a.limiter,
            roster: a.roster, clock: 0, now: dawn, verify: verifyStatement)
        _ = try introduction.admit(
            into: &a.roster, now: dawn, signers: a.authority.signers, verify: verifyStatement)
        let answer = try introduction.response(
            from: a.roster, now: dawn, signers: a.authority.signers)
        let before = b.roster
        var variants = stride(from: 0, to: answer.count, by: 3).map { index in
            var changed = answer
            changed[index] ^= 1 << (index % 8)
            return changed
        }
        variants += stride(from: 0, to: answer.count, by: 41).map { Array(answer.prefix($0)) }
        variants.append(answer + [0])
        for (index, variant) in variants.enumerated() {
            #expect(throws: JoinRefusal.self, "variant \(index)") {
                try joiner.receive(
                    variant, into: &b.roster, now: dawn, verify: verifyStatement)
            }
        }
        #expect(b.roster == before)
    }
}
