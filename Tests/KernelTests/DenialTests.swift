// SPDX-License-Identifier: Apache-2.0

import BPF
import CMeshABI
import KernelTestSupport
import MeshModel
import Testing

@Suite("A denied packet, where answers are wanted", .tags(.kernel))
struct DenialTests {
    private static let uplink: UInt32 = 99

    private static func rejecting(_ config: inout weft_config) {
        config.denied_answer = WEFT_DENIED_REJECT.rawValue
    }

    private static func expectProhibited(
        _ outcome: Outcome, about sent: [UInt8], _ family: Family
    ) {
        let asked = PacketReading(sent)
        #expect(outcome.action == Action.redirect)
        #expect(outcome.packet.source == asked.destination)
        #expect(outcome.packet.destination == asked.source)
        #expect(outcome.packet.icmpType == (family == .ipv4 ? 3 : 1))
        #expect(outcome.packet.icmpCode == (family == .ipv4 ? 13 : 1))
        #expect(outcome.packet.quoted == Array(sent[14..<22 + family.headerBytes]))
        #expect(outcome.packet.areChecksumsRight)
    }

    private static func expectReset(_ outcome: Outcome, about sent: [UInt8]) {
        let asked = PacketReading(sent)
        #expect(outcome.action == Action.redirect)
        #expect(outcome.packet.from == asked.to && outcome.packet.to == asked.from)
        #expect(outcome.packet.flags == [.rst, .ack])
        #expect(outcome.packet.acknowledgement == asked.sequence + 1)
        #expect(outcome.packet.areChecksumsRight)
    }

    @Test("of an endpoint is answered into the endpoint", arguments: Family.allCases)
    func fromEndpoint(family: Family) throws {
        try inOwnNamespace {
            let world = try World(configure: Self.rejecting)
            try world.addEndpoint(family.client, cluster: 1, policySet: 7)
            for target in [family.neighbour, family.remote, family.outside] {
                let syn = tcp(Peer(family.client, 40000), Peer(target, 80), .syn)
                Self.expectReset(try world.send(syn), about: syn)
                let datagram = udp(Peer(family.client, 40000), Peer(target, 53), payload: [1])
                Self.expectProhibited(try world.send(datagram), about: datagram, family)
            }
            let echo = icmp(family.client, family.remote, type: family == .ipv4 ? 8 : 128)
            Self.expectProhibited(try world.send(echo), about: echo, family)
            #expect(try world.count(WEFT_COUNTER_DENIALS_ANSWERED) == 7)
            #expect(try world.count(WEFT_DROP_POLICY_DENIED) == 7)
        }
    }

    @Test("to a service is answered by the service", arguments: Family.allCases)
    func service(family: Family) throws {
        try inOwnNamespace {
            let world = try World(configure: Self.rejecting)
            try world.addEndpoint(family.client, cluster: 1, policySet: 7)
            let frontend = Peer(family.service, 80)
            try world.addService(
                frontend, [World.Slice(cluster: 2, backends: [Peer(family.remote, 8080)])])
            let syn = tcp(Peer(family.client, 40000), frontend, .syn)
            Self.expectReset(try world.send(syn), about: syn)
        }
    }

