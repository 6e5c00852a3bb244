// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

@testable import MeshMembership

@Suite("Roster, leaving and tables")
struct RosterTests {
    @Test("a name outside the roster is nobody: not as a sender, not in what is told")
    func strangers() {
        var desk = ProbingTests.settled()
        desk.hear(.ping(1), from: "mallory")
        #expect(desk.sent.isEmpty)
        #expect(desk.core.counters.unknownSenders == 1)
        desk.hear(
            .gossip, from: "a", saying: [.alive("mallory", 1), .dead("eve", 1, by: "a", "b")])
        #expect(desk.core.counters.strangers == 2)
        #expect(desk.core.statuses.count == 5)
        desk.hear(.ping(1), from: "me")
        #expect(desk.core.counters.unknownSenders == 2, "one's own echo")
    }

    @Test("who is removed is forgotten, who returns begins anew, who stays stays")
    func changes() {
        var desk = ProbingTests.settled()
        desk.hear(.gossip, from: "b", saying: [.suspect("a", 1, by: "b")])
        desk.configure(["b", "c", "e"])
        #expect(desk.state("a") == nil)
        #expect(desk.state("b") == .alive)
        desk.wait(.seconds(20))
        #expect(desk.sent(to: "a").isEmpty)
        desk.configure(["a", "b", "c", "e"])
        #expect(desk.state("a") == .unknown)
        #expect(desk.core.status(of: "a")?.incarnation == 0)
        #expect(desk.core.members.count == 5, "places are used again")
    }

    @Test("every datagram tells what its sender has to spare; those that live are summed up")
    func workloads() {
        var desk = ProbingTests.settled()
        #expect(desk.core.totalWorkload() == nil, "nobody says")
        desk.core.workload = Workload(capacity: 4000, used: 1000)
        desk.wait(.seconds(1))
        #expect(desk.sent.last?.datagram.workload == Workload(capacity: 4000, used: 1000))
        desk.hear(
            raw: Datagram(
                incarnation: 1, workload: Workload(capacity: 8000, used: 8000), message: .ping(1)
            ).encoded, from: "a")
        #expect(desk.core.status(of: "a")?.workload == Workload(capacity: 8000, used: 8000))
        // Two of five say: 12,000 of which 9,000 are used.
        #expect(desk.core.totalWorkload() == Workload(capacity: 30_000, used: 22_500))
        #expect(
            desk.core.totalWorkload(without: ["a"]) == Workload(capacity: 16_000, used: 4000),
            "who leaves has no room")
        desk.hear(.gossip, from: "a", saying: [.left("a", 1)])
        #expect(desk.core.totalWorkload() == Workload(capacity: 16_000, used: 4000))
        #expect(
            desk.core.statuses.allSatisfy {
                $0.name == "me" || $0.workload == nil || $0.state == .left
            })
    }

    @Test("an empty name and one of more than 253 bytes are nobody's")
    func names() {
        let desk = Desk(["", String(repeating: "x", count: 254), "a"])
        #expect(desk.core.statuses.map(\.name) == ["a", "me"])
    }

    @Test("one that leaves tells eight at once and accuses nobody any more")
    func leaving() {
        var desk = ProbingTests.settled((0..<20).map { "n\($0)" })
        desk.leave()
        #expect(Set(desk.sent.map(\.to)).count >= 8)
        #expect(desk.sent.allSatisfy { $0.datagram.statements == [.left("me", 1)] })
        #expect(!desk.core.hasToldAll)
        desk.answering = []
        desk.wait(.seconds(10))
        #expect(desk.core.hasToldAll)
        #expect(desk.core.nextWake == nil)
        #expect(desk.changes.isEmpty)
        desk.hear(.gossip, from: "n1", saying: [.dead("me", 1, by: "n1")])
        #expect(desk.core.incarnation == 1, "it goes: nothing to contradict")
    }

    @Test("who says that it leaves is out at once, and back with its next life")
    func left() {
        var desk = ProbingTests.settled()
        desk.hear(.gossip, from: "a", saying: [.left("a", 1)])
        #expect(desk.state("a") == .left)
        desk.hear(.gossip, from: "b", saying: [.dead("a", 1, by: "b", "c")])
        #expect(desk.state("a") == .left)
        desk.sent = []
        desk.hear(.ping(1), from: "a", incarnation: 1)
        #expect(desk.state("a") == .left)
        #expect(desk.sent(to: "a").last?.statements.first == .left("a", 1), "so that it goes above")
        desk.hear(.gossip, from: "a", incarnation: 2)
        #expect(desk.state("a") == .alive)
    }

    @Test(
        "equal tables cost one digest; different ones are told in datagrams complete in themselves")
    func tables() throws {
        let peers = (0..<300).map { "a-node-with-a-rather-long-name-\($0)" }
        var desk = ProbingTests.settled(peers)
        desk.wait(.seconds(60))
        desk.sent = []
        desk.hear(.digest(desk.core.tableDigest), from: peers[0])
        desk.wait(.seconds(1))
        #expect(
            !desk.sent.contains {
                if case .table = $0.datagram.message { true } else { false }
            })
        desk.hear(.digest(1), from: peers[0])
        desk.wait(.seconds(1))
        let told = desk.sent.filter {
            if case .table = $0.datagram.message { true } else { false }
        }
        #expect(told.allSatisfy { $0.datagram.encoded.count <= 1184 })
        #expect(Set(told.flatMap(\.datagram.statements).map(\.name)) == Set(peers + ["me"]))
        #expect(
            told.filter { $0.datagram.message == .table(wantsAnswer: true) }.count == 1)
        let rounds = Dictionary(grouping: told, by: \.time)
        #expect(rounds.values.allSatisfy { $0.count <= 4 }, "paced")
    }

    @Test("nobody makes it tell its table to more than four at once")
    func tellings() {
        var desk = ProbingTests.settled((0..<20).map { "n\($0)" })
        for index in 0..<20 { desk.hear(.table(wantsAnswer: true), from: "n\(index)") }
        #expect(desk.core.tellings.count == 4)
    }

    @Test("what one hears while it starts isn't passed on: the others know")
    func starting() {
        var desk = Desk(["a", "b", "c"])
        desk.wait(.seconds(5))
        #expect(Set(desk.sent.flatMap(\.datagram.statements).map(\.name)) == ["me"])
    }

    @Test("a statement is told 4 · ⌈log10(N + 1)⌉ times, and then no more")
    func retransmits() {
        var desk = ProbingTests.settled((0..<20).map { "n\($0)" })
        // So that it isn't told by itself.
        desk.answering.remove("n2")
        desk.hear(.gossip, from: "n1", saying: [.alive("n2", 5)])
        desk.wait(.seconds(1))
        #expect(desk.told("n2").count == 8)
    }
}
