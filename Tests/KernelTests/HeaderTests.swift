// SPDX-License-Identifier: Apache-2.0

import BPF
import CMeshABI
import KernelTestSupport
import MeshModel
import Testing

/// IPv4 options and IPv6 extension headers stand between the addresses and the ports.
@Suite("A packet with more headers than usual", .tags(.kernel))
struct HeaderTests {
    /// Puts four no-operation options, or a header of destination options, before the transport's.
    private static func lengthened(_ packet: [UInt8]) -> [UInt8] {
        var packet = packet
        if packet[14] >> 4 == 4 {
            packet.insert(contentsOf: [1, 1, 1, 1], at: 34)
            packet[14] = 0x46
            packet.replaceSubrange(16..<18, with: bigEndian(UInt16(packet.count - 14)))
            packet.replaceSubrange(24..<26, with: [0, 0])
            packet.replaceSubrange(24..<26, with: bigEndian(checksum(Array(packet[14..<38]))))
        } else {
            packet.insert(contentsOf: [packet[20], 0, 1, 4, 0, 0, 0, 0], at: 54)
            packet.replaceSubrange(18..<20, with: bigEndian(UInt16(packet.count - 54)))
            packet[20] = 60
        }
        return packet
    }

    /// Takes them away again.
    private static func shortened(_ packet: [UInt8]) -> [UInt8] {
        var packet = packet
        if packet[14] >> 4 == 4 {
            #expect(packet[14] == 0x46 && checksum(Array(packet[14..<38])) == 0)
            packet.removeSubrange(34..<38)
            packet[14] = 0x45
            packet.replaceSubrange(16..<18, with: bigEndian(UInt16(packet.count - 14)))
            packet.replaceSubrange(24..<26, with: [0, 0])
            packet.replaceSubrange(24..<26, with: bigEndian(checksum(Array(packet[14..<34]))))
        } else {
            packet[20] = packet[54]
            packet.removeSubrange(54..<62)
            packet.replaceSubrange(18..<20, with: bigEndian(UInt16(packet.count - 54)))
        }
        return packet
    }

    @Test("is translated, answered and reset all the same", arguments: Family.allCases)
    func translated(family: Family) throws {
        try inOwnNamespace {
            let world = try World.withOverlay()
            let client = Peer(family.client, 40000)
            let frontend = Peer(family.service, 80)
            let backend = Peer(family.remote, 8080)
            try world.addService(frontend, [World.Slice(cluster: 2, backends: [backend])])
            let there = try world.send(
                Self.lengthened(tcp(client, frontend, .syn, options: [2, 4, 0x23, 0])))
            let sent = PacketReading(Self.shortened(there.bytes))
            #expect(sent.from == client && sent.to == backend && sent.areChecksumsRight)
            #expect(sent.segment[22..<24] != [0x23, 0], "its segment size was lowered")
            let back = try world.receive(Self.lengthened(tcp(backend, client, [.syn, .ack])))
            let answer = PacketReading(Self.shortened(back.bytes))
            #expect(answer.from == frontend && answer.to == client && answer.areChecksumsRight)
            world.setCluster(2, .unreachable, generation: 2)
            let reset = try world.send(
                Self.lengthened(tcp(client, frontend, .ack, acknowledgement: 77, payload: [1])))
            #expect(reset.packet.flags == [.rst, .ack] && reset.packet.sequence == 77)
            #expect(reset.packet.acknowledgement == 1001)
            #expect(reset.packet.from == frontend && reset.packet.areChecksumsRight)
        }
    }

    @Test("may not end before what it announces", arguments: Family.allCases)
    func truncated(family: Family) throws {
        try inOwnNamespace {
            let world = try World.withOverlay()
            let whole = Self.lengthened(
                udp(Peer(family.client, 1), Peer(family.remote, 2), payload: [1, 2, 3, 4]))
            let transport = 14 + family.headerBytes + (family == .ipv4 ? 4 : 8)
            for length in 15 + family.headerBytes..<whole.count {
                var packet = Array(whole.prefix(length))
                #expect(try world.send(packet).action == Action.drop, "\(length) bytes")
                guard length < transport + 8 else { continue }
                // The same with a length that fits.
                let size = family == .ipv4 ? length - 14 : length - 54
                let at = family == .ipv4 ? 16 : 18
                packet.replaceSubrange(at..<at + 2, with: bigEndian(UInt16(size)))
                #expect(try world.send(packet).action == Action.drop, "\(length) bytes, honest")
            }
            #expect(try world.openConnections().isEmpty)
            #expect(try world.send(whole).action == Action.redirect)
        }
    }
}
