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
        let member = try ClusterDescription(encoded: record.body)
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
