// SPDX-License-Identifier: Apache-2.0

import Foundation
import MeshModel
import Testing
import X509

@testable import MeshTrust

/// A roster that trusts its founder `east`, which it joined firsthand.
private struct Observer {
    var roster: MeshRoster
    var founder: TestAuthority
    /// Of the founder's statements.
    var next = dawn

    init() throws {
        founder = try TestAuthority("east")
        let own = try TestAuthority("observer")
        roster = try own.roster(100)
        roster.durable.founder = east
        try roster.acceptFirsthand(founder.announcement(1), verify: verifyStatement)
        _ = roster.update()
    }

    @discardableResult
    mutating func receive(_ statements: MeshStatement...) -> [RosterEvent] {
        roster.receive(statements, verify: verifyStatement)
    }

    mutating func admit(
        _ subject: SignedAnnouncement, since: UInt64? = nil,
        decision: Admission.Decision = .admitted, replaces: [KeyPin] = []
    ) throws -> MeshStatement {
        next += 1
        return try founder.admission(
            of: subject, sequence: next, since: since, decision: decision, replaces: replaces)
    }
}

@Suite("A roster")
struct JoiningRosterTests {
    private var observer: Observer
    let b: TestAuthority
    let c: TestAuthority

    init() throws {
        observer = try Observer()
        b = try TestAuthority("west")
        c = try TestAuthority("north")
    }

