// SPDX-License-Identifier: Apache-2.0

import BPF
import CMeshABI
import KernelTestSupport
import MeshModel
import Testing

@Suite("When the other end dies", .tags(.kernel))
struct ResetTests {
    /// What died.
    enum Death: String, CaseIterable, Sendable {
        case cluster
        case node
    }

    private static func kill(_ death: Death, in world: World, generation: UInt32 = 2) {
        switch death {
        case .cluster: world.setCluster(2, .unreachable, generation: generation)
        case .node: world.setNode(20, .unreachable, generation: generation)
        }
    }

    @Test(
        "the next TCP packet is answered with a reset that the sender accepts",
        arguments: Family.allCases, Death.allCases)
    func tcpReset(family: Family, death: Death) throws {
        try inOwnNamespace {
            let world = try World()
            let client = Peer(family.client, 40000)
            let server = Peer(family.remote, 80)
            _ = try world.send(tcp(client, server, .syn))
            Self.kill(death, in: world)
            let outcome = try world.send(
                tcp(
                    client, server, [.ack, .psh, .fin], sequence: 5000, acknowledgement: 9000,
                    options: [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2], payload: [1, 2, 3, 4, 5]))
            #expect(outcome.action == Action.redirect)
            #expect(outcome.packet.from == server && outcome.packet.to == client)
            #expect(outcome.packet.flags == [.rst, .ack])
            #expect(outcome.packet.sequence == 9000)
            #expect(outcome.packet.acknowledgement == 5006, "five bytes and a FIN")
            #expect(
                outcome.packet.segment.count == 20 && outcome.bytes.count == 34 + family.headerBytes
            )
            #expect(outcome.packet.areChecksumsRight)
            #expect(outcome.packet.destinationMAC == MAC.workload)
            #expect(outcome.packet.sourceMAC == MAC.host)
            #expect(try world.count(WEFT_COUNTER_CONNECTIONS_RESET) == 1)
            #expect(try world.count(WEFT_DROP_PEER_DEAD) == 1)
            let types = try world.takeEvents().map { UInt32($0.type) }
            #expect(types == [WEFT_EVENT_OPENED.rawValue, WEFT_EVENT_RESET.rawValue])
        }
    }

    @Test("a segment that is yet to be cut is acknowledged as a whole")
    func segmentedReset() throws {
        try inOwnNamespace {
            let world = try World()
            let client = Peer(Family.ipv4.client, 40000)
            let server = Peer(Family.ipv4.remote, 80)
            _ = try world.send(tcp(client, server, .syn))
            Self.kill(.cluster, in: world)
            let outcome = try world.send(
                tcp(
                    client, server, .ack, sequence: 5000,
                    payload: [UInt8](repeating: 7, count: 3000)), segmentSize: 1400)
            #expect(outcome.packet.flags.contains(.rst))
            #expect(outcome.packet.acknowledgement == 8000)
        }
    }

    @Test("a reset is never answered", arguments: Family.allCases)
    func resetOfReset(family: Family) throws {
        try inOwnNamespace {
            let world = try World()
            let client = Peer(family.client, 40000)
            let server = Peer(family.remote, 80)
            _ = try world.send(tcp(client, server, .syn))
            Self.kill(.cluster, in: world)
            #expect(try world.send(tcp(client, server, .rst)).action == Action.drop)
            #expect(try world.send(tcp(client, server, [.rst, .ack])).action == Action.drop)
            #expect(try world.count(WEFT_DROP_PEER_DEAD) == 2)
        }
    }

    @Test("a UDP sender hears that the port is unreachable", arguments: Family.allCases)
    func portUnreachable(family: Family) throws {
        try inOwnNamespace {
            let world = try World()
            let client = Peer(family.client, 40000)
            let server = Peer(family.remote, 53)
            let sent = udp(client, server, payload: Array(0..<100))
            #expect(try world.send(sent).action == Action.redirect)
            Self.kill(.node, in: world)
            for _ in 0..<2 {
                let outcome = try world.send(sent)
                #expect(outcome.action == Action.redirect)
                #expect(outcome.packet.source == family.remote)
                #expect(outcome.packet.destination == family.client)
                #expect(outcome.packet.icmpType == (family == .ipv4 ? 3 : 1))
                #expect(outcome.packet.icmpCode == (family == .ipv4 ? 3 : 4))
                #expect(outcome.packet.areChecksumsRight)
                #expect(outcome.packet.quoted == Array(sent[14..<22 + family.headerBytes]))
            }
            #expect(try world.count(WEFT_COUNTER_CONNECTIONS_RESET) == 2)
            let resets = try world.takeEvents().filter {
                UInt32($0.type) == WEFT_EVENT_RESET.rawValue
            }
            #expect(resets.count == 1, "told once")
        }
    }

    @Test("a flow made after the death goes on: TCP shall decide")
    func lastResort() throws {
        try inOwnNamespace {
            let world = try World()
            Self.kill(.cluster, in: world)
            let client = Peer(Family.ipv4.client, 40000)
            let server = Peer(Family.ipv4.remote, 80)
            #expect(try world.send(tcp(client, server, .syn)).action == Action.redirect)
            let second = try world.send(tcp(client, server, .ack))
            #expect(second.packet.source == client.address, "it was forwarded")
            Self.kill(.cluster, in: world, generation: 3)
            let third = try world.send(tcp(client, server, .ack))
            #expect(third.packet.source == server.address, "it was answered")
        }
    }

    @Test(
        "a SYN sent again is reset, another one with the same ports is a last resort",
        arguments: Family.allCases, Death.allCases)
    func samePorts(family: Family, death: Death) throws {
        try inOwnNamespace {
            let world = try World()
            let client = Peer(family.client, 40000)
            let server = Peer(family.remote, 80)
            _ = try world.send(tcp(client, server, .syn, sequence: 0x1000_0001))
            Self.kill(death, in: world)
            let again = try world.send(tcp(client, server, .syn, sequence: 0x1000_0001))
            #expect(again.packet.from == server && again.packet.flags.contains(.rst))

            for key in try world.connections.keys() { try world.connections.delete(key) }
            Self.kill(death, in: world, generation: 3)
            _ = try world.send(tcp(client, server, .syn, sequence: 0x2000_0001))
            Self.kill(death, in: world, generation: 4)
            let other = try world.send(tcp(client, server, .syn, sequence: 0x3000_0002))
            #expect(other.packet.from == client, "it was forwarded")
            let repeated = try world.send(tcp(client, server, .syn, sequence: 0x3000_0002))
            #expect(repeated.packet.from == client, "it was made after the death")
            #expect(try world.count(WEFT_COUNTER_CONNECTIONS_RESET) == 1)
        }
    }

    @Test(
        "a segment of a connection that nobody remembers is reset too",
        arguments: Family.allCases, Death.allCases)
    func forgotten(family: Family, death: Death) throws {
        try inOwnNamespace {
            let world = try World()
            let client = Peer(family.client, 40000)
            let server = Peer(family.remote, 80)
            try world.addService(
                Peer(family.service, 80), [World.Slice(cluster: 2, backends: [server])])
            _ = try world.send(tcp(client, server, .syn))
            Self.kill(death, in: world)
            for key in try world.connections.keys() { try world.connections.delete(key) }
            for target in [server, Peer(family.service, 80)] {
                let outcome = try world.send(
                    tcp(client, target, [.ack, .psh], acknowledgement: 9000, payload: [1]))
                #expect(outcome.action == Action.redirect)
                #expect(outcome.packet.from == target && outcome.packet.to == client)
                #expect(outcome.packet.flags == [.rst, .ack] && outcome.packet.sequence == 9000)
                #expect(outcome.packet.areChecksumsRight)
            }
            #expect(try world.send(tcp(client, server, .rst)).action == Action.drop)
            let resets = try world.takeEvents().filter {
                UInt32($0.type) == WEFT_EVENT_RESET.rawValue
            }
            #expect(resets.first?.cluster == 2)
            // What opens a connection may be a last resort.
            #expect(try world.send(tcp(client, server, .syn)).packet.from == client)
        }
    }

    @Test("being suspect, draining or back resets nothing")
    func noReset() throws {
        try inOwnNamespace {
            let world = try World()
            let client = Peer(Family.ipv4.client, 40000)
            let server = Peer(Family.ipv4.remote, 80)
            _ = try world.send(tcp(client, server, .syn))
            for (generation, verdict) in [Verdict.suspect, .draining, .probation, .up].enumerated()
            {
                world.setCluster(2, verdict, generation: UInt32(generation) + 2)
                world.setNode(20, verdict, generation: UInt32(generation) + 2)
                let outcome = try world.send(tcp(client, server, .ack))
                #expect(outcome.packet.source == client.address, "\(verdict)")
            }
            #expect(try world.count(WEFT_COUNTER_CONNECTIONS_RESET) == 0)
        }
    }

    @Test("the server of a connection that a dead cluster opened is reset too")
    func openedByTheDead() throws {
        try inOwnNamespace {
            let world = try World.withOverlay()
            let client = Peer(Family.ipv4.remote, 40000)
            let server = Peer(Family.ipv4.client, 80)
            #expect(try world.receive(tcp(client, server, .syn)).action == Action.redirect)
            Self.kill(.cluster, in: world)
            let outcome = try world.send(
                tcp(server, client, [.syn, .ack], sequence: 77, acknowledgement: 1001))
            #expect(outcome.packet.flags == [.rst, .ack])
            #expect(outcome.packet.sequence == 1001 && outcome.packet.acknowledgement == 78)
            #expect(outcome.packet.areChecksumsRight)
        }
    }
}
