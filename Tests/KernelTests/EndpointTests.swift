// SPDX-License-Identifier: Apache-2.0

import BPF
import CMeshABI
import KernelTestSupport
import MeshModel
import Testing

@Suite("What an endpoint sends", .tags(.kernel))
struct EndpointTests {
    @Test(
        "goes to an endpoint of the same node with its addresses and one hop less",
        arguments: Family.allCases)
    func localDelivery(family: Family) throws {
        try inOwnNamespace {
            let world = try World()
            let sent = tcp(Peer(family.client, 40000), Peer(family.neighbour, 80), .syn)
            let outcome = try world.send(sent)
            #expect(outcome.action == Action.redirect)
            #expect(outcome.packet.destinationMAC == World.mac(of: family.neighbour))
            #expect(outcome.packet.sourceMAC == [0x02, 0, 0x77, 0x65, 0x66, 0x74])
            #expect(outcome.packet.hopLimit == 63)
            #expect(outcome.packet.areChecksumsRight)
            #expect(try world.count(WEFT_COUNTER_DELIVERED) == 1)
            let entry = try #require(try world.openConnections().first)
            #expect(entry.opener_identity == World.identity(of: family.client))
            #expect(entry.replier_identity == World.identity(of: family.neighbour))
            #expect(entry.cluster == 1 && Address(entry.outer) == .unspecified)
        }
    }

