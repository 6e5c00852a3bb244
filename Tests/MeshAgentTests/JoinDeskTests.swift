// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshModel
import Testing

@testable import MeshAgent
@testable import MeshTrust

@Suite("A cluster's home")
struct JoinDeskTests {
    var a: Home
    var b: Home

    init() throws {
        a = try Home("east", 1)
        b = try Home("west", 2)
    }

    @Test("introduces who has its token, and tells nodes and others by records of its ledger")
    mutating func join() throws {
        let token = try a.token(for: b)
        let outcome = try b.join(&a, with: token)
        #expect(outcome.introducer == a.name && !outcome.isRepeated)
        #expect(a.members == ["west"] && b.members == ["east"])
        #expect(
            try a.desk.records().keys.sorted().map(\.description) == [
                "authority/current", "peer/west", "statement/admission/west",
                "statement/announcement", "statement/seen/west",
            ])
        let record = try PeerRecord(
            encoded: try #require(a.desk.records()[RecordKey("peer/west")!]))
        let member = try RosterPeer(encoded: record.body).description
        #expect(member.charter.podPrefixes == prefixes("10.2.0.0/16"))
        #expect(try a.heard(of: b) == b.desk.roster.announcement.content.sequence)
        #expect(a.audited.actions == [.tokenMade, .tokenUsed, .join])
        #expect(b.audited.actions == [.join])
        try a.restart()
        try b.restart()
        #expect(a.members == ["west"] && b.members == ["east"])
    }

