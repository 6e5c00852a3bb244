// SPDX-License-Identifier: Apache-2.0

import BPF
import CMeshABI
import KernelTestSupport
import MeshModel
import Netlink
import Testing

/// Between endpoints and what is outside the mesh: to-endpoint, and from-endpoint's way out.
@Suite("What goes through the host's stack", .tags(.kernel))
struct HostTests {
    /// An interface of the host that is no endpoint's.
    private static let uplink: UInt32 = 99
    private static let host = World.identity(cluster: 1, 1)
    private static let world: UInt32 = 2
    /// A policy set that denies.
    private static let denying: UInt32 = 7

    private static func isThroughHost(_ entry: weft_connection) -> Bool {
        entry.flags & WEFT_CONNECTION_HOST.rawValue != 0 && entry.cluster == 0
            && entry.node == UInt32(WEFT_NODE_UNKNOWN)
    }

    @Test("a health check of the node is answered by one entry", arguments: Family.allCases)
    func healthCheck(family: Family) throws {
        try inOwnNamespace {
            let world = try World.withHost()
            let kubelet = Peer(family == .ipv4 ? World.outerSource : family.outside, 50000)
            let server = Peer(family.client, 8080)
            let asked = tcp(kubelet, server, .syn)
            let outcome = try world.pass(asked)
            #expect(outcome.action == Action.toHost && outcome.bytes == asked)
            let answered = tcp(server, kubelet, [.syn, .ack])
            let answer = try world.send(answered)
            #expect(answer.action == Action.toHost && answer.bytes == answered)
            #expect(try world.pass(tcp(kubelet, server, .ack)).action == Action.toHost)
            let entries = try world.openConnections()
            let entry = try #require(entries.first)
            #expect(entries.count == 1 && Self.isThroughHost(entry))
            #expect(entry.opener_identity == Self.host)
            #expect(entry.replier_identity == World.identity(of: family.client))
            #expect(entry.opener_packets == 2 && entry.replier_packets == 1)
            #expect(try world.count(WEFT_COUNTER_TO_HOST) == 1)
            let events = try world.takeEvents()
            #expect(events.map { UInt32($0.type) } == [WEFT_EVENT_OPENED.rawValue])
            #expect(events.first?.source_identity == Self.host)
        }
    }