    @Test(
        "goes to another node with the identity in the tunnel's header", arguments: Family.allCases)
    func encapsulation(family: Family) throws {
        try inOwnNamespace {
            let world = try World.withOverlay()
            // A cluster above 255 needs bits of the identity that the network identifier lacks.
            var endpoint = try #require(
                try world.endpoints.lookup(weft_address(family.client)))
            endpoint.identity = 0xabcd_e123
            try world.endpoints.update(weft_address(family.client), endpoint)
            let outcome = try world.send(
                udp(Peer(family.client, 40000), Peer(family.remote, 53), payload: [1, 2, 3]))
            #expect(outcome.action == Action.redirect)
            #expect(
                outcome.metadata == [
                    0xcd_e123, 0x80ab, World.outerSource.ipv4!, World.outer(cluster: 2).ipv4!,
                ])
            #expect(outcome.packet.hopLimit == 63)
            #expect(outcome.packet.areChecksumsRight)
            #expect(try world.count(WEFT_COUNTER_ENCAPSULATED) == 1)
        }
    }

    @Test("is left to the host if it is for nobody in the mesh", arguments: Family.allCases)
    func outside(family: Family) throws {
        try inOwnNamespace {
            let world = try World()
            let sent = tcp(Peer(family.client, 40000), Peer(family.outside, 443), .syn)
            let outcome = try world.send(sent)
            #expect(outcome.action == Action.toHost)
            #expect(outcome.bytes == sent)
            #expect(try world.count(WEFT_COUNTER_TO_HOST) == 1)
            let entry = try #require(try world.openConnections().first)
            #expect(entry.opener_identity == World.identity(of: family.client))
            #expect(entry.flags & WEFT_CONNECTION_HOST.rawValue != 0)
        }
    }

    @Test("shares one entry with its answers, which says how it went", arguments: Family.allCases)
    func connectionEntry(family: Family) throws {
        try inOwnNamespace {
            let world = try World()
            let client = Peer(family.client, 40000)
            let server = Peer(family.neighbour, 80)
            let packets: [(Peer, Peer, TCPFlags)] = [
                (client, server, .syn), (server, client, [.syn, .ack]),
                (client, server, .ack), (client, server, [.fin, .ack]),
                (server, client, [.fin, .ack]), (client, server, .ack),
            ]
            for (source, destination, flags) in packets {
                #expect(try world.send(tcp(source, destination, flags)).action == Action.redirect)
            }
            let entries = try world.openConnections()
            let entry = try #require(entries.first)
            #expect(entries.count == 1)
            #expect(entry.opener_packets == 4 && entry.replier_packets == 2)
            #expect(entry.replier_bytes == 2 * UInt64(family.headerBytes + 20))
            let events = try world.takeEvents()
            #expect(
                events.map { UInt32($0.type) } == [
                    WEFT_EVENT_OPENED.rawValue, WEFT_EVENT_CLOSED.rawValue,
                ])
            for event in events {
                #expect(Address(event.source) == family.client)
                #expect(Address(event.destination) == family.neighbour)
                #expect(event.destination_port.bigEndian == 80)
                #expect(event.source_identity == World.identity(of: family.client))
            }
        }
    }

    @Test("opens a new connection with the ports of one that is over")
    func portReuse() throws {
        try inOwnNamespace {
            let world = try World()
            let client = Peer(Family.ipv4.client, 40000)
            let server = Peer(Family.ipv4.neighbour, 80)
            _ = try world.send(tcp(client, server, .syn))
            _ = try world.send(tcp(server, client, [.rst, .ack]))
            _ = try world.send(tcp(client, server, .syn))
            let entry = try #require(try world.openConnections().first)
            #expect(entry.opener_packets == 1 && entry.replier_packets == 0)
            #expect(try world.count(WEFT_COUNTER_CONNECTIONS_OPENED) == 2)
        }
    }

    @Test("opens a new connection with the ports of one that was closed on one side only")
    func portReuseAfterHalfClose() throws {
        try inOwnNamespace {
            let world = try World()
            let client = Peer(Family.ipv4.client, 40000)
            let server = Peer(Family.ipv4.neighbour, 80)
            _ = try world.send(tcp(client, server, .syn))
            _ = try world.send(tcp(server, client, [.syn, .ack]))
            _ = try world.send(tcp(client, server, [.fin, .ack]))
            // The server vanished, the client's kernel gave up waiting for its FIN.
            _ = try world.send(tcp(client, server, .syn))
            let entry = try #require(try world.openConnections().first)
            #expect(entry.opener_packets == 1 && entry.replier_packets == 0)
            #expect(entry.flags & WEFT_CONNECTION_OPENER_FIN.rawValue == 0)
            // A repeated SYN is of the same connection.
            _ = try world.send(tcp(client, server, .syn))
            #expect(try world.openConnections().first?.opener_packets == 2)
        }
    }

    @Test("tells nothing of connections when flow events are off")
    func flowEventsOff() throws {
        try inOwnNamespace {
            let world = try World { $0.flow_events = 0 }
            _ = try world.send(
                tcp(Peer(Family.ipv4.client, 1), Peer(Family.ipv4.neighbour, 80), .syn))
            _ = try world.send(
                tcp(Peer(Family.ipv4.client, 1), Peer(Family.ipv4.neighbour, 80), .rst))
            #expect(try world.takeEvents().isEmpty)
        }
    }

    @Test("keeps one entry for an echo and its reply, by identifier", arguments: Family.allCases)
    func echo(family: Family) throws {
        try inOwnNamespace {
            let world = try World()
            let (request, reply): (UInt8, UInt8) = family == .ipv4 ? (8, 0) : (128, 129)
            let rest: UInt32 = 0x1234_0001
            _ = try world.send(icmp(family.client, family.neighbour, type: request, rest: rest))
            let outcome = try world.send(
                icmp(family.neighbour, family.client, type: reply, rest: rest))
            #expect(outcome.packet.areChecksumsRight)
            let entries = try world.openConnections()
            #expect(entries.count == 1)
            #expect(entries.first?.opener_packets == 1 && entries.first?.replier_packets == 1)
        }
    }

    @Test("follows its node to a new underlay address")
    func movedNode() throws {
        try inOwnNamespace {
            let world = try World.withOverlay()
            let client = Peer(Family.ipv4.client, 40000)
            let server = Peer(Family.ipv4.remote, 80)
            _ = try world.send(tcp(client, server, .syn))
            let moved = Address("192.0.2.99")!
            world.tunnels[20] = weft_tunnel(
                address: weft_address(moved), cluster: 2, mtu: 0, pad: 0)
            world.setNode(20, .up, generation: 2)
            let outcome = try world.send(tcp(client, server, .ack))
            #expect(outcome.action == Action.redirect)
            #expect(outcome.metadata[3] == moved.ipv4!)
        }
    }

    @Test("takes its verdict again when the policy generation changes")
    func policyGeneration() throws {
        try inOwnNamespace {
            let world = try World()
            let packet = tcp(Peer(Family.ipv4.client, 1), Peer(Family.ipv4.remote, 80), .ack)
            #expect(try world.send(packet).action == Action.redirect)
            try world.addEndpoint(Family.ipv4.client, cluster: 1, policySet: 7)
            #expect(try world.send(packet).action == Action.redirect, "the verdict is remembered")
            world.clusters[2] |= 1 << 16
            #expect(try world.send(packet).action == Action.drop)
            try world.addEndpoint(Family.ipv4.client, cluster: 1)
            world.clusters[2] &+= 1 << 16
            #expect(try world.send(packet).action == Action.redirect)
        }
    }

    @Test("is no IPv6 packet with an IPv4 address, which tables could not tell from IPv4")
    func mappedAddresses() throws {
        try inOwnNamespace {
            let world = try World()
            let mapped = { (address: Address, offset: Int) in
                var packet = udp(Peer(Family.ipv6.client, 1), Peer(Family.ipv6.remote, 2))
                packet.replaceSubrange(offset..<offset + 16, with: address.bytes)
                return packet
            }
            for (address, offset) in [
                (Family.ipv4.client, 14 + 8), (Family.ipv4.remote, 14 + 24),
            ] {
                #expect(try world.send(mapped(address, offset)).action == Action.drop)
            }
            #expect(try world.count(WEFT_DROP_MALFORMED) == 2)
            #expect(try world.openConnections().isEmpty)
        }
    }

    @Test("is left to the host if it pings a service, whatever the echo's identifier")
    func echoToService() throws {
        try inOwnNamespace {
            let world = try World()
            try world.addService(Peer(Family.ipv4.service, 80), [])
            let echo = icmp(Family.ipv4.client, Family.ipv4.service, type: 8, rest: 80 << 16)
            #expect(try world.send(echo).action == Action.toHost)
        }
    }

    @Test("may be neighbour discovery, if it claims no other's address")
    func neighbours() throws {
        try inOwnNamespace {
            let world = try World()
            let linkLocal = Address("fe80::1:2")!
            let gateway = Address("fe80::1")!
            let allRouters = Address("ff02::2")!
            let own = Family.ipv6.client.bytes
            let others = Family.ipv6.remote.bytes
            let own4 = Family.ipv4.client
            let gateway4 = Address("169.254.1.1")!
            let other: [UInt8] = [0x0a, 9, 9, 9, 9, 9]
            let detection = Address("ff02::1:ff00:2")!
            let reply = { (sender: Address, mac: [UInt8]) in
                arp(sender: sender, target: gateway4, operation: 2, mac: mac)
            }
            var longer = reply(own4, MAC.workload)
            longer[18] = 8
            let solicitation: UInt8 = 135
            let advertisement: UInt8 = 136
            let cases: [(String, [UInt8], UInt32)] = [
                (
                    "ARP for the gateway",
                    arp(sender: Family.ipv4.client, target: Address("169.254.1.1")!), Action.toHost
                ),
                (
                    "ARP with another's address",
                    arp(sender: Family.ipv4.remote, target: Address("169.254.1.1")!), Action.drop
                ),
                ("an ARP answer", reply(own4, MAC.workload), Action.toHost),
                ("an ARP answer for another", reply(Family.ipv4.remote, MAC.workload), Action.drop),
                ("an ARP answer for the gateway", reply(gateway4, MAC.workload), Action.drop),
                ("gratuitous ARP", arp(sender: own4, target: own4), Action.toHost),
                (
                    "gratuitous ARP for another",
                    arp(sender: Family.ipv4.remote, target: Family.ipv4.remote), Action.drop
                ),
                ("ARP with another frame's address", reply(own4, other), Action.drop),
                ("ARP of another kind of link", longer, Action.drop),
                ("router solicitation", icmp(linkLocal, allRouters, type: 133), Action.toHost),
                (
                    "router solicitation with a foreign link address",
                    icmp(linkLocal, allRouters, type: 133, payload: [1, 1] + other), Action.drop
                ),
                (
                    "address detection",
                    icmp(.unspecified, detection, type: solicitation, payload: own), Action.toHost
                ),
                (
                    "detection of another's address",
                    icmp(.unspecified, detection, type: solicitation, payload: others), Action.drop
                ),
                (
                    "a solicitation",
                    icmp(
                        Family.ipv6.client, gateway, type: solicitation,
                        payload: others + [1, 1] + MAC.workload), Action.toHost
                ),
                (
                    "a solicitation with a foreign link address",
                    icmp(
                        Family.ipv6.client, gateway, type: solicitation,
                        payload: others + [1, 1] + other), Action.drop
                ),
                (
                    "one behind another option",
                    icmp(
                        Family.ipv6.client, gateway, type: solicitation,
                        payload: others + [14, 1, 0, 0, 0, 0, 0, 0, 1, 1] + other), Action.drop
                ),
                (
                    "an endless option",
                    icmp(
                        Family.ipv6.client, gateway, type: solicitation,
                        payload: others + [14, 0, 0, 0, 0, 0, 0, 0]), Action.drop
                ),
                (
                    "own advertisement",
                    icmp(Family.ipv6.client, gateway, type: advertisement, payload: own),
                    Action.toHost
                ),
                (
                    "own advertisement with a foreign link address",
                    icmp(
                        Family.ipv6.client, gateway, type: advertisement,
                        payload: own + [2, 1] + other), Action.drop
                ),
                (
                    "another's advertisement",
                    icmp(linkLocal, gateway, type: advertisement, payload: others), Action.drop
                ),
                (
                    "unsolicited, to everybody",
                    icmp(linkLocal, Address("ff02::1")!, type: advertisement, payload: others),
                    Action.drop
                ),
                (
                    "to a node's global address",
                    icmp(
                        Family.ipv6.client, Family.ipv6.outside, type: advertisement,
                        payload: others), Action.drop
                ),
                (
                    "in pieces",
                    ipPacket(
                        from: linkLocal, to: gateway, transport: IPProtocol.fragment,
                        hopLimit: 255,
                        [IPProtocol.icmpv6, 0, 0, 1, 0, 0, 0, 1]
                            + PacketReading(
                                icmp(linkLocal, gateway, type: advertisement, payload: own)
                            ).segment), Action.drop
                ),
                (
                    "router advertisement", icmp(linkLocal, Address("ff02::1")!, type: 134),
                    Action.drop
                ),
                (
                    "redirect to a node's global address",
                    icmp(
                        Family.ipv6.client, Family.ipv6.outside, type: 137,
                        payload: own + others), Action.drop
                ),
                (
                    "a link-local source that leaves the link",
                    udp(Peer(linkLocal, 1), Peer(Family.ipv6.remote, 53)), Action.drop
                ),
            ]
            for (what, packet, action) in cases {
                #expect(try world.send(packet).action == action, "\(what)")
            }
        }
    }
}
