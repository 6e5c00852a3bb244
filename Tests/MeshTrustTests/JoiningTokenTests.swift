// SPDX-License-Identifier: Apache-2.0

import Foundation
import MeshModel
import Testing
import X509

@testable import MeshTrust

@Suite("A join token")
struct JoiningTokenTests {
    let founder: TestAuthority
    let subject = TokenSubject(cluster: west, id: ClusterID(rawValue: 2)!)

    init() throws { founder = try TestAuthority("east") }

    func issue(_ book: inout TokenBook, for subject: TokenSubject? = nil) throws -> JoinToken {
        let bundle = try founder.bundle
        return try book.issue(
            for: subject ?? self.subject, issuer: bundle.trustDomain,
            pins: bundle.anchors.map { KeyPin(of: $0) }, now: dawn)
    }

    @Test("survives being copied, in either case, and says for whom it is and until when")
    func text() throws {
        var book = TokenBook()
        for subject in [subject, TokenSubject(node: "n1.rack", of: ClusterID(rawValue: 1)!)!] {
            let token = try issue(&book, for: subject)
            #expect(try JoinToken(parsing: token.text) == token)
            #expect(try JoinToken(parsing: token.text.uppercased()) == token)
            #expect(token.text.allSatisfy { $0.isLetter || $0.isNumber || $0 == "-" })
            #expect("\(token)".contains("\(subject)"))
            #expect("\(token)".contains("2026-07-01T01:00:00Z"))
            let target = try JoinTarget(parsing: "\(token.text)@[2001:db8::1]:4790")
            #expect(target.token == token)
            #expect("\(target.address)" == "[2001:db8::1]:4790")
        }
    }

    @Test("with any character wrong, missing, doubled or swapped it is mistyped, not unknown")
    func mistyped() throws {
        var book = TokenBook()
        let text = Array(try issue(&book).text)
        let start = try #require(text.firstIndex(of: "-")) + 1
        for index in start..<text.count {
            var wrong = text
            wrong[index] = wrong[index] == "7" ? "8" : "7"
            var missing = text
            missing.remove(at: index)
            var doubled = text
            doubled.insert(text[index], at: index)
            var variants = [wrong, missing, doubled]
            if index + 1 < text.count, text[index] != text[index + 1] {
                var swapped = text
                swapped.swapAt(index, index + 1)
                variants.append(swapped)
            }
            for variant in variants {
                #expect(throws: JoinRefusal.mistypedToken) {
                    try JoinToken(parsing: String(variant))
                }
            }
        }
        for garbage in [
            "", "weft", "weft1-", "weftx-00", "hello", String(repeating: "0", count: 5000),
        ] {
            #expect(throws: JoinRefusal.mistypedToken) { try JoinToken(parsing: garbage) }
        }
        #expect(throws: JoinRefusal.unsupportedVersion(2, supported: 1)) {
            try JoinToken(parsing: "weft2-" + String(text[start...]))
        }
        for target in [String(text), String(text) + "@host", String(text) + "@192.0.2.1:0"] {
            #expect(throws: JoinRefusal.malformedAddress) { try JoinTarget(parsing: target) }
        }
    }

    @Test("its secret is in its text and nowhere else")
    func secrecy() throws {
        var book = TokenBook()
        let token = try issue(&book)
        let secret = token.secret.exposed
        _ = book.reserve(token.id, for: token.pins[0])
        var said = ["\(token)", String(reflecting: token), "\(token.secret)", "\(book)"]
        said.append(String(decoding: try JSONEncoder().encode(book), as: UTF8.self))
        var dumped = ""
        dump(token, to: &dumped)
        dump(book, to: &dumped)
        dump(JoinTarget.self, to: &dumped)
        said.append(dumped)
        for text in ["x", String(token.text.dropLast()), token.text + "@"] {
            said.append(
                "\(try #require(try refusal { _ = try JoinTarget(parsing: text + "@h:1") }))")
        }
        said.append("\(JoinRefusal.unknownToken(token.id)) \(JoinRefusal.usedToken(token.id))")
        var written = secret.map(String.init).joined(separator: ", ")
        for spelling in [
            hexadecimal(secret), Data(secret).base64EncodedString(), Base32.encode(secret), written,
            String(token.text.suffix(60).prefix(20)),
        ] {
            for text in said { #expect(!text.lowercased().contains(spelling.lowercased())) }
        }
        // The search itself finds what is there.
        written = "bytes: [\(written)]"
        #expect(written.contains(secret.map(String.init).joined(separator: ", ")))
        #expect(!Base32.encode(secret).isEmpty && secret.count * 8 >= 128)
    }

    @Test("of two made at once everything secret differs")
    func randomness() throws {
        var book = TokenBook()
        let tokens = try (0..<20).map { _ in try issue(&book) }
        #expect(Set(tokens.map(\.id)).count == 20)
        #expect(Set(tokens.map(\.secret.exposed)).count == 20)
    }

    @Test("a base 32 of Crockford round-trips and has one spelling for each value")
    func base32() {
        var generator = SplitMix64(seed: 1)
        for length in 0..<40 {
            let bytes = (0..<length).map { _ in UInt8.random(in: 0 ... .max, using: &generator) }
            let text = Base32.encode(bytes)
            #expect(Base32.decode(text) == bytes)
            #expect(Base32.decode(text + "0") != bytes)
        }
        #expect(Base32.decode("0O1lI") == Base32.decode("00111"))
        #expect(Base32.decode("u") == nil && Base32.decode("é") == nil)
    }
}

