// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshSimulation
import Testing

@testable import MeshMembership

@Suite("Datagrams of membership")
struct CodingTests {
    static let ping: [UInt8] = [
        2, 1,  // version 2, ping
        0, 0, 0, 2,  // the sender's incarnation
        0, 0, 0x0f, 0xa0, 0, 0, 0, 7,  // of its 4,000 it uses 7
        0, 0, 1, 0,  // sequence 256
        1, 0, 14,  // a statement of 14 bytes
        2, 0, 0, 0, 1, 2, 0x6e, 0x31,  // suspect, incarnation 1, "n1"
        2, 1, 0x61, 2, 0x62, 0x63,  // two accusers: "a", "bc"
    ]

    /// Of incarnation 1, without a capacity.
    static func head(_ kind: UInt8) -> [UInt8] {
        [2, kind, 0, 0, 0, 1] + [UInt8](repeating: 0, count: 8)
    }

    static let messages: [Message] = [
        .ping(1), .pingRequest(2, target: "n1"), .ack(.max), .nack(0), .gossip, .digest(.max),
        .table(wantsAnswer: true), .table(wantsAnswer: false),
    ]

    @Test("the layout is this one, byte by byte")
    func fixture() throws {
        let datagram = Datagram(
            incarnation: 2, workload: Workload(capacity: 4000, used: 7), message: .ping(256),
            statements: [.suspect("n1", 1, by: "a", "bc")])
        #expect(datagram.encoded == Self.ping)
        #expect(try Datagram(encoded: Self.ping) == datagram)
    }

    @Test("what is written is read again", arguments: messages)
    func roundTrip(_ message: Message) throws {
        let datagram = Datagram(
            incarnation: 7, message: message,
            statements: [.alive("a", 1), .left("b", 2), .dead("c", 3, by: "a")])
        #expect(try Datagram(encoded: datagram.encoded) == datagram)
    }

    @Test("fields it doesn't know are skipped, and what a later version appends to a statement")
    func unknownFields() throws {
        var bytes = Datagram(incarnation: 1, message: .gossip).encoded
        bytes += [200, 0, 3, 1, 2, 3]
        bytes += [1, 0, 11, 1, 0, 0, 0, 1, 1, 0x61, 0, 9, 9, 9]
        #expect(try Datagram(encoded: bytes).statements == [.alive("a", 1)])
    }

    @Test("a newer version is rejected as such, and changes nothing")
    func newerVersion() {
        var desk = ProbingTests.settled()
        var bytes = Self.ping
        bytes[0] = 3
        desk.hear(raw: bytes, from: "a")
        #expect(desk.events == [.rejected(from: "a", .unsupportedVersion(3))])
        #expect(desk.core.counters.unsupportedVersions == 1)
    }

    @Test("cut anywhere, it is rejected whole or ends at a field")
    func truncated() {
        for count in 0..<Self.ping.count {
            let bytes = Array(Self.ping.prefix(count))
            guard let datagram = try? Datagram(encoded: bytes) else { continue }
            #expect(count == 18 && datagram.statements.isEmpty)
        }
    }

    @Test(
        "bounds are checked before what they bound",
        arguments: [
            ([UInt8](repeating: 1, count: 1185), MembershipRejection.oversized),
            (head(9), .malformed(.invalid("kind"))),
            (head(5) + [1, 0, 7, 1, 0, 0, 0, 1, 1, 97], .malformed(.truncated)),
            (head(5) + [1, 0, 8, 0, 0, 0, 0, 1, 1, 97, 0], .malformed(.invalid("state"))),
            (head(5) + [1, 0, 7, 1, 0, 0, 0, 1, 0, 0, 0], .malformed(.invalid("name"))),
            (
                head(5) + [1, 0, 8, 1, 0, 0, 0, 1, 1, 97, 5],
                .malformed(.tooLong("accusers"))
            ),
            (
                head(5) + [1, 0, 8, 1, 0, 0, 0, 1, 1, 0xff, 0],
                .malformed(.invalid("name"))
            ),
        ] as [([UInt8], MembershipRejection)])
    func bounds(bytes: [UInt8], reason: MembershipRejection) {
        var desk = ProbingTests.settled()
        desk.hear(raw: bytes, from: "a")
        #expect(desk.events == [.rejected(from: "a", reason)])
        #expect(desk.sent.isEmpty)
    }

    @Test("garbage changes nothing, or what the same words of a peer would")
    func garbage() {
        var desk = ProbingTests.settled()
        let before = desk.core.statuses.map(\.state)
        var generator = SeededGenerator(seed: 1)
        for _ in 0..<20_000 {
            var bytes = (0..<Int(generator.next() % 80)).map { _ in
                UInt8(truncatingIfNeeded: generator.next())
            }
            if bytes.count > 1, generator.chance(0.9) {
                bytes[0] = 2
                bytes[1] = UInt8(generator.next() % 9)
            }
            // So that it gets past the names.
            for index in bytes.indices.dropFirst(14) where generator.chance(0.2) {
                bytes[index] = [1, 97, 0, 98].randomElement(using: &generator)!
            }
            desk.hear(raw: bytes, from: "a")
        }
        let counters = desk.core.counters
        #expect(counters.malformed > 1000 && counters.unsupportedVersions > 100)
        #expect(desk.core.statuses.map(\.name) == ["a", "b", "c", "d", "me"])
        #expect(desk.core.errands.count <= 128)
        #expect(before.count == desk.core.statuses.count)
    }

    @Test("one bit flipped in a datagram never brings it down")
    func bitFlips() {
        for bit in 0..<Self.ping.count * 8 {
            var desk = ProbingTests.settled(["a", "bc", "n1"])
            var bytes = Self.ping
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            desk.hear(raw: bytes, from: "a")
            #expect(desk.core.statuses.count == 4)
        }
    }

    @Test("the longest names still fit into one datagram")
    func longest() {
        let names = (0..<5).map { String(repeating: "x", count: 252) + "\($0)" }
        var desk = ProbingTests.settled(names)
        for name in names.dropFirst() {
            desk.hear(
                .gossip, from: name,
                saying: [
                    Statement(name: names[0], state: .suspect, incarnation: 1, accusers: [name])
                ])
        }
        #expect(desk.core.status(of: names[0])?.accusers.count == 4)
        desk.hear(.ping(1), from: names[0])
        let ack = desk.sent(to: names[0]).last
        #expect(ack?.statements.first?.accusers == Array(names[1...3]))
        #expect(ack.map { $0.encoded.count <= 1184 } == true)
    }
}