    @Test(
        "an admission by the founder makes a member, by a member that is no introducer a pending one"
    )
    mutating func introducers() throws {
        let west = try observer.admit(b.announcement(2))
        #expect(observer.receive(west) == [.joined(b.name, introducers: [east])])
        let north = try b.admission(of: c.announcement(3), sequence: dawn)
        let events = observer.receive(north)
        #expect(events == [.pending(c.name, .introducers([b.name]))])
        #expect("\(events[0])".contains("weft cluster accept north"))
        var listed = observer.roster
        #expect(
            listed.setIntroducers([east, b.name], verify: verifyStatement)
                == [.joined(c.name, introducers: [b.name])])
        #expect(
            try observer.roster.accept(c.name, verify: verifyStatement)
                == [.joined(c.name, introducers: [])])
        // Known by a second way changes nothing.
        #expect(observer.receive(try observer.admit(c.announcement(3))).isEmpty)
    }

    @Test("replays and lower sequences change nothing, nor does what nobody signed")
    mutating func replays() throws {
        let subject = try b.announcement(2)
        let old = try observer.admit(subject)
        let gone = try observer.admit(subject, decision: .forgotten)
        observer.receive(old, gone)
        #expect(observer.roster.state("west") == "forgotten by 'east'")
        let before = observer.roster
        #expect(observer.receive(gone).isEmpty)
        #expect(
            observer.receive(old).map(\.description)
                == ["\(old) changes nothing: sequence \(gone.sequence) is known already"])
        let stranger = try TestAuthority("east")
        let forged = try stranger.admission(of: subject, sequence: dawn + 99)
        #expect(observer.receive(forged) == [.ignored("\(forged)", .unverified)])
        #expect(observer.receive(forged).isEmpty)
        let unsigned = try b.announcement(2, sequence: dawn + 5, signers: c.signers)
        guard case .ignored(_, .forged)? = observer.receive(.announcement(unsigned)).first
        else {
            Issue.record("taken")
            return
        }
        let twice = try observer.founder.admission(of: c.announcement(3), sequence: dawn + 7)
        let contradiction = try observer.founder
            .admission(of: c.announcement(3), sequence: dawn + 7, since: 1)
        #expect(observer.receive(twice) == [.joined(c.name, introducers: [east])])
        #expect(observer.receive(contradiction) == [.ignored("\(contradiction)", .contradiction)])
        #expect(before.clusters[b.name] == observer.roster.clusters[b.name])
    }

    @Test("a root changes by the own signature and a higher sequence, and by nobody else's word")
    mutating func roots() throws {
        var b = b
        observer.receive(try observer.admit(b.announcement(2)))
        let first = b.roots[0]
        // Another key under the name: by itself, by the founder, by the founder admitting a change.
        let thief = try TestAuthority("west")
        let announced = try thief.announcement(2, sequence: dawn + 9)
        #expect(
            observer.receive(.announcement(announced))
                == [.ignored("announcement \(dawn + 9) of cluster 'west'", .unverified)])
        let renamed = try observer.admit(announced, since: observer.next)
        guard case .ignored(_, .unverified)? = observer.receive(renamed).first
        else {
            Issue.record("taken")
            return
        }
        #expect(observer.roster.bundles.contains { $0.anchors == [first.root] })
        // The own rotation: both, then the new one alone.
        b.roots.append(try JoinRoot(b.name))
        let both = try b.announcement(2, sequence: dawn + 10)
        let events = observer.receive(.announcement(both))
        #expect(events.contains(.rootsChanged(b.name, both.content.description.pins)))
        b.roots.removeFirst()
        observer.receive(.announcement(try b.announcement(2, sequence: dawn + 11)))
        #expect(observer.roster.clusters[b.name]?.bundle.anchors == [b.roots[0].root])
        // The retired root has nothing to say any more, even with the highest sequence.
        b.roots = [first]
        let retired = try b.announcement(2, sequence: dawn + 12)
        observer.receive(.announcement(retired))
        #expect(observer.roster.clusters[b.name]?.bundle.anchors != [first.root])
        #expect(observer.roster.state("west") == "member")
    }

    @Test(
        "an introducer that forgets a cluster and brings another under its name must be believed by hand"
    )
    mutating func reinstalled() throws {
        observer.receive(try observer.admit(b.announcement(2)))
        let anew = try TestAuthority("west")
        let pins = try b.bundle.anchors.map { KeyPin(of: $0) }
        let gone = try observer.admit(b.announcement(2), decision: .forgotten)
        let back = try observer.admit(anew.announcement(2), replaces: pins)
        for statements in [[gone, back], [back, gone], [back]] {
            var observer = observer
            _ = observer.roster.receive(statements, verify: verifyStatement)
            #expect(observer.roster.state("west").hasPrefix("pending: its root isn't"))
            _ = try observer.roster.accept(b.name, verify: verifyStatement)
            #expect(observer.roster.clusters[b.name]?.bundle.anchors == [anew.roots[0].root])
        }
        // Nor are its ID and addresses free under another name.
        observer.receive(gone)
        let other = try observer.admit(c.announcement(2))
        #expect(
            observer.receive(other)
                == [.pending(c.name, .reserved(.id(ClusterID(rawValue: 2)!, with: b.name)))])
    }

    struct Wish: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let name: String
        let id: UInt16
        let pods: String
    }
    static let wishes = [
        Wish(testDescription: "one ID", name: "north", id: 2, pods: "10.9.0.0/16"),
        Wish(testDescription: "one name", name: "west", id: 3, pods: "10.9.0.0/16"),
        Wish(testDescription: "overlapping addresses", name: "north", id: 3, pods: "10.2.3.0/24"),
    ]

    @Test(
        "of newcomers by two introducers who want the same both stay out, in either order; a person chooses",
        arguments: wishes)
    mutating func conflicts(wish: Wish) throws {
        let second = try TestAuthority("second")
        observer.receive(try observer.admit(second.announcement(50)))
        _ = observer.roster.setIntroducers([east, second.name], verify: verifyStatement)
        let one = try observer.admit(b.announcement(2))
        let rival = try TestAuthority(wish.name)
        let other = try second.admission(
            of: rival.announcement(wish.id, pods: wish.pods), sequence: dawn)
        var results: [[ClusterName: RosterMember]] = []
        for statements in [[one, other], [other, one]] {
            var observer = observer
            let events = observer.roster.receive(statements, verify: verifyStatement)
            #expect(events.contains { if case .conflicted = $0 { true } else { false } })
            results.append(observer.roster.clusters)
            for name in Set(["west", wish.name]) {
                #expect(observer.roster.state(name).hasPrefix("conflicted: "))
            }
            let pin = KeyPin(of: b.roots[0].root).description
            _ = try observer.roster.accept(b.name, root: pin, verify: verifyStatement)
            #expect(observer.roster.clusters[b.name]?.bundle == (try b.bundle))
            #expect(observer.roster.clusters[b.name]?.state == .member)
            if wish.name != "west" {
                #expect(observer.roster.state(wish.name).hasPrefix("conflicted: "))
                #expect(throws: RosterFault.self) {
                    try observer.roster.accept(rival.name, verify: verifyStatement)
                }
            }
        }
        #expect(results[0] == results[1])
    }

    @Test("who came first through one introducer stays, and so does the introducer")
    mutating func precedence() throws {
        let first = try observer.admit(b.announcement(2))
        let later = try observer.admit(c.announcement(2, pods: "10.9.0.0/16"))
        let grabbing = try observer.admit(
            TestAuthority("south").announcement(4, pods: "10.1.0.0/24"))
        // Renewing an admission doesn't make it younger.
        let renewed = try observer.admit(b.announcement(2), since: first.sequence)
        for statements in [[first, later, grabbing, renewed], [grabbing, later, renewed]] {
            var observer = observer
            _ = observer.roster.receive(statements, verify: verifyStatement)
            #expect(observer.roster.memberNames == ["east", "west"])
            #expect(observer.roster.state("north").hasPrefix("conflicted: cluster 'west' has ID 2"))
            #expect(
                observer.roster.state("south").contains("overlaps 10.1.0.0/16 of cluster 'east'"))
        }
        let mine = try observer.admit(TestAuthority("self").announcement(100, pods: "10.8.0.0/16"))
        observer.receive(mine)
        #expect(
            observer.roster.state("self").hasPrefix("conflicted: cluster 'observer' has ID 100"))
    }

    @Test("a larger charter waits for the importer, a smaller one doesn't; others can't grant it")
    mutating func growth() throws {
        observer.receive(try observer.admit(b.announcement(2, pods: "10.2.0.0/16")))
        func charter() -> [String] {
            observer.roster.clusters[b.name]?.charter.podPrefixes.map(\.description) ?? []
        }
        let large = try b.announcement(2, pods: "10.2.0.0/15", sequence: dawn + 1)
        #expect(observer.receive(.announcement(large)) == [.growthWaits(b.name)])
        #expect(charter() == ["10.2.0.0/16"])
        observer.receive(try observer.admit(large, since: dawn + 1))
        #expect(charter() == ["10.2.0.0/16"])
        #expect(
            try observer.roster.accept(b.name, verify: verifyStatement) == [
                .charterChanged(b.name)
            ])
        #expect(charter() == ["10.2.0.0/15"])
        observer.receive(
            .announcement(try b.announcement(2, pods: "10.2.9.0/24", sequence: dawn + 2)))
        #expect(charter() == ["10.2.9.0/24"])
        // Not even an accepted cluster grows over another one.
        observer.receive(
            .announcement(try b.announcement(2, pods: "10.0.0.0/8", sequence: dawn + 3)))
        #expect(charter() == ["10.2.0.0/15"])
        #expect(throws: RosterFault.self) {
            try observer.roster.accept(b.name, verify: verifyStatement)
        }
        // Its ID isn't its own to change.
        observer.receive(
            .announcement(try b.announcement(3, pods: "10.2.0.0/16", sequence: dawn + 4)))
        #expect(observer.roster.clusters[b.name]?.description.id.rawValue == 2)
    }

    @Test(
        "an introducer's word ends with the trust in it, never goes over itself, and proves no key")
    mutating func introducersEnd() throws {
        let second = try TestAuthority("second")
        let trusted = try observer.admit(second.announcement(50))
        observer.receive(trusted)
        _ = observer.roster.setIntroducers([east, second.name], verify: verifyStatement)
        let south = try TestAuthority("south")
        observer.receive(try second.admission(of: b.announcement(2), sequence: dawn + 1))
        observer.receive(
            try second.admission(
                of: south.announcement(4, pods: "10.50.7.0/24"), sequence: dawn + 2))
        #expect(observer.roster.memberNames == ["east", "second", "west"])
        #expect(
            observer.roster.state("south").contains("overlaps 10.50.0.0/16 of cluster 'second'"))
        let stolen = try c.announcement(3, signers: south.signers)
        let unproven = try observer.admit(stolen)
        guard case .ignored(_, .forged)? = observer.receive(unproven).first else {
            Issue.record("taken")
            return
        }
        observer.receive(
            try observer.admit(
                second.announcement(50), since: trusted.sequence, decision: .forgotten))
        #expect(observer.roster.memberNames == ["east"])
        #expect(observer.roster.state("west").hasPrefix("pending: introduced by 'second'"))
    }

    @Test("what a member gave up for a while is still its own; a pending one's reserves nothing")
    mutating func reservations() throws {
        observer.receive(try observer.admit(b.announcement(2, pods: "10.2.0.0/15")))
        observer.receive(
            .announcement(try b.announcement(2, pods: "10.2.0.0/16", sequence: dawn + 1)))
        #expect(
            observer.roster.clusters[b.name]?.charter.podPrefixes.first == Prefix("10.2.0.0/16"))
        let overlapping = try c.announcement(3, pods: "10.3.0.0/16")
        observer.receive(try observer.admit(overlapping))
        #expect(observer.roster.state("north").hasPrefix("conflicted"))
        #expect(observer.roster.memberNames == ["east", "west"])
        #expect(throws: RosterFault.self) {
            try observer.roster.accept(c.name, verify: verifyStatement)
        }
        // A member that is no introducer brings somebody and takes it back.
        let puppet = try TestAuthority("puppet").announcement(7)
        observer.receive(try b.admission(of: puppet, sequence: dawn + 2))
        observer.receive(try b.admission(of: puppet, sequence: dawn + 3, decision: .forgotten))
        observer.receive(try observer.admit(TestAuthority("south").announcement(7)))
        #expect(observer.roster.state("south") == "member")
    }

    @Test("who left may come back with more than it had: that is a new admission")
    mutating func comeback() throws {
        observer.receive(try observer.admit(b.announcement(2)))
        _ = try observer.roster.accept(b.name, verify: verifyStatement)
        observer.receive(
            .announcement(try b.announcement(2, sequence: dawn + 1, hasLeft: true)))
        #expect(observer.roster.state("west") == "left")
        let back = try b.announcement(2, pods: "10.64.0.0/12", sequence: dawn + 2)
        observer.receive(try observer.admit(back))
        let member = try #require(observer.roster.clusters[b.name])
        #expect(member.state == .member && member.growth == nil && !member.isAcceptedHere)
    }

    @Test("who leaves is out for good, until a new admission; whom an introducer brought stays")
    mutating func leaving() throws {
        let second = try TestAuthority("second")
        observer.receive(try observer.admit(second.announcement(50)))
        _ = observer.roster.setIntroducers([east, second.name], verify: verifyStatement)
        observer.receive(try second.admission(of: b.announcement(2), sequence: dawn + 1))
        let leave = try second.announcement(50, sequence: dawn + 2, hasLeft: true)
        let late = try second.admission(of: c.announcement(3), sequence: dawn + 3)
        #expect(observer.receive(.announcement(leave)) == [.left(second.name)])
        observer.receive(late)
        #expect(observer.roster.memberNames == ["east", "west"])
        observer.receive(.announcement(try second.announcement(50, sequence: dawn + 4)))
        #expect(observer.roster.state("second") == "left")
        observer.receive(try observer.admit(second.announcement(50, sequence: dawn + 4)))
        #expect(observer.roster.memberNames.contains("second"))
    }

    @Test("forgetting the founder keeps those it brought; forgetting one it brought ends that one")
    mutating func forgetting() throws {
        observer.receive(try observer.admit(b.announcement(2)))
        let (withdrawal, events) = try observer.roster.forget(
            east, now: dawn, signers: TestAuthority("observer").signers)
        #expect(withdrawal == nil && events.contains(.forgotten(east, by: observer.roster.name)))
        #expect(observer.roster.memberNames == ["west"])
        observer.receive(try observer.admit(c.announcement(3)))
        #expect(observer.roster.memberNames == ["west"])
        #expect(throws: RosterFault.unknown(ClusterName(rawValue: "nobody")!)) {
            try observer.roster.forget(
                ClusterName(rawValue: "nobody")!, now: dawn, signers: b.signers)
        }
    }

    @Test("what an introducer takes back ends for those who relied on it, and can be given again")
    mutating func withdrawal() throws {
        var a = try Site("east", 1)
        var west = try Site("west", 2)
        var third = try Site("north", 3)
        try join(&west, to: &a, token: a.token(for: west))
        try join(&third, to: &a, token: a.token(for: third))
        let (signed, _) = try a.roster.forget(
            west.authority.name, now: dawn + 1, signers: a.authority.signers)
        #expect(signed?.content.decision == .forgotten)
        _ = third.roster.receive(a.roster.published, verify: verifyStatement)
        #expect(third.roster.state("west") == "forgotten by 'east'")
        let heard = west.roster.receive(a.roster.published, verify: verifyStatement)
        #expect(heard.contains(.forgottenOurselves(by: east)))
        try join(&west, to: &a, token: a.token(for: west))
        _ = third.roster.receive(a.roster.published, verify: verifyStatement)
        #expect(third.roster.memberNames == ["east", "west"])
        let leave = try west.roster.leave(now: dawn + 9, signers: west.authority.signers)
        _ = a.roster.receive([.announcement(leave)], verify: verifyStatement)
        #expect(a.roster.state("west") == "left")
        west.roster.forgetEverybody()
        #expect(west.roster.clusters.isEmpty && west.roster.founder == nil)
        _ = try west.roster.announce(
            west.roster.description, now: dawn + 10, signers: west.authority.signers)
        try join(&west, to: &a, token: a.token(for: west))
        #expect(a.roster.memberNames == ["north", "west"])
    }

    @Test("strangers fill what waits, and no more than that")
    mutating func flood() throws {
        let own = try b.announcement(2)
        for sequence in 1...20 {
            observer.receive(try b.admission(of: c.announcement(3), sequence: UInt64(sequence)))
        }
        #expect(observer.roster.waiting.count == 16)
        #expect(
            observer.receive(try b.admission(of: c.announcement(3), sequence: 21)).first
                == .ignored("admission 21 of cluster 'north' by 'west'", .tooMany))
        observer.receive(try observer.admit(own))
        #expect(observer.roster.waiting.isEmpty)
        #expect(observer.roster.state("north").hasPrefix("pending"))
    }
}
