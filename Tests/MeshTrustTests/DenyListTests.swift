// SPDX-License-Identifier: Apache-2.0

import Foundation
import MeshModel
import Testing
import X509

@testable import MeshTrust

private let later = noon + 3_600

@Suite("Deny lists")
struct DenyListTests {
    let issuer: Issuer
    let other: Issuer
    var book = DenyBook(mesh: mesh)
    let bundles: TrustStore

    init() throws {
        (issuer, other) = (try Issuer(east), try Issuer(west))
        bundles = TrustStore(
            try [issuer, other].map {
                try TrustBundle(trustDomain: $0.domain, pem: pemText([$0.root]))
            })
    }

    private func entry(
        _ subject: DenySubject, reason: String = "lost", until: Date = later
    ) throws -> DenyEntry {
        try DenyEntry(subject, reason: reason, since: noon, until: until)
    }

    private func list(_ sequence: UInt64, _ subjects: DenySubject...) throws -> DenyList {
        try DenyList(of: issuer.domain, sequence: sequence, entries: subjects.map { try entry($0) })
    }

    private mutating func accept(_ list: DenyList) throws {
        _ = try book.receive(
            list.sealed(by: issuer.sign), bundles: bundles, judge: judge, now: noon)
    }

    private func refusal(of signed: SealedStatement) -> String? {
        var copy = book
        return refused { () throws(StatementRefusal) in
            _ = try copy.receive(signed, bundles: bundles, judge: judge, now: noon)
        }
    }

    @Test("a denial of a certificate, key, identity or authority ends that chain and no other")
    mutating func subjects() throws {
        let subjects = [
            try #require(DenySubject(certificate: issuer.leaf)),
            .key(digest: try DenySubject.digest(of: issuer.leaf.publicKey)),
            .identity(SPIFFEID(node: "node-1", in: issuer.domain)),
            .authority(keyIdentifier: issuer.intermediate.ownKeyIdentifier!),
            .authority(keyIdentifier: issuer.root.ownKeyIdentifier!),
            try #require(DenySubject(certificate: issuer.intermediate)),
            .key(digest: try DenySubject.digest(of: issuer.root.publicKey)),
        ]
        let sibling = try Issuer(east, node: "node-2")
        for subject in subjects {
            book = DenyBook(mesh: mesh)
            #expect(book.denial(of: issuer.chain) == nil)
            try accept(list(1, subject))
            let denial = try #require(book.denial(of: issuer.chain), "\(subject)")
            #expect(denial.owner == issuer.domain)
            #expect(denial.entry.subject == subject)
            #expect(book.denial(of: other.chain) == nil)
            #expect(book.denial(of: sibling.chain) == nil)
        }
        #expect(book.denial(of: []) == nil)
    }