    /// Three writes on the introducing side, one on the joining.
    @Test(
        "that dies at any write has half a join nowhere; the same token finishes it",
        arguments: 0..<4, [false, true])
    mutating func crash(write: Int, isWritten: Bool) throws {
        let token = try a.token(for: b)
        if write < 3 {
            a.store.crash(after: write, isWritten: isWritten)
        } else {
            b.store.crash(after: 0, isWritten: isWritten)
        }
        #expect(throws: JoinRefusal.self) { try b.join(&a, with: token) }
        try a.restart()
        try b.restart()
        // Whoever has the other for a member is one there, too, but for an answer that was lost.
        if b.members == ["east"] { #expect(a.members == ["west"]) }
        let isReserved = a.desk.book.entry(token.id).map { $0.state != .open } ?? false
        #expect(isReserved == (write > 0 || isWritten))
        var thief = try Home("west", 2)
        if isReserved {
            #expect(throws: JoinRefusal.usedToken(token.id)) { try thief.join(&a, with: token) }
        }
        try b.join(&a, with: token)
        try a.restart()
        #expect(a.members == ["west"] && b.members == ["east"])
        guard case .used = a.desk.book.entry(token.id)?.state else {
            Issue.record("the token isn't used")
            return
        }
        #expect(try a.statements().count == 2)
    }

    @Test("refuses, in a sentence each, and changes nothing")
    mutating func refusals() throws {
        try b.join(&a, with: a.token(for: b))
        let before = try a.desk.records()
        func refusal(_ body: () throws -> Void) -> JoinRefusal? {
            do {
                try body()
                return nil
            } catch { return error as? JoinRefusal }
        }
        let token = try a.token(for: try Home("south", 4))
        var overlapping = try Home("south", 4, pods: "10.2.7.0/24")
        #expect(
            refusal { try overlapping.join(&a, with: token) }
                == .overlappingAddresses(
                    own: Prefix("10.2.7.0/24")!, other: Prefix("10.2.0.0/16")!, holder: b.name))
        var other = try Home("north", 3)
        #expect(
            refusal { try other.join(&a, with: token) }
                == .tokenForOther(
                    token.subject, presented: other.desk.roster.description.subject))
        #expect(refusal { try a.join(&b, with: token) } == .itself(a.name))
        #expect(
            refusal { _ = try a.token(for: try Home("north", 2)) }
                == .duplicateID(cluster(2), holder: b.name))
        var late = try Home("south", 4)
        #expect(refusal { try late.join(&b, with: token) } == .unknownToken(token.id))
        try late.join(&a, with: token)
        #expect(refusal { try overlapping.join(&a, with: token) } == .usedToken(token.id))
        #expect(overlapping.members.isEmpty && other.members.isEmpty)
        #expect(a.members == ["south", "west"])
        #expect(try a.desk.records().count == before.count + 3)
        // What was signed with another certificate in sight counts as nothing.
        var middle = try Home("north", 3)
        let fresh = try a.token(for: middle)
        var joiner = try middle.desk.begin(fresh, now: unixSeconds())
        let question = try joiner.request(
            channel: JoinChannel(serverCertificate: [9]), nonce: JoinExchange.nonce(),
            now: unixSeconds())
        let answer = a.desk.answer(
            question, presenting: Home.leaf, to: Address("192.0.2.9")!, clock: 1,
            now: unixSeconds())
        #expect(answer.refusal == .notProven)
    }

    @Test("keeps whom a stranger introduces pending until an operator accepts, and forgets")
    mutating func third() throws {
        try b.join(&a, with: a.token(for: b))
        var c = try Home("north", 3)
        try c.join(&b, with: b.token(for: c))
        #expect(c.members == ["east", "west"])
        let events = try a.desk.receive(b.statements())
        #expect(events.count == 1 && "\(events)".contains("introduced by 'west'"))
        #expect(a.members == ["west"])
        #expect(try a.desk.accept(c.name, root: nil, by: .agent).count == 1)
        try a.restart()
        #expect(a.members == ["north", "west"])
        _ = try a.desk.forget(c.name, by: .agent, now: unixSeconds())
        try a.restart()
        #expect(a.members == ["west"])
        #expect(a.audited.actions.suffix(3) == [.join, .accept, .forget])
    }

    @Test("takes a token back: nobody can use it, and what came of others stays")
    mutating func revoked() throws {
        let (token, kept) = (try a.token(for: b), try a.token(for: b))
        let secret = kept.text.dropFirst("weft1-".count)
        #expect(try a.desk.revoke("\(token.id)", by: .agent).id == token.id)
        try a.restart()
        #expect(throws: JoinRefusal.unknownToken(token.id)) { try b.join(&a, with: token) }
        for (none, id) in [("\(token.id)", token.id), ("", nil), ("x", nil), (kept.text, nil)] {
            #expect(throws: DeskFault.noToken(id)) { try a.desk.revoke(none, by: .agent) }
        }
        try b.join(&a, with: kept)
        _ = try a.desk.revoke("\(kept.id)", by: .agent)
        #expect(a.members == ["west"] && a.desk.book.entries.isEmpty)
        #expect(
            a.audited.actions.filter { $0 == .tokenRevoked || $0 == .tokenMade }
                == [.tokenMade, .tokenMade, .tokenRevoked, .tokenRevoked])
        let book = try Data(
            contentsOf: URL(filePath: "\(a.folder.path)/authority/\(JoinFiles.bookFile)"))
        #expect(!String(decoding: book, as: UTF8.self).contains(secret))
    }

    @Test("believes those about newcomers whom its operators choose, from before, too")
    mutating func introducers() throws {
        try b.join(&a, with: a.token(for: b))
        var c = try Home("north", 3)
        try c.join(&b, with: b.token(for: c))
        _ = try a.desk.receive(b.statements())
        #expect(a.members == ["west"] && a.desk.roster.introducers == [a.name])
        #expect(throws: RosterFault.unknown(ClusterName(rawValue: "south")!)) {
            try a.desk.setIntroducers([ClusterName(rawValue: "south")!], by: .agent)
        }
        let events = try a.desk.setIntroducers([b.name], by: .agent)
        #expect("\(events)".contains("'north' is a member: admitted by 'west'"))
        try a.restart()
        #expect(a.members == ["north", "west"] && a.desk.roster.hasChosenIntroducers)
        #expect(a.audited.actions.suffix(2) == [.introducers, .introducers])
        // What it tells its own nodes follows, and so does a change of mind.
        #expect(try a.desk.records()[RecordKey("peer/north")!] != nil)
        for names in [[], nil] as [[ClusterName]?] {
            _ = try a.desk.setIntroducers(names, by: .agent)
            try a.restart()
            #expect(a.members == ["west"] && a.desk.roster.introducers == [a.name])
        }
        #expect(try a.desk.records()[RecordKey("peer/north")!] == nil)
        // Among the others it is the founder's word that counts.
        #expect(b.desk.roster.introducers == [a.name, b.name])
        _ = try b.desk.setIntroducers([], by: .agent)
        #expect(b.desk.roster.introducers == [b.name] && b.members == ["east", "north"])
    }

    @Test("refuses who wants what a cluster of an operator's file has; that one itself may join")
    mutating func filed() throws {
        func file(_ name: String, _ id: UInt16, _ pods: String, _ home: Home?) -> FiledCluster {
            FiledCluster(
                name: ClusterName(rawValue: name)!, id: cluster(id), podPrefixes: prefixes(pods),
                pins: home?.desk.roster.description.pins ?? [])
        }
        let token = try a.token(for: b)
        for (filed, refusal) in [
            (file("west", 2, "10.2.0.0/16", a), .duplicateName(b.name)),
            (file("west", 7, "10.9.0.0/16", b), .duplicateName(b.name)),
            (file("west", 2, "10.2.0.0/16", nil), .duplicateName(b.name)),
            (
                file("south", 2, "10.9.0.0/16", nil),
                .duplicateID(cluster(2), holder: ClusterName(rawValue: "south")!)
            ),
            (
                file("south", 4, "10.2.8.0/24", nil),
                .overlappingAddresses(
                    own: Prefix("10.2.0.0/16")!, other: Prefix("10.2.8.0/24")!,
                    holder: ClusterName(rawValue: "south")!)
            ),
        ] as [(FiledCluster, JoinRefusal)] {
            #expect(throws: refusal) {
                try b.join(&a, with: token, beside: [filed])
            }
            #expect(a.members.isEmpty && b.members.isEmpty)
            #expect(a.desk.book.entry(token.id)?.state == .open)
        }
        #expect(throws: JoinRefusal.duplicateName(ClusterName(rawValue: "south")!)) {
            try a.desk.makeToken(
                for: TokenSubject(cluster: ClusterName(rawValue: "south")!, id: cluster(5)),
                lifetimeSeconds: 60, beside: [file("south", 4, "10.9.0.0/16", nil)], by: .agent,
                now: unixSeconds())
        }
        try b.join(&a, with: token, beside: [file("west", 2, "10.2.0.0/16", b)])
        #expect(a.members == ["west"] && b.members == ["east"])
    }

    @Test("refuses by its clock: one that is too far off, and a token that is over")
    mutating func clocks() throws {
        let now = unixSeconds()
        let token = try a.token(for: b)
        for skew in [-301, 301] as [Int64] {
            let theirs = UInt64(Int64(now) + skew)
            #expect(throws: JoinRefusal.clockSkew(joiner: theirs, introducer: now)) {
                try b.join(&a, with: token, at: theirs, there: now)
            }
        }
        #expect(throws: JoinRefusal.expiredToken(expiresAt: token.expiresAt, now: now + 61)) {
            try b.join(&a, with: token, at: now, there: now + 61)
        }
        #expect(throws: JoinRefusal.self, "it knows without asking") {
            try b.join(&a, with: token, at: now + 3_600, there: now + 3_600)
        }
        #expect(a.members.isEmpty && b.members.isEmpty)
        #expect(a.desk.book.entry(token.id)?.state == .open)
        #expect(a.audited.actions.count { $0 == .tokenUsed } >= 3, "each is audited")
        try b.join(&a, with: token, at: now + 200, there: now + 30)
        #expect(a.members == ["west"] && b.members == ["east"])
    }

    @Test("tells nodes when a name stands for another cluster; who left and came back is the same")
    mutating func lives() throws {
        var c = try Home("north", 3)
        try b.join(&a, with: a.token(for: b))
        try c.join(&a, with: a.token(for: c))
        func life(of name: String, at home: Home) throws -> UInt64? {
            try home.desk.records()[RecordKey("peer/\(name)")!].map {
                try RosterPeer(encoded: PeerRecord(encoded: $0).body).life
            }
        }
        #expect(try life(of: "west", at: a) == 0 && life(of: "west", at: c) == 0)
        try b.desk.leave(by: .agent, now: unixSeconds())
        _ = try a.desk.receive(b.statements())
        #expect(try life(of: "west", at: a) == nil)
        try b.desk.endLeave()
        try b.join(&a, with: a.token(for: b))
        #expect(try life(of: "west", at: a) == 0)

        _ = try a.desk.forget(b.name, by: .agent, now: unixSeconds())
        _ = try c.desk.receive(a.statements())
        #expect(try life(of: "west", at: a) == nil && life(of: "west", at: c) == nil)
        var anew = try Home("west", 2)
        try anew.join(&a, with: a.token(for: anew))
        try a.restart()
        let second = try #require(try life(of: "west", at: a))
        #expect(second > 0)
        _ = try c.desk.receive(a.statements())
        if try life(of: "west", at: c) == nil {
            _ = try c.desk.accept(anew.name, root: nil, by: .agent)
        }
        #expect(try #require(try life(of: "west", at: c)) > 0)
        // The same one, forgotten and taken up again, begins anew as well.
        _ = try a.desk.forget(anew.name, by: .agent, now: unixSeconds())
        try anew.join(&a, with: a.token(for: anew))
        #expect(try #require(try life(of: "west", at: a)) > second)
        // Another root that the former one signed is no other cluster.
        let third = try life(of: "west", at: a)
        let next = try anew.authority.makeSuccessor(.root)
        _ = try anew.desk.announce(
            ClusterDescription(
                id: cluster(2), bundle: next.bundle,
                addresses: anew.desk.roster.description.addresses,
                charter: anew.desk.roster.description.charter), now: unixSeconds())
        _ = try a.desk.receive(anew.statements())
        #expect(a.desk.roster.members.last?.bundle == next.bundle)
        #expect(try life(of: "west", at: a) == third)
    }

    @Test("leaves when every member has heard of it, and joins again with a new token")
    mutating func leave() throws {
        let token = try a.token(for: b)
        try b.join(&a, with: token)
        try b.desk.leave(by: .agent, now: unixSeconds())
        try b.restart()
        #expect(b.members == ["east"])
        #expect(b.desk.awaited(heard: [a.name: try a.heard(of: b)]) == [a.name])
        #expect(throws: DeskFault.leaving) { try b.desk.begin(token, now: unixSeconds()) }
        _ = try a.desk.receive(b.statements())
        #expect(a.members.isEmpty)
        #expect(b.desk.awaited(heard: [a.name: try a.heard(of: b)]).isEmpty)
        try b.desk.endLeave()
        try b.restart()
        #expect(b.members.isEmpty)
        #expect(
            try b.desk.records().keys.sorted().map(\.description) == [
                "authority/current", "statement/announcement",
            ])
        // What it says of itself in the meantime is nothing.
        #expect(try !b.desk.announce(b.desk.roster.description, now: unixSeconds()))
        try b.join(&a, with: a.token(for: b))
        #expect(a.members == ["west"] && b.members == ["east"])
    }

    @Test(
        "gives a node its first certificate for a token, once, and the same key as often as it asks"
    )
    mutating func node() throws {
        let subject = try #require(TokenSubject(node: "n2", of: cluster(1)))
        let token = try a.desk.makeToken(
            for: subject, lifetimeSeconds: 60, by: .agent, now: unixSeconds())
        let folder = a.folder.path + "/node"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700])
        for write in 0..<3 {
            let key = try NodeKey.pending(in: folder)
            var joiner = try NodeJoiner(token: token, key: key, now: unixSeconds())
            let question = try joiner.request(
                channel: JoinChannel(serverCertificate: Home.leaf), nonce: JoinExchange.nonce(),
                now: unixSeconds())
            if write < 2 { a.store.crash(after: 0, isWritten: true) }
            let answer = a.desk.answer(
                question, presenting: Home.leaf, to: Address("192.0.2.9")!, clock: 1,
                now: unixSeconds())
            try a.restart()
            guard write == 2 else {
                #expect(answer.refusal != nil)
                continue
            }
            let welcome = try joiner.receive(
                answer.bytes, now: unixSeconds(), verify: verifyMeshStatement)
            #expect(welcome.identity.node == "n2")
            let credentials = try key.credentials(chain: welcome.chain, mesh: "example")
            _ = try PeerVerifier(store: TrustStore([a.authority.bundle])).verify(
                presented: credentials.chainDER(), now: Date())
        }
        var thief = try NodeJoiner(token: token, key: NodeKey(), now: unixSeconds())
        let question = try thief.request(
            channel: JoinChannel(serverCertificate: Home.leaf), nonce: JoinExchange.nonce(),
            now: unixSeconds())
        let answer = a.desk.answer(
            question, presenting: Home.leaf, to: Address("192.0.2.9")!, clock: 1,
            now: unixSeconds())
        #expect(answer.refusal == .usedToken(token.id))
    }

    @Test("doesn't start with a damaged roster: who is a member isn't known")
    mutating func damage() throws {
        let path = "\(a.folder.path)/authority/\(JoinFiles.rosterFile)"
        let text = try String(contentsOf: URL(filePath: path), encoding: .utf8)
        try Data(text.dropLast(2).utf8).write(to: URL(filePath: path))
        #expect(throws: TrustError.self) { try a.restart() }
    }
}