    @Test(
        "from another node is answered over the overlay, as the endpoint",
        arguments: Family.allCases)
    func fromOverlay(family: Family) throws {
        try inOwnNamespace {
            let world = try World.withOverlay(configure: Self.rejecting)
            try world.addEndpoint(family.client, cluster: 1, policySet: 7)
            let syn = tcp(Peer(family.remote, 40000), Peer(family.client, 80), .syn)
            let datagram = udp(
                Peer(family.remote, 40000), Peer(family.client, 53), payload: [1, 2])
            let reset = try world.receive(syn)
            Self.expectReset(reset, about: syn)
            let prohibited = try world.receive(datagram)
            Self.expectProhibited(prohibited, about: datagram, family)
            let identity = World.identity(of: family.client)
            // Of resets the other node must know that no backend sent them.
            for (answer, marks) in [(reset, 0xc000 as UInt32), (prohibited, 0x8000)] {
                #expect(
                    answer.metadata == [
                        identity & 0xff_ffff, marks | identity >> 24, World.outerSource.ipv4!,
                        World.outer(cluster: 2).ipv4!,
                    ])
            }
        }
    }

    @Test("is believed by the node that sent it", arguments: Family.allCases)
    func believed(family: Family) throws {
        try inOwnNamespace {
            // Here the endpoint is the opener, and the answers come from cluster 2.
            let world = try World.withOverlay()
            let (client, server) = (Peer(family.client, 40000), Peer(family.remote, 80))
            _ = try world.send(tcp(client, server, .syn))
            let datagram = try world.send(udp(client, server, payload: [1]))
            try world.addEndpoint(family.client, cluster: 1, policySet: 7)
            let reset = try world.receive(tcp(server, client, [.rst, .ack]))
            #expect(reset.action == Action.redirect)
            let prohibited = icmp(
                server.address, client.address, type: family == .ipv4 ? 3 : 1,
                code: family == .ipv4 ? 13 : 1,
                payload: Array(datagram.bytes[14..<22 + family.headerBytes]))
            #expect(try world.receive(prohibited).action == Action.redirect)
            let over = try world.openConnections().filter {
                $0.flags & WEFT_CONNECTION_REPLIER_FIN.rawValue != 0
            }
            #expect(over.count == 1)
        }
    }

    @Test("of the host's stack goes back there, past from-endpoint", arguments: Family.allCases)
    func toEndpoint(family: Family) throws {
        try inOwnNamespace {
            let world = try World.withHost(configure: Self.rejecting)
            try world.addEndpoint(family.client, cluster: 1, policySet: 7)
            let syn = tcp(Peer(family.outside, 40000), Peer(family.client, 80), .syn)
            Self.expectReset(try world.pass(syn), about: syn)
            let datagram = udp(Peer(family.outside, 1), Peer(family.client, 53), payload: [1])
            Self.expectProhibited(
                try world.pass(datagram, from: Self.uplink), about: datagram, family)
        }
    }

    @Test("is answered with nothing if it is an error, a reset, for a group or no first fragment")
    func unanswerable() throws {
        try inOwnNamespace {
            let world = try World.withHost(configure: Self.rejecting)
            let family = Family.ipv4
            let client = Peer(family.client, 40000)
            try world.addEndpoint(family.client, cluster: 1, policySet: 7)
            let pieces = udp(
                client, Peer(family.remote, 2), payload: [UInt8](repeating: 1, count: 32))
            let packets = [
                tcp(client, Peer(family.remote, 80), [.rst, .ack]),
                icmp(
                    client.address, family.outside, type: 3, code: 1,
                    payload: Array(pieces.dropFirst(14))),
                udp(client, Peer("224.0.0.251", 5353)), udp(client, Peer("255.255.255.255", 67)),
            ]
            for packet in packets { #expect(try world.send(packet).action == Action.drop) }
            #expect(try world.count(WEFT_DROP_POLICY_DENIED) == 4)
            let segment = PacketReading(pieces).segment
            let cut = [(0, 0x2000), (2, 0)].map { place, more in
                ipPacket(
                    from: client.address, to: family.remote, transport: IPProtocol.udp,
                    fragment: UInt16(place | more),
                    Array(place == 0 ? segment[..<16] : segment[16...]))
            }
            #expect(try world.send(cut[0]).action == Action.redirect)
            #expect(try world.send(cut[1]).action == Action.drop)
            let oneself = tcp(Peer(family.outside, 1), client, .rst)
            #expect(try world.pass(oneself).action == Action.drop)
            #expect(try world.count(WEFT_COUNTER_DENIALS_ANSWERED) == 1)
        }
    }

    @Test("is answered a thousand times a second, and not at all if nobody wants it")
    func bounded() throws {
        try inOwnNamespace {
            let silent = try World()
            let packet = udp(Peer(Family.ipv4.client, 1), Peer(Family.ipv4.remote, 2))
            try silent.addEndpoint(Family.ipv4.client, cluster: 1, policySet: 7)
            #expect(try silent.send(packet).action == Action.drop)
            #expect(try silent.count(WEFT_COUNTER_DENIALS_ANSWERED) == 0)
            let world = try World(configure: Self.rejecting)
            try world.addEndpoint(Family.ipv4.client, cluster: 1, policySet: 7)
            var sent: UInt64 = 0
            while try world.count(WEFT_COUNTER_DENIALS_UNANSWERED) == 0, sent < 100_000 {
                _ = try world.send(packet)
                sent += 1
            }
            let answered = try world.count(WEFT_COUNTER_DENIALS_ANSWERED)
            #expect(answered >= 1000 && answered == sent - 1)
        }
    }
}
