// SPDX-License-Identifier: Apache-2.0

import BPF
import CMeshABI
import KernelTestSupport
import MeshModel
import Testing

@Suite("What arrives from another node", .tags(.kernel))
struct OverlayTests {
    @Test("is delivered, remembered, and answered through the overlay", arguments: Family.allCases)
    func conversation(family: Family) throws {
        try inOwnNamespace {
            let world = try World.withOverlay()
            let client = Peer(family.remote, 40000)
            let server = Peer(family.client, 80)
            let arrived = try world.receive(tcp(client, server, .syn, options: [2, 4, 0x23, 0]))
            #expect(arrived.action == Action.redirect)
            #expect(arrived.packet.destinationMAC == World.mac(of: family.client))
            #expect(arrived.packet.hopLimit == 63)
            #expect(arrived.packet.areChecksumsRight)
            #expect(
                Array(arrived.packet.segment[20..<24]) == [2, 4, 0x23, 0],
                "the segment size is lowered where a packet enters the overlay")
            let answer = try world.send(tcp(server, client, [.syn, .ack]))
            #expect(answer.action == Action.redirect)
            #expect(answer.metadata[3] == World.outer(cluster: 2).ipv4!)
            #expect(
                answer.metadata[0] | answer.metadata[1] << 24 == World.identity(of: family.client))
            let entries = try world.openConnections()
            let entry = try #require(entries.first)
            #expect(entries.count == 1)
            #expect(entry.flags & WEFT_CONNECTION_FROM_OVERLAY.rawValue != 0)
            #expect(entry.flags & WEFT_CONNECTION_REPLIED.rawValue != 0)
            #expect(entry.cluster == 2 && entry.node == 20)
            #expect(entry.opener_identity == World.identity(of: family.remote))
        }
    }

    @Test(
        "carries any identity there and back",
        arguments: [
            UInt32(0x0010_012c), 0xfff0_0100, 0xffff_ffff, 0x0ff0_0100,
        ])
    func identityRoundTrip(identity: UInt32) throws {
        try inOwnNamespace {
            let world = try World.withOverlay()
            var endpoint = try #require(
                try world.endpoints.lookup(weft_address(Family.ipv4.client)))
            endpoint.identity = identity
            try world.endpoints.update(weft_address(Family.ipv4.client), endpoint)
            let sent = try world.send(udp(Peer(Family.ipv4.client, 1), Peer(Family.ipv4.remote, 2)))
            let cluster = UInt16(identity >> 20)
            try world.prefixes.delete(
                weft_prefix_key(
                    length: 112,
                    address: weft_address(Family.ipv4.address(cluster: 1, host: 0))))
            try world.outerSources.update(
                weft_address(World.outerSource),
                weft_outer_source(node: 7, cluster: cluster, pad: 0))
            // The same packet, at the node it was sent to.
            try world.addEndpoint(Family.ipv4.remote, cluster: 1)
            for key in try world.connections.keys() { try world.connections.delete(key) }
            let arrived = try world.receive(
                sent.bytes, outer: World.outerSource, identity: sent.metadata[0],
                groupPolicy: sent.metadata[1])
            #expect(arrived.action == Action.redirect)
            #expect(try world.openConnections().first?.opener_identity == identity)
        }
    }

    @Test("is believed as far as the cluster's source check says")
    func sourceChecks() throws {
        try inOwnNamespace {
            let world = try World.withOverlay()
            let stranger = Address("203.0.113.5")!
            let inside = udp(Peer(Family.ipv4.remote, 1), Peer(Family.ipv4.client, 2))
            let foreign = udp(
                Peer(Family.ipv4.address(cluster: 3, host: 9), 1), Peer(Family.ipv4.client, 2))
            let identity = World.identity(cluster: 2, 300)
            for (check, insideAction, foreignAction) in [
                (WEFT_SOURCE_CHECK_NODE, Action.drop, Action.drop),
                (WEFT_SOURCE_CHECK_PREFIXES, Action.redirect, Action.drop),
                (WEFT_SOURCE_CHECK_OFF, Action.redirect, Action.redirect),
            ] {
                try world.settings.update(
                    2,
                    weft_cluster_settings(cluster: 2, source_check: UInt8(check.rawValue), pad: 0))
                let fromInside = try world.receive(inside, outer: stranger, identity: identity)
                #expect(fromInside.action == insideAction)
                let fromForeign = try world.receive(foreign, outer: stranger, identity: identity)
                #expect(fromForeign.action == foreignAction)
            }
            // Answers find the way back, although no table knows the stranger.
            let answer = try world.send(
                udp(
                    Peer(Family.ipv4.client, 2),
                    Peer(Family.ipv4.address(cluster: 3, host: 9), 1)))
            #expect(answer.metadata[3] == stranger.ipv4!)
        }
    }

    @Test("may not claim an address of another cluster", arguments: Family.allCases)
    func foreignSource(family: Family) throws {
        try inOwnNamespace {
            let world = try World.withOverlay()
            let server = Peer(family.client, 80)
            let third = Peer(family.address(cluster: 3, host: 2), 40000)
            let opened = try world.receive(tcp(third, server, .syn), cluster: 3)
            #expect(opened.action == Action.redirect)
            // Cluster 2 ends the connection of cluster 3, opens one in its name, and in this one's.
            for source in [third, Peer(third.address, 40001), Peer(family.neighbour, 40000)] {
                let outcome = try world.receive(
                    tcp(source, server, .rst), outer: World.outer(cluster: 2),
                    identity: World.identity(cluster: 2, 300))
                #expect(outcome.action == Action.drop)
            }
            #expect(try world.count(WEFT_DROP_FOREIGN_SOURCE) == 3)
            let entries = try world.openConnections()
            let entry = try #require(entries.first)
            #expect(entries.count == 1)
            #expect(entry.flags & WEFT_CONNECTION_OPENER_FIN.rawValue == 0)
            #expect(entry.opener_identity == World.identity(of: third.address))
        }
    }

    @Test("goes on when an endpoint gets its identity, whichever side knows it first")
    func lateIdentity() throws {
        try inOwnNamespace {
            let world = try World.withOverlay()
            let here = Peer(Family.ipv4.client, 40000)
            let there = Peer(Family.ipv4.remote, 80)
            let initializing = World.identity(cluster: 2, 5)
            let number = World.identity(of: there.address)
            func setIdentity(_ identity: UInt32, of address: Address) throws {
                var endpoint = try #require(try world.endpoints.lookup(weft_address(address)))
                endpoint.identity = identity
                try world.endpoints.update(weft_address(address), endpoint)
            }
            func arrives(_ packet: [UInt8], as identity: UInt32) throws -> Bool {
                try world.receive(packet, outer: World.outer(cluster: 2), identity: identity)
                    .action == Action.redirect
            }
            try setIdentity(initializing, of: there.address)
            try setIdentity(World.identity(cluster: 1, 5), of: here.address)
            #expect(try world.send(tcp(here, there, .syn)).action == Action.redirect)
            let opened = tcp(Peer(there.address, 50000), Peer(here.address, 80), .syn)
            #expect(try arrives(opened, as: initializing))
            try setIdentity(number, of: there.address)
            try setIdentity(World.identity(of: here.address), of: here.address)
            for identity in [initializing, number, initializing, number] {
                #expect(try arrives(tcp(there, here, .ack), as: identity))
                #expect(
                    try arrives(
                        tcp(Peer(there.address, 50000), Peer(here.address, 80), .ack), as: identity)
                )
                #expect(try world.send(tcp(here, there, .ack)).action == Action.redirect)
            }
            #expect(try world.openConnections().count == 2)
        }
    }

    @Test("is no error about a connection if the connection is another's")
    func foreignError() throws {
        try inOwnNamespace {
            let world = try World.withOverlay()
            let family = Family.ipv4
            let sent = try world.send(udp(Peer(family.neighbour, 40000), Peer(family.remote, 53)))
            try world.addEndpoint(family.client, cluster: 1, policySet: 7)
            let quoted = Array(sent.bytes.dropFirst(14))
            for (target, action) in [
                (family.neighbour, Action.redirect), (family.client, Action.drop),
            ] {
                let error = icmp(family.remote, target, type: 3, code: 3, payload: quoted)
                #expect(try world.receive(error).action == action)
            }
            #expect(try world.count(WEFT_DROP_POLICY_DENIED) == 1)
        }
    }

    @Test("is checked again when it suddenly comes from elsewhere")
    func changedOrigin() throws {
        try inOwnNamespace {
            let world = try World.withOverlay()
            let packet = udp(Peer(Family.ipv4.remote, 1), Peer(Family.ipv4.client, 2))
            #expect(try world.receive(packet).action == Action.redirect)
            let other = try world.receive(
                packet, outer: World.outer(cluster: 3),
                identity: World.identity(of: Family.ipv4.remote))
            #expect(other.action == Action.drop)
            #expect(try world.count(WEFT_DROP_FOREIGN_IDENTITY) == 1)
            let liar = try world.receive(
                packet, outer: World.outer(cluster: 2), identity: World.identity(cluster: 3, 300))
            #expect(liar.action == Action.drop)
            #expect(try world.count(WEFT_DROP_FOREIGN_IDENTITY) == 2)
            // Another address that the same node announced is as good.
            let second = Address("192.0.2.21")!
            try world.outerSources.update(
                weft_address(second), weft_outer_source(node: 20, cluster: 2, pad: 0))
            let moved = try world.receive(
                packet, outer: second, identity: World.identity(of: Family.ipv4.remote))
            #expect(moved.action == Action.redirect)
        }
    }
}