@Suite("A token book")
struct JoiningTokenBookTests {
    let domain: TrustDomain
    let subject = TokenSubject(cluster: west, id: ClusterID(rawValue: 2)!)
    let mine = KeyPin(unchecked: [UInt8](repeating: 1, count: 32))
    let theirs = KeyPin(unchecked: [UInt8](repeating: 2, count: 32))

    init() throws { domain = try TrustDomain(cluster: east, mesh: mesh) }

    func check(
        _ book: TokenBook, _ token: JoinToken, by holder: KeyPin, for subject: TokenSubject? = nil,
        at now: UInt64 = dawn, message: [UInt8] = [1], proving: [UInt8] = [1]
    ) throws -> JoinRefusal? {
        let proof = try token.secret.proof(of: proving, salt: token.id)
        return try refusal {
            _ = try book.check(
                token.id, proof: proof, of: message, subject: subject ?? self.subject,
                keys: [holder], now: now)
        }
    }

    @Test("gives a token to one key, which may come back, and to no other")
    func oneUse() throws {
        var book = TokenBook()
        let token = try book.issue(for: subject, issuer: domain, pins: [mine], now: dawn)
        #expect(try check(book, token, by: mine) == nil)
        let changes = [book.reserve(token.id, for: mine), book.reserve(token.id, for: theirs)]
        #expect(changes == [true, false])
        for _ in 0..<2 {
            book = try copied(book)
            #expect(try check(book, token, by: mine) == nil)
            #expect(try check(book, token, by: theirs) == .usedToken(token.id))
            _ = book.markUsed(token.id, by: theirs)
            #expect(book.entry(token.id)?.state.holder == mine)
            _ = book.markUsed(token.id, by: mine)
        }
        #expect(book.entry(token.id)?.state == .used(mine))
    }

    @Test("tells apart unknown, unproven, another's and expired, and little to who proves nothing")
    func refusals() throws {
        var book = TokenBook()
        let token = try book.issue(for: subject, issuer: domain, pins: [mine], now: dawn)
        let other = TokenSubject(cluster: west, id: ClusterID(rawValue: 3)!)
        let late = token.expiresAt + 1
        #expect(try check(TokenBook(), token, by: mine) == .unknownToken(token.id))
        #expect(try check(book, token, by: mine, proving: [2]) == .notProven)
        #expect(
            try check(book, token, by: mine, for: other)
                == .tokenForOther(subject, presented: other))
        #expect(try check(book, token, by: mine, at: token.expiresAt) == nil)
        #expect(
            try check(book, token, by: mine, at: late)
                == .expiredToken(expiresAt: token.expiresAt, now: late))
        _ = book.reserve(token.id, for: theirs)
        #expect(try check(book, token, by: mine, at: late, proving: [2]) == .notProven)
        var foreign = TokenBook()
        let stolen = try foreign.issue(for: subject, issuer: domain, pins: [mine], now: dawn)
        let forged = JoinToken(
            id: token.id, subject: subject, issuer: domain, pins: [mine], expiresAt: dawn,
            secret: stolen.secret)
        #expect(try check(book, forged, by: mine) == .notProven)
    }

    @Test("bounds the life of tokens and their number, and forgets what expired a day ago")
    func bounds() throws {
        var book = TokenBook()
        var generator = SplitMix64(seed: 3)
        for seconds in [0, TokenBook.lifetimeMaximumSeconds + 1] {
            #expect(throws: TokenBook.Fault.lifetime(seconds)) {
                try book.issue(
                    for: subject, issuer: domain, pins: [mine], lifetimeSeconds: seconds, now: dawn)
            }
        }
        #expect(throws: TokenBook.Fault.pins(0)) {
            try book.issue(for: subject, issuer: domain, pins: [], now: dawn)
        }
        for _ in 0..<TokenBook.capacity {
            _ = try book.issue(
                for: subject, issuer: domain, pins: [mine], now: dawn, using: &generator)
        }
        #expect(throws: TokenBook.Fault.full) {
            try book.issue(for: subject, issuer: domain, pins: [mine], now: dawn)
        }
        #expect(try JSONEncoder().encode(book).count < SecretFile.bytesMaximum / 2)
        let gone = dawn + TokenBook.lifetimeSeconds + TokenBook.memorySeconds
        book.sweep(now: gone)
        #expect(book.entries.count == TokenBook.capacity)
        let token = try book.issue(for: subject, issuer: domain, pins: [mine], now: gone + 1)
        #expect(book.entries.map(\.id) == [token.id])
        let revoked = [book.revoke(token.id), book.revoke(token.id)]
        #expect(revoked == [true, false])
    }

    @Test("an address has five tries a minute, all together sixty, and hears how long to wait")
    func tries() throws {
        var limiter = TryLimiter()
        func count(_ address: String, at now: UInt64) throws -> JoinRefusal? {
            try refusal { try limiter.count(from: Address(address)!, at: now) }
        }
        for second in 0..<5 { #expect(try count("192.0.2.1", at: UInt64(second)) == nil) }
        #expect(try count("192.0.2.1", at: 10) == .tooManyTries(retryAfterSeconds: 50))
        #expect(try count("192.0.2.2", at: 10) == nil)
        #expect(try count("192.0.2.1", at: 60) == nil)
        #expect(try count("192.0.2.1", at: 60) == .tooManyTries(retryAfterSeconds: 1))
        limiter = TryLimiter()
        for low in 0..<5 { #expect(try count("2001:db8::\(low)", at: 0) == nil) }
        #expect(try count("2001:db8::9", at: 0) != nil)
        for high in 1...55 { #expect(try count("2001:db8:0:\(high)::1", at: 1) == nil) }
        #expect(try count("198.51.100.1", at: 1) == .tooManyTries(retryAfterSeconds: 59))
        #expect(try count("198.51.100.1", at: 61) == nil)
    }
}