    @Test("a sender is known by where its packet came in and by its address")
    func senders() throws {
        try inOwnNamespace {
            let family = Family.ipv4
            let cases: [(String, Address, UInt32, UInt32?)] = [
                ("the node itself", World.outerSource, 0, Self.host),
                ("the node by another address", family.outside, 0, Self.host),
                ("the world", family.outside, Self.uplink, Self.world),
                ("masqueraded", World.outerSource, Self.uplink, Self.world),
                (
                    "another node", World.outer(cluster: 2), Self.uplink,
                    World.identity(cluster: 2, 6)
                ),
                (
                    "an endpoint here", family.neighbour, World.loopback,
                    World.identity(of: family.neighbour)
                ),
                ("an endpoint here from elsewhere", family.neighbour, Self.uplink, nil),
                ("an endpoint of another cluster", family.remote, Self.uplink, nil),
                ("as yet unknown", family.address(cluster: 3, host: 77), Self.uplink, nil),
            ]
            for (who, address, ingress, identity) in cases {
                let world = try World.withHost()
                let outcome = try world.pass(
                    udp(Peer(address, 1), Peer(family.client, 2)), from: ingress)
                let entry = try world.openConnections().first
                #expect(entry?.opener_identity == identity, "\(who)")
                #expect(
                    outcome.action == (identity == nil ? Action.drop : Action.toHost), "\(who)")
                let drops: UInt64 = identity == nil ? 1 : 0
                #expect(try world.count(WEFT_DROP_FOREIGN_SOURCE) == drops, "\(who)")
            }
        }
    }

    @Test("a destination is known by its address and by the host's routes")
    func destinations() throws {
        try inOwnNamespace {
            let family = Family.ipv4
            let node = Address("198.51.100.1")!
            let nodeIPv6 = Address("2001:db8::1")!
            var routes = try RouteSocket()
            try routes.update(link: World.loopback, LinkChange(isUp: true))
            for (address, any) in [(node, NetworkAddress.anyIPv4), (nodeIPv6, .anyIPv6)] {
                let address = NetworkAddress(bytes: wire(address))!
                try routes.add(
                    InterfaceAddress(
                        interface: World.loopback, address: address,
                        prefixLength: address.bitWidth))
                try routes.add(Route(to: any, prefixLength: 0, interface: World.loopback))
            }
            let namespace = try NetworkNamespace.current()
            try namespace.setSysctl("net/ipv4/conf/all/forwarding", to: "1")
            try namespace.setSysctl("net/ipv6/conf/all/forwarding", to: "1")
            let cases: [(String, Address, UInt32)] = [
                ("the node", World.outerSource, Self.host),
                ("the node by another address", node, Self.host),
                ("the same with IPv6", nodeIPv6, Self.host),
                ("another node", World.outer(cluster: 2), World.identity(cluster: 2, 6)),
                ("the world", family.outside, Self.world),
                ("the world with IPv6", Family.ipv6.outside, Self.world),
            ]
            for (who, address, identity) in cases {
                let world = try World.withHost()
                let source = address.isIPv4 ? family.client : Family.ipv6.client
                let sent = try world.send(udp(Peer(source, 1), Peer(address, 2)))
                #expect(sent.action == Action.toHost)
                let entry = try #require(try world.openConnections().first)
                #expect(entry.replier_identity == identity, "\(who)")
                #expect(Self.isThroughHost(entry))
                #expect(entry.opener_ifindex == World.loopback)
            }
        }
    }

    @Test("what looks like neighbour discovery and leaves the link is judged")
    func disguised() throws {
        try inOwnNamespace {
            var routes = try RouteSocket()
            try routes.update(link: World.loopback, LinkChange(isUp: true))
            try routes.add(Route(to: .anyIPv6, prefixLength: 0, interface: World.loopback))
            try NetworkNamespace.current().setSysctl("net/ipv6/conf/all/forwarding", to: "1")
            let world = try World.withHost()
            let family = Family.ipv6
            try world.addEndpoint(family.client, cluster: 1, policySet: Self.denying)
            for target in [family.outside, family.neighbour, family.remote] {
                let solicitation = icmp(
                    family.client, target, type: 135, payload: family.client.bytes)
                #expect(try world.send(solicitation).action == Action.drop)
            }
            #expect(try world.count(WEFT_DROP_POLICY_DENIED) == 3)
        }
    }

    @Test("neighbours on the bridge of another plugin find each other, and nothing else gets by")
    func bridge() throws {
        try inOwnNamespace {
            var routes = try RouteSocket()
            try routes.update(link: World.loopback, LinkChange(isUp: true))
            try routes.add(Route(to: .anyIPv6, prefixLength: 0, interface: World.loopback))
            try NetworkNamespace.current().setSysctl("net/ipv6/conf/all/forwarding", to: "1")
            let world = try World.withHost()
            let family = Family.ipv6
            for address in [family.client, family.neighbour] {
                try world.addEndpoint(address, cluster: 1, policySet: Self.denying)
            }
            func framed(_ packet: [UInt8]) -> [UInt8] {
                World.mac(of: family.neighbour) + packet.dropFirst(6)
            }
            let group = Address("ff02::1:ff00:2")!
            let own = family.client.bytes
            let asks = icmp(
                family.client, group, type: 135,
                payload: family.neighbour.bytes + [1, 1] + MAC.workload)
            let answers = framed(
                icmp(
                    family.client, family.neighbour, type: 136,
                    payload: own + [2, 1] + MAC.workload))
            for packet in [asks, answers] {
                let sent = try world.send(packet)
                #expect(sent.action == Action.toHost)
                // As it was: whoever reads it looks at the hop limit.
                #expect(sent.packet.bytes == packet)
                #expect(try world.pass(packet, from: World.loopback).action == Action.toHost)
                // From where no endpoint has that address.
                #expect(try world.pass(packet, from: Self.uplink).action == Action.drop)
            }
            let lies = [
                // Another's address, another's hardware address, and what only looks like it.
                framed(
                    icmp(
                        family.client, family.neighbour, type: 136, payload: family.remote.bytes)),
                framed(
                    icmp(
                        family.client, family.neighbour, type: 136,
                        payload: own + [2, 1, 9, 9, 9, 9, 9, 9])),
                framed(icmp(family.client, family.neighbour, type: 128, payload: own)),
                framed(icmp(family.client, family.neighbour, type: 134, payload: own)),
            ]
            for packet in lies { #expect(try world.send(packet).action == Action.drop) }
            #expect(try world.pass(lies[2], from: World.loopback).action == Action.drop)
        }
    }

    @Test("an endpoint's policies decide on both directions", arguments: Family.allCases)
    func policies(family: Family) throws {
        try inOwnNamespace {
            let world = try World.withHost()
            let inside = Peer(family.client, 40000)
            let outside = Peer(family.outside, 443)
            #expect(try world.send(tcp(inside, outside, .syn)).action == Action.toHost)
            try world.addEndpoint(family.client, cluster: 1, policySet: Self.denying)
            // The answer goes by its entry; what asks anew doesn't.
            let answer = tcp(outside, inside, [.syn, .ack])
            #expect(try world.pass(answer, from: Self.uplink).action == Action.toHost)
            for ingress in [0, Self.uplink] {
                let new = tcp(Peer(family.outside, 444), inside, .syn)
                #expect(try world.pass(new, from: ingress).action == Action.drop)
            }
            let other = try world.send(tcp(inside, Peer(family.outside, 444), .syn))
            #expect(other.action == Action.drop)
            #expect(try world.count(WEFT_DROP_POLICY_DENIED) == 3)
            // Word 0's policy generation renews the verdict, at whichever end a packet comes first.
            world.clusters[0] |= 1 << 16
            #expect(try world.pass(answer, from: Self.uplink).action == Action.drop)
            #expect(try world.send(tcp(inside, outside, .ack)).action == Action.drop)
            try world.addEndpoint(family.client, cluster: 1)
            world.clusters[0] &+= 1 << 16
            #expect(try world.send(tcp(inside, outside, .ack)).action == Action.toHost)
            #expect(try world.pass(answer, from: Self.uplink).action == Action.toHost)
        }
    }

    @Test("a full connection table denies nobody who is allowed")
    func fullTable() throws {
        try inOwnNamespace {
            let world = try World(
                ["weft_from_endpoint", "weft_to_endpoint"], test: "faults", connections: 1)
            for port: UInt16 in 1...3 {
                let outside = Peer(Family.ipv4.outside, port)
                let inside = Peer(Family.ipv4.client, 80)
                #expect(try world.pass(udp(outside, inside), from: 9).action == Action.toHost)
                #expect(
                    try world.send(udp(inside, Peer(Family.ipv4.outside, port + 10))).action
                        == Action.toHost)
            }
            #expect(try world.count(WEFT_COUNTER_CONNECTION_INSERT_FAILED) == 5)
            try world.addEndpoint(Family.ipv4.client, cluster: 1, policySet: Self.denying)
            let denied = udp(Peer(Family.ipv4.outside, 99), Peer(Family.ipv4.client, 80))
            #expect(try world.pass(denied).action == Action.drop)
        }
    }

    @Test("an endpoint that is isolated or has no row gets nothing", arguments: Family.allCases)
    func isolated(family: Family) throws {
        try inOwnNamespace {
            let world = try World.withHost()
            let packet = tcp(Peer(family.outside, 1), Peer(family.client, 80), .syn)
            #expect(try world.pass(packet).action == Action.toHost)
            try world.addEndpoint(family.client, cluster: 1, flags: WEFT_ENDPOINT_ISOLATED)
            #expect(try world.pass(packet).action == Action.drop)
            #expect(try world.pass(packet, from: Self.uplink).action == Action.drop)
            #expect(try world.count(WEFT_DROP_ISOLATED) == 2)
            try world.endpoints.delete(weft_address(family.client))
            #expect(try world.pass(packet).action == Action.drop)
            // What is routed to the wrong interface.
            try world.addEndpoint(family.client, cluster: 1)
            var row = try #require(try world.endpoints.lookup(weft_address(family.client)))
            row.ifindex = 5
            try world.endpoints.update(weft_address(family.client), row)
            #expect(try world.pass(packet).action == Action.drop)
            #expect(try world.count(WEFT_DROP_NOT_LOCAL) == 2)
        }
    }

    @Test("what stays on the link passes, groups hear the node only")
    func link() throws {
        try inOwnNamespace {
            let world = try World.withHost()
            for family in Family.allCases {
                try world.addEndpoint(family.client, cluster: 1, policySet: Self.denying)
            }
            let linkLocal = Address("fe80::1")!
            let own = Family.ipv6.client
            let cases: [(String, [UInt8], Bool, Bool)] = [
                ("ARP", arp(sender: World.outerSource, target: Family.ipv4.client), true, true),
                (
                    "no IP",
                    MAC.host + MAC.workload + [0x88, 0xcc] + [UInt8](repeating: 0, count: 46),
                    true, true
                ),
                (
                    "a solicitation", icmp(linkLocal, own, type: 135, payload: own.bytes), true,
                    false
                ),
                (
                    "a solicitation from a global address",
                    icmp(Family.ipv6.outside, own, type: 135, payload: own.bytes), true, false
                ),
                (
                    "a multicast listener query", icmp(linkLocal, Address("ff02::1")!, type: 130),
                    true, false
                ),
                (
                    "IPv4 multicast", udp(Peer(World.outerSource, 1), Peer("224.0.0.251", 5353)),
                    true, false
                ),
                (
                    "broadcast", udp(Peer(World.outerSource, 67), Peer("255.255.255.255", 68)),
                    true, false
                ),
                (
                    "a wider group", udp(Peer(Family.ipv6.outside, 1), Peer("ff05::2", 5353)), true,
                    false
                ),
                ("an echo", icmp(Family.ipv6.outside, own, type: 128), false, false),
            ]
            for (what, packet, ofHost, ofOthers) in cases {
                let first = try world.pass(packet)
                #expect(first.action == (ofHost ? Action.toHost : Action.drop), "\(what)")
                let second = try world.pass(packet, from: Self.uplink)
                #expect(second.action == (ofOthers ? Action.toHost : Action.drop), "\(what)")
            }
            #expect(try world.openConnections().isEmpty)
        }
    }

    @Test("an ICMP error passes with the flow that it is about", arguments: Family.allCases)
    func errors(family: Family) throws {
        try inOwnNamespace {
            let world = try World.withHost()
            let router = Address(family == .ipv4 ? "198.51.100.254" : "2001:db8::fe")!
            let sent = udp(Peer(family.client, 40000), Peer(family.outside, 53), payload: [1])
            let meshed = udp(Peer(family.client, 40000), Peer(family.remote, 53), payload: [1])
            #expect(try world.send(sent).action == Action.toHost)
            #expect(try world.send(meshed).action != Action.drop || family == .ipv6)
            try world.addEndpoint(family.client, cluster: 1, policySet: Self.denying)
            func error(_ quoted: [UInt8], to target: Address) -> [UInt8] {
                icmp(
                    router, target, type: family == .ipv4 ? 3 : 1, code: 1,
                    payload: Array(quoted.dropFirst(14)))
            }
            let about = error(sent, to: family.client)
            #expect(try world.pass(about, from: Self.uplink).action == Action.toHost)
            let unknown = udp(Peer(family.client, 40001), Peer(family.outside, 53), payload: [1])
            let denied = [
                error(unknown, to: family.client),
                // Nobody outside may speak about what the overlay carries.
                error(meshed, to: family.client),
            ]
            for packet in denied {
                #expect(try world.pass(packet, from: Self.uplink).action == Action.drop)
            }
            #expect(try world.pass(error(meshed, to: family.client)).action == Action.toHost)
            #expect(try world.count(WEFT_DROP_POLICY_DENIED) == 2)
            // And the other way.
            let asked = udp(Peer(family.outside, 7), Peer(family.neighbour, 9), payload: [1])
            #expect(try world.pass(asked, from: Self.uplink).action == Action.toHost)
            try world.addEndpoint(family.neighbour, cluster: 1, policySet: Self.denying)
            for (quoted, action) in [(asked, Action.toHost), (sent, Action.drop)] {
                let error = icmp(
                    family.neighbour, family.outside, type: family == .ipv4 ? 3 : 1,
                    code: family == .ipv4 ? 3 : 4, payload: Array(quoted.dropFirst(14)))
                #expect(try world.send(error).action == action)
            }
        }
    }

    @Test(
        "a service of the host's own leads to an endpoint here and back", arguments: Family.allCases
    )
    func hostService(family: Family) throws {
        try inOwnNamespace {
            let world = try World.withHost()
            let client = Peer(family.client, 40000)
            let virtual = Peer(family.service, 443)
            let backend = Peer(family.neighbour, 8443)
            for flags: TCPFlags in [.syn, .ack] {
                #expect(try world.send(tcp(client, virtual, flags)).action == Action.toHost)
                // The host's NAT turns the service into the backend, and the answer back.
                let there = try world.pass(tcp(client, backend, flags), from: World.loopback)
                #expect(there.action == Action.toHost)
                let back = tcp(backend, client, [flags, .ack])
                #expect(try world.send(back).action == Action.toHost, "not around the NAT")
                let answer = try world.pass(
                    tcp(virtual, client, [flags, .ack]), from: World.loopback)
                #expect(answer.action == Action.toHost)
            }
            let entries = try world.openConnections()
            #expect(entries.count == 2)
            for entry in entries {
                #expect(Self.isThroughHost(entry))
                #expect(entry.opener_packets == 2 && entry.replier_packets == 2)
                #expect(entry.opener_identity == World.identity(of: family.client))
            }
            #expect(
                Set(entries.map(\.replier_identity)).contains(World.identity(of: backend.address)))
            // The backend's policies see the client, not the host.
            try world.addEndpoint(family.neighbour, cluster: 1, policySet: Self.denying)
            world.clusters[0] |= 1 << 16
            let denied = try world.pass(tcp(client, backend, .ack), from: World.loopback)
            #expect(denied.action == Action.drop)
        }
    }

    @Test("a datagram finds the service that its destination has become")
    func overtaken() throws {
        try inOwnNamespace {
            let world = try World.withHost()
            let family = Family.ipv4
            let query = udp(Peer(family.client, 40000), Peer(family.service, 53))
            #expect(try world.send(query).action == Action.toHost)
            try world.addService(
                Peer(family.service, 53), protocol: IPProtocol.udp,
                [World.Slice(cluster: 1, backends: [Peer(family.neighbour, 53)])])
            for _ in 0..<2 {
                let sent = try world.send(query)
                #expect(
                    sent.action == Action.redirect && sent.packet.destination == family.neighbour)
            }
            #expect(try world.count(WEFT_COUNTER_PACKETS_TRANSLATED) == 1)
        }
    }

    @Test("no node of the mesh may speak for who is outside of it")
    func foreignAnswer() throws {
        try inOwnNamespace {
            let world = try World.withOverlay()
            let inside = Peer(Family.ipv4.client, 40000)
            let outside = Peer(Family.ipv4.outside, 443)
            #expect(try world.send(tcp(inside, outside, .syn)).action == Action.toHost)
            let answer = tcp(outside, inside, [.syn, .ack])
            let forged = try world.receive(
                answer, outer: World.outer(cluster: 2), identity: World.identity(cluster: 2, 300))
            #expect(forged.action == Action.drop)
            #expect(try world.count(WEFT_DROP_FOREIGN_SOURCE) == 1)
            #expect(try world.openConnections().first?.replier_packets == 0)
            #expect(try world.pass(answer, from: Self.uplink).action == Action.toHost)
            // And nobody outside may speak for an endpoint of the mesh.
            let open = udp(inside, Peer(Family.ipv4.remote, 53))
            #expect(try world.send(open).action == Action.redirect)
            let spoofed = udp(Peer(Family.ipv4.remote, 53), inside)
            #expect(try world.pass(spoofed, from: Self.uplink).action == Action.drop)
            #expect(try world.receive(spoofed).action == Action.redirect)
        }
    }

    @Test("what is outside is no backend: no evidence is kept about it")
    func evidence() throws {
        try inOwnNamespace {
            let world = try World.withHost()
            let inside = Peer(Family.ipv4.client, 40000)
            let outside = Peer(Family.ipv4.outside, 443)
            for _ in 0..<3 { _ = try world.send(tcp(inside, outside, .syn)) }
            _ = try world.pass(tcp(outside, inside, [.rst, .ack]), from: Self.uplink)
            #expect(try world.evidence.keys().isEmpty)
            #expect(try world.count(WEFT_COUNTER_OPENINGS_SILENT) == 0)
            #expect(try world.count(WEFT_COUNTER_OPENINGS_REFUSED) == 0)
        }
    }
}
