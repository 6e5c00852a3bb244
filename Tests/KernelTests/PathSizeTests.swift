// SPDX-License-Identifier: Apache-2.0

import BPF
import CMeshABI
import KernelTestSupport
import MeshModel
import Testing

@Suite("What the overlay can carry", .tags(.kernel))
struct PathSizeTests {
    /// 1500 bytes of underlay less Ethernet, VXLAN, UDP and IPv4.
    private static let mtu = 1450

    @Test("a longer packet is answered with what would fit", arguments: Family.allCases)
    func tooBig(family: Family) throws {
        try inOwnNamespace {
            let world = try World()
            let sent = udp(
                Peer(family.client, 40000), Peer(family.remote, 53),
                payload: [UInt8](repeating: 1, count: Self.mtu - family.headerBytes - 8 + 1))
            let outcome = try world.send(sent)
            #expect(outcome.action == Action.redirect)
            #expect(outcome.packet.source == family.remote)
            #expect(outcome.packet.destination == family.client)
            #expect(outcome.packet.icmpType == (family == .ipv4 ? 3 : 2))
            #expect(outcome.packet.icmpCode == (family == .ipv4 ? 4 : 0))
            #expect(outcome.packet.icmpRest == UInt32(Self.mtu))
            #expect(outcome.packet.quoted == Array(sent[14..<22 + family.headerBytes]))
            #expect(outcome.packet.areChecksumsRight)
            #expect(try world.count(WEFT_DROP_TOO_BIG) == 1)
            #expect(try world.count(WEFT_COUNTER_TOO_BIG_ANSWERED) == 1)
            #expect(try world.openConnections().isEmpty)
        }
    }

    @Test("a packet of just that length goes through", arguments: Family.allCases)
    func fits(family: Family) throws {
        try inOwnNamespace {
            let world = try World()
            let outcome = try world.send(
                udp(
                    Peer(family.client, 40000), Peer(family.remote, 53),
                    payload: [UInt8](repeating: 1, count: Self.mtu - family.headerBytes - 8)))
            #expect(outcome.packet.source == family.client)
        }
    }

    @Test("of a packet that will be cut, the segments count")
    func segments() throws {
        try inOwnNamespace {
            let world = try World()
            let packet = tcp(
                Peer(Family.ipv4.client, 40000), Peer(Family.ipv4.remote, 80), .ack,
                payload: [UInt8](repeating: 1, count: 3000))
            let fitting = try world.send(packet, segmentSize: UInt32(Self.mtu - 40))
            #expect(fitting.packet.source == Family.ipv4.client)
            let longer = try world.send(packet, segmentSize: UInt32(Self.mtu - 39))
            #expect(longer.packet.icmpType == 3)
            #expect(longer.packet.quoted.count == 40, "all of TCP's fixed header")
        }
    }

    @Test("a node's own limit counts if it is lower")
    func nodeLimit() throws {
        try inOwnNamespace {
            let world = try World()
            world.tunnels[20] = weft_tunnel(
                address: weft_address(World.outer(cluster: 2)), cluster: 2, mtu: 1300, pad: 0)
            let outcome = try world.send(
                udp(
                    Peer(Family.ipv4.client, 1), Peer(Family.ipv4.remote, 53),
                    payload: [UInt8](repeating: 1, count: 1273)))
            #expect(outcome.packet.icmpRest == 1300)
        }
    }

    @Test("an error that is too big itself is not answered")
    func noErrorAboutErrors() throws {
        try inOwnNamespace {
            let world = try World()
            let outcome = try world.send(
                icmp(
                    Family.ipv4.client, Family.ipv4.remote, type: 3,
                    payload: [UInt8](repeating: 0, count: 1450)))
            #expect(outcome.action == Action.drop)
            #expect(try world.count(WEFT_DROP_TOO_BIG) == 1)
        }
    }

    /// Options of a SYN, and the MSS that must come out.
    struct MSSCase: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let options: [UInt8]
        /// Where the value stands in the options; nil: nothing may change.
        let offset: Int?
    }

    private static let mssCases = [
        MSSCase(testDescription: "first", options: [2, 4, 0x23, 0x00], offset: 2),
        MSSCase(
            testDescription: "behind others", options: [1, 3, 3, 7, 4, 2, 2, 4, 0x23, 0x01, 1, 0],
            offset: 8),
        MSSCase(
            testDescription: "at an odd offset", options: [1, 2, 4, 0x23, 0x01, 1, 1, 0], offset: 3),
        MSSCase(testDescription: "small enough", options: [2, 4, 2, 0], offset: nil),
        MSSCase(testDescription: "none", options: [1, 1, 1, 0], offset: nil),
        MSSCase(
            testDescription: "behind the end", options: [0, 2, 4, 0x23, 0, 0, 0, 0], offset: nil),
        MSSCase(testDescription: "broken", options: [3, 0, 2, 4, 0x23, 0, 0, 0], offset: nil),
    ]

    @Test("a SYN's segment size is lowered to it", arguments: mssCases, Family.allCases)
    func clamp(mss: MSSCase, family: Family) throws {
        try inOwnNamespace {
            let world = try World()
            let outcome = try world.send(
                tcp(
                    Peer(family.client, 40000), Peer(family.remote, 80), .syn,
                    options: mss.options))
            #expect(outcome.action == Action.redirect)
            #expect(outcome.packet.areChecksumsRight)
            var expected = mss.options
            if let offset = mss.offset {
                expected.replaceSubrange(
                    offset..<offset + 2,
                    with: bigEndian(UInt16(Self.mtu - family.headerBytes - 20)))
            }
            #expect(Array(outcome.packet.segment[20..<20 + mss.options.count]) == expected)
            #expect(try world.count(WEFT_COUNTER_MSS_CLAMPED) == (mss.offset == nil ? 0 : 1))
        }
    }

    @Test("a SYN to an endpoint of this node keeps its segment size")
    func noClampLocally() throws {
        try inOwnNamespace {
            let world = try World()
            let outcome = try world.send(
                tcp(
                    Peer(Family.ipv4.client, 40000), Peer(Family.ipv4.neighbour, 80), .syn,
                    options: [2, 4, 0x23, 0]))
            #expect(Array(outcome.packet.segment[20..<24]) == [2, 4, 0x23, 0])
        }
    }
}
