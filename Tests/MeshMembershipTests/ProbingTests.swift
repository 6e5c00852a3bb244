// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

@testable import MeshMembership

@Suite("Asking who lives")
struct ProbingTests {
    static let four = ["a", "b", "c", "d"]

    /// Everybody known, and nothing left to tell.
    static func settled(_ peers: [String] = four, witnesses: [NodeID] = []) -> Desk {
        var desk = Desk(peers, witnesses: witnesses)
        desk.wait(.seconds(10))
        desk.sent = []
        desk.events = []
        return desk
    }

    @Test("everybody is pinged once per traversal, and alive once it answers")
    func traversal() {
        var desk = Desk(Self.four)
        desk.wait(.milliseconds(999))
        #expect(Self.four.allSatisfy { desk.state($0) == .alive })
        desk.wait(.seconds(30))
        let pings = desk.sent.filter {
            if case .ping = $0.datagram.message { true } else { false }
        }.map(\.to)
        let traversals = stride(from: 0, to: 120, by: 4).map { Array(pings[$0..<$0 + 4]) }
        #expect(traversals.allSatisfy { Set($0).count == 4 })
        #expect(Set(traversals).count > 10, "shuffled anew for each")
    }

    @Test("idle, nothing is sent but one ping per period, 10 bytes long")
    func idle() {
        var desk = Self.settled()
        desk.wait(.seconds(10))
        #expect(desk.sent.count == 50)
        #expect(desk.sent.allSatisfy { $0.datagram.encoded.count == 18 })
    }

    @Test("no ack: once more and through helpers after 60 ms; all say no: suspect after 120 ms")
    func indirect() throws {
        var desk = Self.settled()
        desk.answering.remove("a")
        desk.wait(.seconds(1))
        let asked = desk.sent.filter {
            if case .pingRequest(_, "a") = $0.datagram.message { true } else { false }
        }
        let pings = desk.sent.filter { $0.to == "a" }
        #expect(Set(asked.map(\.to)) == ["b", "c", "d"])
        #expect(pings[1].time - pings[0].time == .milliseconds(60))
        #expect(asked.prefix(3).allSatisfy { $0.time == pings[1].time })
        let since = try #require(desk.core.status(of: "a")?.since)
        #expect(since - pings[0].time == .milliseconds(120))
        #expect(desk.core.status(of: "a")?.accusers == ["me"])
        #expect(desk.core.health == 1, "all helpers were heard: nothing is wrong with me")
    }

    @Test("one helper that reaches it suffices, if it was asked")
    func helped() throws {
        var desk = Self.settled()
        desk.answering = []
        func isRequest(_ message: Message) -> Bool {
            if case .pingRequest = message { true } else { false }
        }
        desk.wait(.milliseconds(200))
        let request = try #require(desk.sent.first { isRequest($0.datagram.message) })
        guard case .pingRequest(let number, let target) = request.datagram.message else { return }
        let others = Set(Self.four).subtracting([target])
        #expect(Set(desk.sent.filter { isRequest($0.datagram.message) }.map(\.to)) == others)
        desk.hear(.ack(number &+ 1), from: request.to)
        #expect(desk.core.probe != nil)
        desk.hear(.ack(number), from: request.to)
        #expect(desk.core.probe == nil)
        #expect(desk.state(target) == .alive)
        #expect(desk.core.counters.probesFailed == 0)
    }

    @Test("helpers that stay silent raise the own factor, up to 8; success brings it down again")
    func health() {
        var desk = Self.settled()
        desk.answering = []
        desk.wait(.seconds(4))
        #expect(desk.core.health == 8)
        desk.sent = []
        desk.wait(.milliseconds(3200))
        let pings = desk.sent.filter {
            if case .ping = $0.datagram.message { true } else { false }
        }
        // Two probes in 3.2 s of two pings each, two for the dead, two to one about to be.
        #expect(pings.count <= 8)
        desk.answering = Set(Self.four)
        for name in Self.four { desk.hear(.gossip, from: name, incarnation: 9) }
        desk.wait(.seconds(20))
        #expect(desk.core.health == 1)
    }

    @Test("asked for help, it pings, passes the ack on, or says no after 48 ms")
    func helping() {
        var desk = Self.settled()
        desk.hear(.pingRequest(77, target: "b"), from: "a")
        #expect(desk.sent.contains { $0.to == "a" && $0.datagram.message == .ack(77) })
        desk.answering = []
        desk.hear(.pingRequest(78, target: "c"), from: "a")
        let start = desk.now
        desk.wait(.milliseconds(100))
        let denial = desk.sent.first { $0.to == "a" && $0.datagram.message == .nack(78) }
        #expect(denial.map { $0.time - start } == .milliseconds(48))
        #expect(desk.core.errands.count == 1, "an ack would still be passed on")
        desk.wait(.milliseconds(200))
        #expect(desk.core.errands.count == 0)
    }

    @Test("nobody makes it ping for others without end")
    func errands() {
        var desk = Self.settled()
        desk.answering = []
        for number in UInt32(0)..<1000 {
            desk.hear(.pingRequest(number, target: "c"), from: "a")
        }
        #expect(desk.sent(to: "c").count == MembershipParameters.Limit.errandsPerMember)
        #expect(desk.core.counters.errandsRefused == 996)
    }

    @Test("a member never heard is accused after 10 s and while others answer, not before")
    func unknown() {
        var desk = Desk(Self.four + ["x"], answering: Self.four)
        desk.wait(.milliseconds(9_900))
        #expect(desk.state("x") == .unknown)
        #expect(desk.core.health == 1)
        desk.wait(.seconds(10))
        #expect(desk.state("x") == .dead)
    }

    @Test("of two, the other never heard stays unknown for as long as it takes")
    func alone() {
        var desk = Desk(["x"], answering: [])
        desk.wait(.seconds(3600))
        #expect(desk.state("x") == .unknown)
        #expect(desk.core.health == 1)
    }

    @Test("slow links make the timeout longer, up to half of the period")
    func slow() {
        var desk = Self.settled()
        for _ in 0..<8 { desk.core.roundTrips.add(.milliseconds(27)) }
        desk.answering.remove("a")
        desk.wait(.seconds(1))
        let pings = desk.sent.filter { $0.to == "a" }
        #expect(pings[1].time - pings[0].time == .milliseconds(81))
    }
}