    @Test("the chain's own issuer counts, whatever key identifier its certificate gives")
    mutating func issuerByChain() throws {
        let authority = issuer.intermediate.ownKeyIdentifier!
        try accept(list(1, .authority(keyIdentifier: authority)))
        #expect(book.denial(of: [issuer.leaf]) != nil, "as the certificate names it")
        let stranger = try Issuer(east)
        let serial = DenySubject.serial(of: stranger.leaf)
        book = DenyBook(mesh: mesh)
        try accept(list(1, .certificate(authority: authority, serial: serial)))
        #expect(
            book.denial(of: [stranger.leaf, issuer.intermediate]) != nil, "as the chain has it")
        #expect(book.denial(of: stranger.chain) == nil)
    }

    @Test("a cluster denies only its own certificates; an operator anything, here")
    mutating func ownership() throws {
        let subjects: [DenySubject] = [
            try #require(DenySubject(certificate: other.leaf)),
            .key(digest: try DenySubject.digest(of: other.leaf.publicKey)),
            .authority(keyIdentifier: other.root.ownKeyIdentifier!),
        ]
        for (index, subject) in subjects.enumerated() {
            try accept(list(UInt64(index + 1), subject))
            #expect(book.denial(of: other.chain) == nil, "east says \(subject)")
        }
        let id = SPIFFEID(node: "node-1", in: other.domain)
        #expect(
            refused { () throws(StatementRefusal) in
                _ = try DenyList(
                    of: issuer.domain, sequence: 9,
                    entries: [
                        DenyEntry(.identity(id), reason: "", since: noon, until: later)
                    ])
            } == "malformed")
        for subject in subjects + [.identity(id)] {
            try book.denyLocally(entry(subject))
            let denial = try #require(book.denial(of: other.chain))
            #expect(denial.owner == nil)
            #expect(book.allowLocally(subject) != nil)
            #expect(book.allowLocally(subject) == nil)
            #expect(book.denial(of: other.chain) == nil)
        }
    }

    @Test(
        "of a cluster's lists the one with the highest sequence counts, and lower ones never again")
    mutating func order() throws {
        let key = DenySubject.key(digest: try DenySubject.digest(of: issuer.leaf.publicKey))
        let second = try list(2, key)
        try accept(second)
        let empty = try list(1)
        #expect(refusal(of: try empty.sealed(by: issuer.sign)) == "stale")
        #expect(refusal(of: try list(2).sealed(by: issuer.sign)) == "conflicting")
        let repetition = try second.sealed(by: issuer.sign)
        #expect(try book.receive(repetition, bundles: bundles, judge: judge, now: noon) == nil)
        #expect(book.denial(of: issuer.chain) != nil)
        try accept(list(3))
        #expect(book.denial(of: issuer.chain) == nil)
        #expect(book.sequence(of: issuer.domain) == 3)
    }

    @Test("whoever has a forgotten name begins anew, and goes back no more than others")
    mutating func lives() throws {
        let key = DenySubject.key(digest: try DenySubject.digest(of: issuer.leaf.publicKey))
        try accept(list(7, key))
        let hasBegun = book.begin(life: 0, of: issuer.domain)
        let first = try list(1).sealed(by: issuer.sign)
        #expect(!hasBegun && refusal(of: first) == "stale", "it left, and came back")
        let forgets = [
            book.begin(life: 4, of: other.domain), book.begin(life: 4, of: issuer.domain),
        ]
        #expect(forgets == [false, true])
        #expect(book.denial(of: issuer.chain) == nil && book.owners.isEmpty)
        try accept(list(2, key))
        book = try JSONDecoder().decode(DenyBook.self, from: JSONEncoder().encode(book))
        for life in [0, 3, 4] as [UInt64] {
            let isAnother = book.begin(life: life, of: issuer.domain)
            #expect(!isAnother)
        }
        #expect(refusal(of: first) == "stale")
        #expect(book.denial(of: issuer.chain) != nil)
    }

    @Test("only an authority of the cluster that isn't denied itself changes its list")
    mutating func signers() throws {
        #expect(refusal(of: try list(1).sealed(by: other.sign)) == "notSigned")
        #expect(refusal(of: try list(1).sealed(by: issuer.signAsNode)) == "notSigned")
        let foreign = try Issuer(ClusterName(rawValue: "south")!)
        let theirs = try DenyList(of: foreign.domain, sequence: 1, entries: [])
        #expect(refusal(of: try theirs.sealed(by: foreign.sign)) == "foreignTrustDomain")
        // Whoever has stolen the intermediate can't lift the denial of it.
        try accept(list(1, .authority(keyIdentifier: issuer.intermediate.ownKeyIdentifier!)))
        #expect(refusal(of: try list(2).sealed(by: issuer.sign)) == "notSigned")
        #expect(book.denial(of: issuer.chain) != nil)
    }

    @Test("a denial drops off when what it denies has expired")
    mutating func expiry() throws {
        let key = DenySubject.key(digest: try DenySubject.digest(of: issuer.leaf.publicKey))
        try accept(list(1, key))
        try book.denyLocally(
            entry(.identity(SPIFFEID(node: "node-1", in: other.domain)), until: later + 60))
        #expect(book.expire(now: noon) == later)
        #expect(book.denial(of: issuer.chain) != nil)
        #expect(book.expire(now: later) == later + 60)
        #expect(book.denial(of: issuer.chain) == nil)
        #expect(book.denial(of: other.chain) != nil)
        #expect(book.expire(now: later + 60) == nil)
        #expect(book.denial(of: other.chain) == nil)
        #expect(book.sequence(of: issuer.domain) == 1, "the sequence is remembered")
        #expect(try list(1, key).next(now: later).entries.isEmpty)
        #expect(try list(1, key).next(now: later).sequence == 2)
    }

    @Test("the next list adds, removes and forgets what has expired")
    func successor() throws {
        let (a, b, c) = (
            DenySubject.key(digest: [UInt8](repeating: 1, count: 32)),
            DenySubject.key(digest: [UInt8](repeating: 2, count: 32)),
            DenySubject.key(digest: [UInt8](repeating: 3, count: 32))
        )
        let first = try DenyList(
            of: issuer.domain, sequence: 1,
            entries: [entry(a, until: noon + 10), entry(b)])
        let next = try first.next(adding: [entry(c)], removing: [b], now: noon + 20)
        #expect(next.entries.map(\.subject) == [c])
        // Of two about one subject the longer counts.
        let both = try first.next(adding: [entry(b, until: noon + 5)], now: noon)
        #expect(both.entries.map(\.until) == [noon + 10, later])
    }

    @Test("one list has one encoding")
    func canonical() throws {
        let entries = try (0..<5).map {
            try entry(.certificate(authority: [9, UInt8($0)], serial: [UInt8($0 + 1)]))
        }
        let list = try DenyList(of: issuer.domain, sequence: 4, entries: entries)
        let shuffled = try DenyList(of: issuer.domain, sequence: 4, entries: entries.reversed())
        #expect(list.body == shuffled.body)
        #expect(try DenyList(body: list.body, mesh: mesh) == list)
        // The same entries in another order, or twice.
        var writer = ByteWriter()
        writer.write(raw: DenyList.context)
        writer.write(DenyList.version)
        writer.write(issuer.domain.name)
        writer.write(UInt64(4))
        let head = writer
        for wrong in [Array(list.entries.reversed()), list.entries + [list.entries[4]]] {
            var writer = head
            writer.write(list: wrong) { $1.encode(into: &$0) }
            let body = writer.bytes
            #expect(
                refused { () throws(StatementRefusal) in _ = try DenyList(body: body, mesh: mesh) }
                    == "malformed")
        }
        writer.write(list: list.entries) { $1.encode(into: &$0) }
        #expect(writer.bytes == list.body)
        #expect(
            refused { () throws(StatementRefusal) in
                _ = try DenyList(body: list.body + [0], mesh: mesh)
            } == "malformed")
        #expect(
            refused { () throws(StatementRefusal) in
                _ = try DenyList(body: list.body, mesh: "other.test")
            } == "malformed")
    }

    @Test("lists and reasons are bounded")
    func bounds() throws {
        let entries = try (0...DenyList.entriesMaximum).map {
            try entry(.certificate(authority: [1], serial: [1, UInt8($0 >> 8), UInt8($0 & 255)]))
        }
        #expect(
            refused { () throws(StatementRefusal) in
                _ = try DenyList(of: issuer.domain, sequence: 1, entries: entries)
            } == "malformed")
        let full = try DenyList(
            of: issuer.domain, sequence: 1, entries: Array(entries.dropLast()))
        #expect(try DenyList(body: full.body, mesh: mesh).entries.count == 1024)
        for reason in [String(repeating: "a", count: 201), "a\u{1b}[2J", "a\nb"] {
            #expect(
                refused { () throws(StatementRefusal) in
                    _ = try DenyEntry(
                        .key(digest: []), reason: reason, since: noon, until: later)
                } == "malformed")
        }
        #expect(
            refused { () throws(StatementRefusal) in
                _ = try DenyEntry(.key(digest: []), reason: "", since: later, until: noon)
            } == "malformed")
    }

    @Test("what is denied stays denied across a restart, and a damaged file isn't an empty one")
    mutating func persistence() throws {
        try accept(
            list(3, .key(digest: try DenySubject.digest(of: issuer.leaf.publicKey))))
        try book.denyLocally(entry(.identity(SPIFFEID(node: "node-1", in: other.domain))))
        let folder = try TemporaryDirectory()
        try TrustStateFile.save(book, named: "denied", in: folder.path)
        var loaded = try #require(
            try TrustStateFile.load(DenyBook.self, named: "denied", in: folder.path))
        #expect(loaded == book)
        #expect(loaded.denial(of: issuer.chain) == book.denial(of: issuer.chain))
        #expect(loaded.denial(of: other.chain) != nil)
        let stale = try list(2).sealed(by: issuer.sign)
        #expect(
            refused { () throws(StatementRefusal) in
                _ = try loaded.receive(stale, bundles: bundles, judge: judge, now: noon)
            } == "stale")
        let path = "\(folder.path)/denied"
        let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        var dice = SplitMix64(seed: 5)
        for round in 0..<64 {
            var damaged = bytes
            if round == 0 {
                damaged = Data()
            } else {
                damaged[Int.random(in: 0..<bytes.count, using: &dice)] ^= 1
            }
            try damaged.write(to: URL(fileURLWithPath: path))
            #expect(throws: TrustError.self) {
                try TrustStateFile.load(DenyBook.self, named: "denied", in: folder.path)
            }
        }
    }

    @Test("mutated lists are read or refused, never worse, and never accepted", arguments: 1...3)
    func mutations(seed: UInt64) throws {
        var dice = SplitMix64(seed: seed)
        let signed = try list(
            4, .key(digest: [UInt8](repeating: 7, count: 32)),
            .identity(SPIFFEID(node: "node-1", in: issuer.domain)),
            .certificate(authority: [1, 2, 3], serial: [4, 5])
        ).sealed(by: issuer.sign)
        for _ in 0..<500 {
            var body = signed.body
            let position = Int.random(in: 0..<body.count, using: &dice)
            body[position] ^= UInt8.random(in: 1 ... .max, using: &dice)
            if let read = try? DenyList(body: body, mesh: mesh) { #expect(read.body == body) }
            let changed = try SealedStatement(body: body, signature: signed.signature)
            #expect(refusal(of: changed) != nil)
        }
    }
}
