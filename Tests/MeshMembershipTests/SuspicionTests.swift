// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

@testable import MeshMembership

@Suite("Suspicion, death and return")
struct SuspicionTests {
    static let peers = (0..<9).map { "n\($0)" }

    /// How long `n0` stays suspect when `others` say so, too, right after the first accusation.
    static func suspicion(confirmedBy others: [String], of peers: [String] = peers) -> Duration? {
        var desk = ProbingTests.settled(peers)
        desk.answering.remove("n0")
        desk.hear(.gossip, from: "n1", saying: [.suspect("n0", 1, by: "n1")])
        let start = desk.now
        for name in others {
            desk.hear(.gossip, from: name, saying: [.suspect("n0", 1, by: name)])
        }
        // So that its own probe doesn't confirm.
        desk.core.rotation = Rotation()
        desk.wait(.seconds(10))
        return desk.core.status(of: "n0").map { $0.since - start }
    }

    @Test(
        "confirmations bring suspicion down from 2.4 s to 0.6 s with their logarithm; the first accuser is none",
        arguments: [(0, 2400), (1, 1500), (2, 973), (3, 600)])
    func confirmations(count: Int, milliseconds: Int) throws {
        let others = ["n2", "n3", "n4"].prefix(count) + ["n1"]
        let duration = try #require(Self.suspicion(confirmedBy: Array(others)))
        #expect(duration.nanoseconds / 1_000_000 == milliseconds)
    }

