// SPDX-License-Identifier: Apache-2.0

import BPF
import CMeshABI
import KernelTestSupport
import MeshModel
import Testing

/// TC_ACT_UNSPEC, or TCX_NEXT: the packet is left to the interface's other programs and the stack.
private let untouched = UInt32(bitPattern: -1)

@Suite("Other nodes' probes", .tags(.kernel))
struct ResponderTests {
    @Test("are answered in the agent's name", arguments: Family.allCases)
    func answered(family: Family) throws {
        try inOwnNamespace {
            let responder = try Responder(family, renewed: .seconds(3))
            let probe = responder.probe()
            let outcome = try responder.receive(probe)
            #expect(outcome.action == Action.redirect && outcome.bytes.count == probe.count)
            let answer = outcome.packet
            #expect(answer.destinationMAC == MAC.workload && answer.sourceMAC == Array(probe[..<6]))
            #expect(answer.from == family.probed && answer.to == family.prober)
            #expect(answer.hopLimit == 61)
            #expect(answer.areChecksumsRight && answer.number(6) != 0)
            let age = UInt32(answer.number(12)) << 16 | UInt32(answer.number(14))
            #expect((3_000..<10_000).contains(age))
            #expect(
                Array(answer.segment.dropFirst(8))
                    == Responder.payload(kind: 4, age: age, instance: Responder.instance))
            #expect(try responder.answers == 1)
        }
    }

    @Test("may come without a checksum over IPv4, and are answered without one")
    func withoutChecksum() throws {
        try inOwnNamespace {
            let responder = try Responder(.ipv4)
            let outcome = try responder.receive(responder.probe(withChecksum: false))
            #expect(outcome.action == Action.redirect)
            #expect(outcome.packet.number(6) == 0 && outcome.packet.isNetworkChecksumRight)
        }
    }

    @Test("that were damaged on their way get an answer as damaged", arguments: Family.allCases)
    func damaged(family: Family) throws {
        try inOwnNamespace {
            let responder = try Responder(family)
            var probe = responder.probe()
            probe[probe.count - 10] ^= 0x10
            let outcome = try responder.receive(probe)
            #expect(outcome.action == Action.redirect && !outcome.packet.areChecksumsRight)
        }
    }

    @Test(
        "are left to the agent without a lease that lasts",
        arguments: [nil, .seconds(10), .seconds(3_600), .seconds(-60)] as [Duration?])
    func lease(renewed: Duration?) throws {
        try inOwnNamespace {
            let responder = try Responder(.ipv4, renewed: renewed)
            let outcome = try responder.receive(responder.probe())
            #expect(outcome.action == untouched && outcome.bytes == responder.probe())
            #expect(try responder.answers == 0)
            // As soon as it has one they are answered.
            responder.renew(.zero)
            #expect(try responder.receive(responder.probe()).action == Action.redirect)
            // A node that leaves ends it.
            responder.renew(nil)
            #expect(try responder.receive(responder.probe()).action == untouched)
        }
    }

    @Test("are answered a thousand times a second on a CPU, and dropped beyond")
    func rate() throws {
        try inOwnNamespace {
            let responder = try Responder(.ipv4)
            let probe = responder.probe()
            func receiveUntil(_ action: UInt32) throws -> Int? {
                // A second may begin anew, and a thread change its CPU.
                try (0..<1_000_000).first { _ in try responder.receive(probe).action == action }
            }
            let first = try receiveUntil(Action.drop)
            #expect(try #require(first) >= Int(WEFT_PROBES_PER_SECOND_MAX))
            #expect(try responder.answers == UInt64(first ?? 0))
            #expect(try responder.world.count(WEFT_DROP_PROBE_RATE) == 1)
            #expect(try receiveUntil(Action.redirect) != nil, "the next second has its own answers")
        }
    }

    // MARK: - What is no probe

    struct Stranger: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let packet: @Sendable (Responder) -> [UInt8]

        init(_ description: String, _ packet: @escaping @Sendable (Responder) -> [UInt8]) {
            testDescription = description
            self.packet = packet
        }

        static func to(_ destination: Peer, _ family: Family) -> [UInt8] {
            Responder.arriving(udp(family.prober, destination, payload: Responder.payload()))
        }

        static func payload(_ description: String, _ bytes: [UInt8]) -> Stranger {
            Stranger(description) { $0.probe(bytes) }
        }

        /// A probe of either family with some bytes replaced.
        static func changed(
            _ description: String, at offset: Int, to bytes: [UInt8], of family: Family
        ) -> Stranger {
            Stranger(description) { responder in
                guard responder.family == family else { return responder.probe(Array("?".utf8)) }
                var packet = responder.probe()
                packet.replaceSubrange(offset..<offset + bytes.count, with: bytes)
                return packet
            }
        }

        static let all: [Stranger] = [
            payload("heartbeat", Responder.payload(kind: 1)),
            payload("gossip", Responder.payload(kind: 2)),
            payload("answer", Responder.payload(kind: 4)),
            payload("somebody else's", Responder.payload(name: "xyz")),
            payload("shorter", Responder.payload().dropLast()),
            payload("longer", Responder.payload() + [0]),
            payload("empty", []),
            Stranger("as long as one of the other family") {
                $0.probe(Responder.payload() + [UInt8](repeating: 0, count: 20))
            },
            Stranger("padded") { $0.probe() + [0, 0] },
            Stranger("other port") { to(Peer($0.family.probed.address, 4790), $0.family) },
            Stranger("port zero") { to(Peer($0.family.probed.address, 0), $0.family) },
            Stranger("other node") { to($0.family.node(3), $0.family) },
            Stranger("other host's frame") {
                udp($0.family.prober, $0.family.probed, payload: Responder.payload())
            },
            Stranger("tagged") {
                $0.probe(Responder.payload().dropLast(4)).inserting([0x81, 0, 0, 7], at: 12)
            },
            Stranger("TCP") {
                Responder.arriving(
                    tcp(
                        $0.family.prober, $0.family.probed, .syn,
                        payload: Array(Responder.payload().prefix(12))))
            },
            changed("first fragment", at: 20, to: [0x20, 0], of: .ipv4),
            changed("later fragment", at: 20, to: [0x00, 1], of: .ipv4),
            changed("wrong IP version", at: 14, to: [0x55], of: .ipv4),
            changed("length of a longer datagram", at: 38, to: [0, 33], of: .ipv4),
            changed("length of a longer packet", at: 16, to: [0, 53], of: .ipv4),
            changed("length of a shorter packet", at: 16, to: [0, 51], of: .ipv4),
            changed("length of a shorter payload", at: 18, to: [0, 31], of: .ipv6),
            changed("atomic fragment", at: 20, to: [44], of: .ipv6),
            Stranger("with options") { responder in
                let whole = responder.probe(responder.family.isIPv4 ? short(4) : short(8))
                return responder.family.isIPv4
                    ? whole.inserting([1, 1, 1, 1], at: 34).replacing(at: 14, [0x46, 0, 0, 52])
                    : whole.inserting([17, 0, 1, 4, 0, 0, 0, 0], at: 54)
                        .replacing(at: 18, [0, 32, 60])
            },
            Stranger("with a tail behind the datagram") { responder in
                let length = 14 + responder.family.headerBytes + 4
                return responder.probe(Responder.payload() + [UInt8](repeating: 0, count: 20))
                    .replacing(at: length, [0, 32])
            },
            Stranger("with twenty bytes of options") { responder in
                responder.family.isIPv4 ? longHeader(responder.probe()) : responder.probe([])
            },
        ]

        /// As long as a probe over IPv6, and with a whole one in it.
        private static func longHeader(_ packet: [UInt8]) -> [UInt8] {
            packet.inserting([UInt8](repeating: 1, count: 20), at: 34)
                .replacing(at: 14, [0x4a, 0, 0, 72])
        }

        private static func short(_ bytes: Int) -> [UInt8] { Responder.payload().dropLast(bytes) }
    }

    @Test("pass like everything else if they are not exactly that", arguments: Stranger.all)
    func strangers(stranger: Stranger) throws {
        try inOwnNamespace {
            for family in Family.allCases {
                let responder = try Responder(family)
                let packet = stranger.packet(responder)
                let outcome = try responder.receive(packet)
                #expect(outcome.action == untouched && outcome.bytes == packet)
                #expect(try responder.answers == 0)
            }
        }
    }
}

extension Family {
    fileprivate var isIPv4: Bool { self == .ipv4 }

    fileprivate func node(_ host: UInt8) -> Peer {
        Peer(Address(bytes: probed.address.bytes.dropLast() + [host])!, probed.port)
    }
}

extension [UInt8] {
    fileprivate func inserting(_ bytes: [UInt8], at offset: Int) -> [UInt8] {
        Array(self[..<offset] + bytes + self[offset...])
    }

    fileprivate func replacing(at offset: Int, _ bytes: [UInt8]) -> [UInt8] {
        Array(self[..<offset] + bytes + self[(offset + bytes.count)...])
    }
}
