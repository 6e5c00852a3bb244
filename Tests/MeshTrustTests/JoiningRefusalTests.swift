// SPDX-License-Identifier: Apache-2.0

import Foundation
import MeshModel
import Testing
import X509

@testable import MeshTrust

@Suite("A join that is refused")
struct JoiningRefusalTests {
    var a: Site
    var b: Site

    init() throws {
        a = try Site("east", 1)
        b = try Site("west", 2)
    }

    struct Obstacle: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let kind: String
        let says: String
        /// Of the joiner, and of the token it brings.
        let name: String
        let id: UInt16
        var pods: String?
    }

    static let obstacles: [Obstacle] = [
        Obstacle(
            testDescription: "a member's ID", kind: "duplicateID",
            says: "ID 2 belongs to cluster 'west'", name: "north", id: 2, pods: "10.9.0.0/16"),
        Obstacle(
            testDescription: "the introducer's ID", kind: "duplicateID",
            says: "ID 1 belongs to cluster 'east'", name: "north", id: 1, pods: "10.9.0.0/16"),
        Obstacle(
            testDescription: "a member's name", kind: "duplicateName",
            says: "named 'west' with another root", name: "west", id: 3),
        Obstacle(
            testDescription: "a member's addresses", kind: "overlappingAddresses",
            says: "10.2.7.0/24 of the joining cluster overlaps 10.2.0.0/16 of cluster 'west'",
            name: "north", id: 3, pods: "10.2.7.0/24"),
        Obstacle(
            testDescription: "the introducer's addresses", kind: "overlappingAddresses",
            says: "overlaps 10.1.0.0/16 of cluster 'east'", name: "north", id: 3, pods: "10.0.0.0/8"
        ),
    ]

    @Test(
        "what the mesh already has is refused, the reason names the holder, all stay as they were",
        arguments: obstacles)
    mutating func taken(_ obstacle: Obstacle) throws {
        try join(&b, to: &a, token: a.token(for: b))
        var c = try Site(obstacle.name, obstacle.id, pods: obstacle.pods)
        let token = try a.token(for: c)
        let before = (a.roster, c.roster, a.book)
        let found = try #require(try refusal { try join(&c, to: &a, token: token) })
        #expect("\(found)".contains(obstacle.says), "\(found)")
        #expect(label(found) == obstacle.kind)
        #expect(before.0 == a.roster && before.1 == c.roster && before.2 == a.book)
    }

    @Test("refused for its addresses, it joins with the same token once they are corrected")
    mutating func corrected() throws {
        var wrong = try Site("north", 3, pods: "10.1.0.0/16")
        let token = try a.token(for: wrong)
        #expect(try refusal { try join(&wrong, to: &a, token: token) } != nil)
        let corrected = try wrong.authority.description(3)
        _ = try wrong.roster.announce(
            corrected, now: dawn + 1, signers: wrong.authority.signers)
        try join(&wrong, to: &a, token: token)
        #expect(a.roster.memberNames == ["north"])
    }

    @Test("the token is for one cluster, of one mesh, by another cluster, in time")
    mutating func tokens() throws {
        let token = try a.token(for: b)
        let c = try Site("north", 3)
        #expect(
            try refusal { _ = try Joiner(token: token, roster: c.roster, now: dawn) }
                == .tokenForOther(
                    b.roster.description.subject, presented: c.roster.description.subject))
        #expect(
            try refusal { _ = try Joiner(token: token, roster: a.roster, now: dawn) }
                == .itself(east))
        let late = token.expiresAt + JoinLimit.clockToleranceSeconds + 1
        #expect(
            try refusal { _ = try Joiner(token: token, roster: b.roster, now: late) }
                == .expiredToken(expiresAt: token.expiresAt, now: late))
        #expect(
            try refusal { try join(&b, to: &a, token: token, now: token.expiresAt + 1) }
                == .expiredToken(expiresAt: token.expiresAt, now: token.expiresAt + 1))
        let elsewhere = JoinToken(
            id: token.id, subject: token.subject,
            issuer: try TrustDomain(cluster: east, mesh: "other.test"), pins: token.pins,
            expiresAt: token.expiresAt, secret: token.secret)
        #expect(
            try refusal { _ = try Joiner(token: elsewhere, roster: b.roster, now: dawn) }
                == .otherMesh(own: mesh, other: "other.test"))
        var unknown = try Site("east", 1)
        unknown.roster = a.roster
        #expect(
            try refusal { try join(&b, to: &unknown, token: token) } == .unknownToken(token.id))
        for _ in 0..<TryLimiter.triesPerSource {
            _ = try refusal { try join(&b, to: &unknown, token: token) }
        }
        #expect(
            try refusal { try join(&b, to: &unknown, token: token) }
                == .tooManyTries(retryAfterSeconds: 60))
        #expect(b.roster.clusters.isEmpty)
    }

    @Test("what another version says is refused by its number before anything else is read")
    mutating func versions() throws {
        let token = try a.token(for: b)
        var joiner = try Joiner(token: token, roster: b.roster, now: dawn)
        var request = try joiner.request(channel: wire, nonce: nonce, now: dawn)
        request[0] = 9
        #expect(throws: JoinRefusal.unsupportedVersion(9, supported: 1)) {
            try JoinIntroduction.open(
                request, channel: wire, source: source, book: &a.book, limiter: &a.limiter,
                roster: a.roster, clock: 0, now: dawn, verify: verifyStatement)
        }
        #expect(throws: JoinRefusal.unsupportedVersion(9, supported: 1)) {
            try joiner.receive([9], into: &b.roster, now: dawn, verify: verifyStatement)
        }
        let large = [UInt8](repeating: 1, count: JoinLimit.requestBytes + 1)
        #expect(throws: JoinRefusal.malformed("a request of \(large.count) bytes")) {
            try JoinRequest(encoded: large)
        }
    }

    @Test(
        "every refusal is a sentence of its own, and those the other side tells arrive as they are")
    func sentences() throws {
        let id = TokenID(rawValue: 5)
        let two = ClusterID(rawValue: 2)!
        let (one, other) = (Prefix("10.0.0.0/8")!, Prefix("10.1.0.0/16")!)
        let told: [JoinRefusal] = [
            .unknownToken(id), .expiredToken(expiresAt: dawn, now: dawn + 9), .usedToken(id),
            .tokenForOther(
                TokenSubject(cluster: west, id: two),
                presented: TokenSubject(cluster: east, id: two)),
            .notProven, .itself(east), .clockSkew(joiner: 1, introducer: .max),
            .duplicateName(west), .duplicateID(two, holder: west),
            .overlappingAddresses(own: one, other: other, holder: west),
            .tooManyTries(retryAfterSeconds: 9), .unsupportedVersion(3, supported: 1),
            .malformed("x"), .untrusted("y"), .failed(""),
            .wrongPin(expected: a.roster.description.pins, found: b.roster.description.pins),
        ]
        for refusal in told {
            let bytes = JoinIntroduction.refusal(refusal)
            #expect(try JoinResponse(encoded: bytes).result == .refused(refusal))
        }
        let reason = JoinIntroduction.refusal(.failed("disk full"))
        #expect(try JoinResponse(encoded: reason).result == .refused(.failed("")))
        let mirrored = JoinIntroduction.refusal(.otherMesh(own: "a", other: "b"))
        #expect(
            try JoinResponse(encoded: mirrored).result == .refused(.otherMesh(own: "b", other: "a"))
        )
        let own: [JoinRefusal] = [
            .mistypedToken, .malformedAddress, .otherMesh(own: "a", other: "b"),
        ]
        let sentences = (told + own).map(\.description)
        #expect(Set(sentences).count == sentences.count)
        for sentence in sentences { #expect(sentence.count > 15 && !sentence.hasSuffix(".")) }
        let rude = JoinIntroduction.refusal(.malformed("\u{1b}[2Jhello\n"))
        guard case .refused(let heard) = try JoinResponse(encoded: rude).result else { return }
        #expect(heard == .malformed(" [2Jhello "))
    }
}