    @Test("formulas are those of Lifeguard and memberlist")
    func formulas() {
        let ours = MembershipParameters.default
        #expect(ours.suspicionMinimum(members: 100) == .milliseconds(1200))
        #expect(
            ours.suspicionTimeout(members: 100, confirmations: 0, possible: 98)
                == .milliseconds(4800))
        let lan = MembershipParameters.memberlistLAN
        #expect(lan.suspicionMinimum(members: 100) == .seconds(8))
        #expect(
            lan.suspicionTimeout(members: 100, confirmations: 0, possible: 98) == .seconds(48))
        #expect(lan.retransmits(members: 100) == 12)
        #expect(lan.syncInterval(members: 32) == .seconds(30))
        #expect(lan.syncInterval(members: 100) == .seconds(90))
    }

    @Test("where nobody can confirm, suspicion lasts its longest; memberlist's lasts its shortest")
    func pair() {
        let ours = MembershipParameters.default
        #expect(
            ours.suspicionTimeout(members: 2, confirmations: 0, possible: 0)
                == .milliseconds(2400))
        #expect(
            MembershipParameters.memberlistLAN
                .suspicionTimeout(members: 2, confirmations: 0, possible: 0) == .seconds(4))
    }

    @Test("a death tells who accused, and is told to the others and to the dead one")
    func evidence() {
        var desk = ProbingTests.settled()
        desk.answering.remove("a")
        desk.hear(.gossip, from: "b", saying: [.suspect("a", 1, by: "b")])
        desk.hear(.gossip, from: "c", saying: [.suspect("a", 1, by: "c", "stranger")])
        desk.wait(.seconds(4))
        let death = desk.changes.last
        #expect(death?.from == .suspect && death?.to == .dead)
        #expect(death?.accusers.prefix(2) == ["b", "c"])
        #expect(desk.told("a", to: "d").last?.state == .dead)
        #expect(desk.told("a", to: "a").last?.state == .dead)
    }

    @Test("a higher incarnation clears suspicion and death; the same one doesn't")
    func incarnations() {
        var desk = ProbingTests.settled()
        desk.answering.remove("a")
        desk.hear(.gossip, from: "b", saying: [.suspect("a", 1, by: "b")])
        #expect(desk.state("a") == .suspect)
        desk.hear(.gossip, from: "b", saying: [.alive("a", 1)])
        #expect(desk.state("a") == .suspect)
        desk.hear(.gossip, from: "b", saying: [.alive("a", 2)])
        #expect(desk.state("a") == .alive)
        desk.hear(.gossip, from: "b", saying: [.suspect("a", 1, by: "c")])
        #expect(desk.state("a") == .alive)
        desk.hear(.gossip, from: "b", saying: [.dead("a", 2, by: "b", "c")])
        desk.wait(.seconds(1))
        desk.hear(.gossip, from: "b", saying: [.dead("a", 2, by: "b", "c")])
        #expect(desk.state("a") == .dead)
        desk.hear(.gossip, from: "b", saying: [.alive("a", 2), .suspect("a", 2, by: "c")])
        #expect(desk.state("a") == .dead)
        desk.hear(.gossip, from: "a", incarnation: 3)
        #expect(desk.state("a") == .alive)
        #expect(desk.core.counters.revivals == 1)
    }

    @Test("accused, it contradicts: to the accusers at once, with its ack, and by gossip")
    func refutation() {
        var desk = ProbingTests.settled()
        desk.hear(.ping(5), from: "a", saying: [.suspect("me", 1, by: "a", "b")])
        #expect(desk.core.incarnation == 2)
        #expect(desk.told("me", to: "b").map(\.incarnation) == [2])
        let ack = desk.sent(to: "a").last
        #expect(ack?.message == .ack(5) && ack?.incarnation == 2)
        #expect(desk.core.health == 2, "accused, it doubts itself")
        desk.hear(.gossip, from: "c", saying: [.suspect("me", 1, by: "c")])
        #expect(desk.core.incarnation == 2, "contradicted already")
        desk.wait(.seconds(2))
        #expect(!desk.told("me", to: "d").isEmpty)
        #expect(desk.core.counters.refutations == 1)
    }

    @Test("a ping to a suspect says so, and one that is behind is told what is held of it")
    func buddies() {
        var desk = ProbingTests.settled()
        desk.hear(.gossip, from: "b", saying: [.suspect("a", 4, by: "b")])
        #expect(desk.told("a", to: "a").isEmpty)
        desk.hear(.ping(1), from: "a")
        #expect(desk.sent(to: "a").last?.statements == [.suspect("a", 4, by: "b")])
        desk.hear(.gossip, from: "b", saying: [.alive("c", 6)])
        desk.hear(.gossip, from: "c", incarnation: 1)
        #expect(desk.sent(to: "c").last?.statements.contains(.alive("c", 6)) == true)
    }

    @Test("told that its last life was further, it goes above it")
    func reborn() {
        var desk = ProbingTests.settled()
        desk.hear(.gossip, from: "a", saying: [.alive("me", 6)])
        #expect(desk.core.incarnation == 7)
        #expect(desk.core.counters.refutations == 0)
        desk.hear(.gossip, from: "a", saying: [.left("me", 7)])
        #expect(desk.core.incarnation == 8)
        desk.hear(.gossip, from: "a", saying: [.dead("me", .max, by: "a")])
        #expect(desk.core.incarnation == .max)
        desk.hear(.gossip, from: "a", saying: [.dead("me", .max, by: "a")])
        #expect(desk.core.incarnation == .max)
    }

    @Test("a death in another's table is a suspicion here")
    func tables() {
        var desk = ProbingTests.settled()
        desk.hear(.table(wantsAnswer: false), from: "b", saying: [.dead("a", 1, by: "b", "c")])
        #expect(desk.state("a") == .suspect)
        #expect(desk.core.status(of: "a")?.accusers == ["b"])
    }

    @Test(
        "a death behind which one accuser stands is a suspicion here, and so is one of a member just heard"
    )
    func credibility() {
        var desk = ProbingTests.settled()
        desk.answering = ["b", "c", "d"]
        desk.wait(.seconds(1))
        desk.hear(.gossip, from: "b", saying: [.dead("a", 2, by: "b")])
        #expect(desk.state("a") == .suspect)
        desk.hear(.gossip, from: "c", saying: [.dead("a", 2, by: "c")])
        #expect(desk.state("a") == .dead, "that's two")
        desk.hear(.gossip, from: "d", incarnation: 2)
        desk.hear(.gossip, from: "b", saying: [.dead("d", 2, by: "b", "c")])
        #expect(desk.state("d") == .suspect)
        #expect(desk.core.counters.deathsDoubted == 2)
    }

    @Test("an accuser named twice is one")
    func twice() {
        var desk = ProbingTests.settled()
        desk.hear(.gossip, from: "b", saying: [.suspect("a", 1, by: "b", "b", "stranger", "a")])
        #expect(desk.core.status(of: "a")?.accusers == ["b"])
        desk.hear(.gossip, from: "b", saying: [.dead("a", 1, by: "b", "b")])
        #expect(desk.state("a") == .suspect)
    }

    @Test("the dead accuse nobody")
    func deadAccuser() {
        var desk = ProbingTests.settled()
        desk.hear(.gossip, from: "b", saying: [.suspect("a", 1, by: "b")])
        desk.answering.remove("a")
        desk.wait(.seconds(5))
        #expect(desk.state("a") == .dead)
        desk.hear(.gossip, from: "a", saying: [.suspect("b", 1, by: "a"), .alive("c", 3)])
        #expect(desk.state("b") == .alive)
        #expect(desk.core.status(of: "c")?.incarnation == 3)
        desk.hear(.gossip, from: "a", incarnation: 2, saying: [.suspect("b", 1, by: "a")])
        #expect(desk.state("b") == .suspect)
    }

    @Test("the time it was held up is held against nobody")
    func stopped() {
        var desk = ProbingTests.settled()
        // Between a ping and its ack.
        desk.answering = []
        while desk.core.probe == nil { desk.wait(.milliseconds(1)) }
        desk.hear(.gossip, from: "b", saying: [.suspect("a", 1, by: "b")])
        desk.now = desk.now + .seconds(3600)
        desk.events = []
        desk.tick()
        guard case .late(let overslept)? = desk.events.first else {
            Issue.record("it didn't notice")
            return
        }
        #expect(overslept > .seconds(3599))
        #expect(desk.changes.isEmpty)
        #expect(desk.core.health == 2)
        // What waited in the socket clears it.
        desk.hear(.gossip, from: "a", incarnation: 2)
        desk.answering = Set(ProbingTests.four)
        desk.wait(.seconds(5))
        #expect(ProbingTests.four.allSatisfy { desk.state($0) == .alive })
        #expect(desk.core.counters.accusations == 0)
    }

    @Test("a clock that goes back is taken for one that stands still")
    func backwards() {
        var desk = ProbingTests.settled()
        let later = desk.now
        desk.now = .zero
        desk.tick()
        desk.now = later
        desk.wait(.seconds(5))
        #expect(ProbingTests.four.allSatisfy { desk.state($0) == .alive })
    }

    @Test("the dead are pinged for ever, with the news of their death")
    func revival() {
        var desk = ProbingTests.settled()
        desk.answering.remove("a")
        desk.wait(.seconds(60))
        #expect(desk.state("a") == .dead)
        desk.sent = []
        desk.wait(.seconds(10))
        let pings = desk.sent(to: "a")
        // Two a second, from four of us.
        #expect((4...6).contains(pings.count))
        #expect(pings.allSatisfy { $0.statements.first?.state == .dead })
    }
}
