// SPDX-License-Identifier: Apache-2.0

import Foundation
import MeshModel
import Testing
import X509

@testable import MeshTrust

@Suite("Bundles held of other clusters")
struct BundleBookTests {
    let old: Issuer
    let new: Issuer
    var book = BundleBook(mesh: mesh)
    private let none = DenyBook(mesh: mesh)

    init() throws {
        (old, new) = (try Issuer(east), try Issuer(east))
        _ = try book.admit(
            old.bundle(5).sealed(by: old.sign), isAdmitted: { [root = old.root] in $0 == root },
            denials: none,
            judge: judge)
    }

    @Test("a root is replaced in two steps, each signed below a root that is held")
    mutating func rotation() throws {
        let both = try old.bundle(6, roots: [old.root, new.root]).sealed(by: old.sign)
        let first = try #require(try book.receive(both, denials: none, judge: judge))
        #expect(first.added == [keyIdentifierText(new.root)])
        #expect(first.removed.isEmpty)
        #expect(
            try book.receive(both, denials: none, judge: judge) == nil,
            "a repetition changes nothing")
        let last = try new.bundle(7).sealed(by: new.sign)
        let second = try #require(try book.receive(last, denials: none, judge: judge))
        #expect(second.removed == [keyIdentifierText(old.root)])
        #expect(book.store[old.domain.name]?.anchors == [new.root])
        #expect(book.sequence(of: old.domain) == 7)
        #expect(book.statement(of: old.domain) == last)
        // Who has the old key can't come back.
        let back = try old.bundle(8).sealed(by: old.sign)
        #expect(refusal(of: back) == "notSigned")
    }

    @Test("a statement with other roots counts only if a held root's authority signed it")
    mutating func stranger() throws {
        let roots = [old.root, new.root]
        // The newcomer vouches for itself: its root is in the statement but not held.
        #expect(refusal(of: try old.bundle(6, roots: roots).sealed(by: new.sign)) == "notSigned")
        #expect(refusal(of: try new.bundle(6).sealed(by: new.sign)) == "notSigned")
        // A node's certificate chains to the root as well.
        #expect(
            refusal(of: try old.bundle(6, roots: roots).sealed(by: old.signAsNode)) == "notSigned")
        #expect(book.sequence(of: old.domain) == 5)
        let other = try Issuer(west)
        #expect(
            refusal(of: try other.bundle(6).sealed(by: other.sign)) == "foreignTrustDomain")
    }

    @Test("a lower sequence is never accepted, and two statements of one sequence are an alarm")
    mutating func order() throws {
        let sixth = try old.bundle(6, roots: [old.root, new.root])
        _ = try book.receive(sixth.sealed(by: old.sign), denials: none, judge: judge)
        #expect(refusal(of: try old.bundle(5).sealed(by: old.sign)) == "stale")
        let twin = try old.bundle(6).sealed(by: old.sign)
        #expect(refusal(of: twin) == "conflicting")
        do throws(StatementRefusal) {
            _ = try book.receive(twin, denials: none, judge: judge)
        } catch {
            #expect(error.isAlarm)
        }
        // No alarm without the key: anybody can write a statement.
        let other = try Issuer(east)
        #expect(refusal(of: try old.bundle(6).sealed(by: other.sign)) == "notSigned")
        #expect(book.store[old.domain.name]?.anchors.count == 2)
    }

    @Test("an intermediate that is denied changes no roots")
    mutating func denied() throws {
        var denials = none
        try denials.denyLocally(
            DenyEntry(
                .authority(keyIdentifier: #require(old.intermediate.ownKeyIdentifier)),
                reason: "stolen", since: noon, until: noon + 60))
        let signed = try old.bundle(6, roots: [old.root, new.root]).sealed(by: old.sign)
        var copy = book
        #expect(
            refused { () throws(StatementRefusal) in
                _ = try copy.receive(signed, denials: denials, judge: judge)
            } == "notSigned")
        #expect(try book.receive(signed, denials: none, judge: judge) != nil)
    }

    @Test("a domain gets in once, with the root and the signature of its admission")
    mutating func admission() throws {
        #expect(
            refusedAdmission(try old.bundle(9).sealed(by: old.sign), root: old.root)
                == "alreadyKnown")
        let other = try Issuer(west)
        let signed = try other.bundle(1).sealed(by: other.sign)
        #expect(refusedAdmission(signed, root: old.root) == "notSigned")
        // With the pinned root in it, but signed below another one of the statement.
        let accomplice = try Issuer(west)
        let mixed = try other.bundle(1, roots: [other.root, accomplice.root])
        #expect(
            refusedAdmission(try mixed.sealed(by: accomplice.sign), root: other.root)
                == "notSigned")
        let change = try book.admit(
            signed, isAdmitted: { [root = other.root] in $0 == root }, denials: none,
            judge: judge)
        #expect(change.trustDomain == other.domain)
        #expect(book.trustDomains == [old.domain, other.domain])
        book.forget(other.domain)
        #expect(book.trustDomains == [old.domain])
    }

    @Test(
        "a bundle without roots revokes the domain until it is admitted again, with a higher sequence"
    )
    mutating func revocation() throws {
        let empty = try BundleStatement(BundleDocument(sequence: 6, roots: []), of: old.domain)
        let change = try #require(
            try book.receive(empty.sealed(by: old.sign), denials: none, judge: judge))
        #expect(change.isRevocation)
        #expect(book.store[old.domain.name] == nil)
        #expect(refusal(of: try old.bundle(7).sealed(by: old.sign)) == "foreignTrustDomain")
        let early = try new.bundle(6).sealed(by: new.sign)
        #expect(refusedAdmission(early, root: new.root) == "conflicting")
        _ = try book.admit(
            new.bundle(7).sealed(by: new.sign), isAdmitted: { [root = new.root] in $0 == root },
            denials: none,
            judge: judge)
        #expect(book.store[old.domain.name]?.anchors == [new.root])
    }

    @Test("the book survives a restart, and a damaged file isn't half believed")
    mutating func persistence() throws {
        _ = try book.receive(
            old.bundle(6, roots: [old.root, new.root]).sealed(by: old.sign), denials: none,
            judge: judge)
        let empty = try Issuer(west)
        _ = try book.admit(
            empty.bundle(1).sealed(by: empty.sign),
            isAdmitted: { [root = empty.root] in $0 == root }, denials: none,
            judge: judge)
        _ = try book.receive(
            BundleStatement(BundleDocument(sequence: 2, roots: []), of: empty.domain)
                .sealed(by: empty.sign), denials: none, judge: judge)
        let folder = try TemporaryDirectory()
        #expect(
            try TrustStateFile.load(BundleBook.self, named: "bundles", in: folder.path) == nil)
        try TrustStateFile.save(book, named: "bundles", in: folder.path)
        let path = "\(folder.path)/bundles"
        #expect(try TemporaryDirectory.mode(of: path) == 0o600)
        var loaded = try #require(
            try TrustStateFile.load(BundleBook.self, named: "bundles", in: folder.path))
        #expect(loaded == book)
        #expect(loaded.store == book.store)
        let late = try old.bundle(5).sealed(by: old.sign)
        #expect(
            refused { () throws(StatementRefusal) in
                _ = try loaded.receive(late, denials: none, judge: judge)
            }
                == "stale")
        // Any byte changed, or the end lost.
        let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        var dice = SplitMix64(seed: 3)
        for round in 0..<64 {
            var damaged = bytes
            if round == 0 {
                damaged.removeLast(10)
            } else {
                damaged[Int.random(in: 0..<bytes.count, using: &dice)] ^= 4
            }
            try damaged.write(to: URL(fileURLWithPath: path))
            #expect(throws: TrustError.self) {
                try TrustStateFile.load(BundleBook.self, named: "bundles", in: folder.path)
            }
        }
    }

    @Test("no changed byte of a signed statement gets through", arguments: 1...3)
    func mutations(seed: UInt64) throws {
        var dice = SplitMix64(seed: seed)
        let signed = try old.bundle(6, roots: [old.root, new.root]).sealed(by: old.sign)
        var writer = ByteWriter()
        signed.encode(into: &writer)
        let wire = writer.bytes
        var reader = ByteReader(wire)
        #expect(try SealedStatement(from: &reader) == signed)
        for _ in 0..<200 {
            var bytes = wire
            let position = Int.random(in: 0..<bytes.count, using: &dice)
            bytes[position] ^= UInt8.random(in: 1 ... .max, using: &dice)
            var reader = ByteReader(bytes)
            guard let changed = try? SealedStatement(from: &reader) else { continue }
            var copy = book
            _ = try? copy.receive(changed, denials: none, judge: judge)
            #expect(copy.sequence(of: old.domain) == 5 || changed.body == signed.body)
        }
    }

    private func refusal(of signed: SealedStatement) -> String? {
        var copy = book
        return refused { () throws(StatementRefusal) in
            _ = try copy.receive(signed, denials: none, judge: judge)
        }
    }

    private func refusedAdmission(_ signed: SealedStatement, root: Certificate) -> String? {
        var copy = book
        return refused { () throws(StatementRefusal) in
            _ = try copy.admit(signed, isAdmitted: { $0 == root }, denials: none, judge: judge)
        }
    }
}
