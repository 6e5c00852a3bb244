// SPDX-License-Identifier: Apache-2.0

import BPF
import CMeshABI
import KernelTestSupport
import MeshModel
import Testing

@Suite("A service that the socket hooks did not see", .tags(.kernel))
struct TranslationTests {
    private static func world(
        _ family: Family, _ transport: UInt8, backend: Address, affinity: UInt32 = 0
    ) throws -> World {
        let world = try World.withOverlay()
        try world.addService(
            Peer(family.service, 80), protocol: transport, affinitySeconds: affinity,
            [World.Slice(cluster: 2, backends: [Peer(backend, 8080)])])
        return world
    }

    private static func packet(
        _ transport: UInt8, _ source: Peer, _ destination: Peer, _ flags: TCPFlags = .ack
    ) -> [UInt8] {
        transport == IPProtocol.tcp
            ? tcp(source, destination, flags, payload: [1, 2, 3])
            : udp(source, destination, payload: [1, 2, 3])
    }

    @Test(
        "is translated packet by packet, and its answers back",
        arguments: Family.allCases, [IPProtocol.tcp, IPProtocol.udp])
    func remoteBackend(family: Family, transport: UInt8) throws {
        try inOwnNamespace {
            let world = try Self.world(family, transport, backend: family.remote)
            let client = Peer(family.client, 40000)
            let frontend = Peer(family.service, 80)
            let backend = Peer(family.remote, 8080)
            for flags in [TCPFlags.syn, .ack, .ack] {
                let outcome = try world.send(Self.packet(transport, client, frontend, flags))
                #expect(outcome.action == Action.redirect)
                #expect(outcome.packet.from == client && outcome.packet.to == backend)
                #expect(outcome.packet.areChecksumsRight)
                #expect(outcome.metadata[3] == World.outer(cluster: 2).ipv4!)
            }
            let answer = try world.receive(Self.packet(transport, backend, client))
            #expect(answer.action == Action.redirect)
            #expect(answer.packet.from == frontend && answer.packet.to == client)
            #expect(answer.packet.areChecksumsRight)
            #expect(try world.count(WEFT_COUNTER_PACKETS_TRANSLATED) == 1)
            let event = try #require(try world.takeEvents().first)
            #expect(Address(event.frontend) == family.service)
            #expect(Address(event.destination) == family.remote)
        }
    }

    @Test("is translated to an endpoint of this node as well", arguments: Family.allCases)
    func localBackend(family: Family) throws {
        try inOwnNamespace {
            let world = try Self.world(family, IPProtocol.tcp, backend: family.neighbour)
            let client = Peer(family.client, 40000)
            let there = try world.send(tcp(client, Peer(family.service, 80), .syn))
            #expect(there.packet.to == Peer(family.neighbour, 8080))
            #expect(there.packet.destinationMAC == World.mac(of: family.neighbour))
            let back = try world.send(tcp(Peer(family.neighbour, 8080), client, [.syn, .ack]))
            #expect(back.packet.from == Peer(family.service, 80))
            #expect(back.packet.areChecksumsRight)
        }
    }

    @Test("leaves a UDP datagram without checksum as it is")
    func noChecksum() throws {
        try inOwnNamespace {
            let family = Family.ipv4
            let world = try Self.world(family, IPProtocol.udp, backend: family.remote)
            let outcome = try world.send(
                udp(Peer(family.client, 1), Peer(family.service, 80), withChecksum: false))
            #expect(outcome.packet.to == Peer(family.remote, 8080))
            #expect(outcome.packet.number(6) == 0)
        }
    }

    @Test("keeps the backend of an open connection when the service changes")
    func sticky() throws {
        try inOwnNamespace {
            let family = Family.ipv4
            let world = try Self.world(family, IPProtocol.tcp, backend: family.remote)
            let client = Peer(family.client, 40000)
            let frontend = Peer(family.service, 80)
            _ = try world.send(tcp(client, frontend, .syn))
            let other = family.address(cluster: 3, host: 2)
            try world.addService(
                frontend, generation: 2, [World.Slice(cluster: 3, backends: [Peer(other, 8080)])])
            #expect(try world.send(tcp(client, frontend, .ack)).packet.destination == family.remote)
            let new = try world.send(tcp(Peer(family.client, 40001), frontend, .syn))
            #expect(new.packet.destination == other)
            do {
                // And even without the service.
                world.services[1] = 0
                let open = try world.send(tcp(client, frontend, .ack))
                #expect(open.packet.destination == family.remote)
            }
        }
    }

    @Test(
        "leaves a backend that is gone, though the client keeps its port",
        arguments: [IPProtocol.tcp, IPProtocol.udp])
    func goneBackend(transport: UInt8) throws {
        try inOwnNamespace {
            let family = Family.ipv4
            let world = try Self.world(family, transport, backend: family.remote)
            let frontend = Peer(family.service, 80)
            let sent = Self.packet(transport, Peer(family.client, 40000), frontend, .syn)
            #expect(try world.send(sent).packet.destination == family.remote)
            let other = Peer(family.address(cluster: 3, host: 2), 8080)
            try world.addService(
                frontend, protocol: transport, generation: 2,
                [World.Slice(cluster: 3, backends: [other])])
            try world.endpoints.delete(weft_address(family.remote))
            for _ in 0..<2 {
                let outcome = try world.send(sent)
                #expect(outcome.packet.to == other)
                #expect(outcome.packet.areChecksumsRight)
            }
        }
    }

    @Test("is not the client itself, which would never hear an answer", arguments: Family.allCases)
    func itself(family: Family) throws {
        try inOwnNamespace {
            let world = try World.withOverlay()
            let frontend = Peer(family.service, 80)
            let own = Peer(family.client, 8080)
            let other = Peer(family.neighbour, 8080)
            // Draws alone would hardly ever find the one that isn't.
            let ports = (0..<63).map { Peer(family.client, 8000 + UInt16($0)) }
            try world.addService(frontend, [World.Slice(cluster: 1, backends: ports + [other])])
            for port in 0..<64 {
                let outcome = try world.send(
                    tcp(Peer(family.client, 40000 + UInt16(port)), frontend, .syn))
                #expect(outcome.packet.to == other)
            }
            try world.addService(
                frontend, generation: 2, [World.Slice(cluster: 1, backends: [own])])
            let refused = try world.send(tcp(Peer(family.client, 50000), frontend, .syn))
            #expect(refused.packet.flags == [.rst, .ack] && refused.packet.from == frontend)
        }
    }

    @Test("answers from where a client with one port asked last", arguments: Family.allCases)
    func bothNames(family: Family) throws {
        try inOwnNamespace {
            let world = try Self.world(family, IPProtocol.udp, backend: family.remote)
            let client = Peer(family.client, 40000)
            let backend = Peer(family.remote, 8080)
            for asked in [Peer(family.service, 80), backend, Peer(family.service, 80)] {
                #expect(try world.send(udp(client, asked)).packet.to == backend)
                let answer = try world.receive(udp(backend, client))
                #expect(answer.packet.from == asked)
                #expect(answer.packet.areChecksumsRight)
            }
        }
    }

    @Test("gets another backend for a repeated SYN when the first one's cluster died")
    func newChoice() throws {
        try inOwnNamespace {
            let family = Family.ipv4
            let world = try World.withOverlay()
            let other = family.address(cluster: 3, host: 2)
            let frontend = Peer(family.service, 80)
            try world.addService(
                frontend,
                [
                    World.Slice(cluster: 2, backends: [Peer(family.remote, 8080)]),
                    World.Slice(cluster: 3, tier: 1, backends: [Peer(other, 8080)]),
                ])
            let syn = tcp(Peer(family.client, 40000), frontend, .syn)
            #expect(try world.send(syn).packet.destination == family.remote)
            world.setCluster(2, .unreachable, generation: 2)
            let again = try world.send(syn)
            #expect(again.packet.destination == other)
            #expect(again.packet.areChecksumsRight)
            #expect(try world.count(WEFT_COUNTER_CONNECTIONS_RESET) == 0)
            let next = try world.send(tcp(Peer(family.client, 40000), frontend, .ack))
            #expect(next.packet.destination == other)
        }
    }

    @Test("answers for a dead backend with the frontend's address", arguments: Family.allCases)
    func reset(family: Family) throws {
        try inOwnNamespace {
            let world = try Self.world(family, IPProtocol.udp, backend: family.remote)
            let sent = udp(Peer(family.client, 40000), Peer(family.service, 80), payload: [1])
            _ = try world.send(sent)
            world.setCluster(2, .unreachable, generation: 2)
            let outcome = try world.send(sent)
            #expect(outcome.packet.source == family.service)
            #expect(outcome.packet.quoted == Array(sent[14..<22 + family.headerBytes]))
            #expect(outcome.packet.areChecksumsRight)
            // The service's last cluster isn't taken away: the next packet tries it anew.
            #expect(try world.send(sent).packet.to == Peer(family.remote, 8080))
            #expect(try world.count(WEFT_COUNTER_LAST_RESORT) == 1)
        }
    }

    @Test("refuses at once if it has no backend", arguments: Family.allCases)
    func refusal(family: Family) throws {
        try inOwnNamespace {
            let world = try World()
            for transport in [IPProtocol.tcp, IPProtocol.udp] {
                try world.addService(Peer(family.service, 80), protocol: transport, [])
            }
            let syn = try world.send(
                tcp(Peer(family.client, 1), Peer(family.service, 80), .syn, sequence: 41))
            #expect(syn.packet.flags == [.rst, .ack] && syn.packet.acknowledgement == 42)
            #expect(syn.packet.areChecksumsRight)
            let datagram = try world.send(udp(Peer(family.client, 1), Peer(family.service, 80)))
            #expect(datagram.packet.icmpCode == (family == .ipv4 ? 3 : 4))
            #expect(try world.count(WEFT_DROP_NO_BACKEND) == 2)
        }
    }

    @Test("gets ICMP errors about its backend in its own name", arguments: Family.allCases)
    func errors(family: Family) throws {
        try inOwnNamespace {
            let world = try Self.world(family, IPProtocol.udp, backend: family.remote)
            let client = Peer(family.client, 40000)
            let frontend = Peer(family.service, 80)
            let sent = udp(client, frontend, payload: Array(0..<16))
            let translated = try world.send(sent)
            let (type, code): (UInt8, UInt8) = family == .ipv4 ? (3, 3) : (1, 4)
            let error = icmp(
                family.remote, family.client, type: type, code: code,
                payload: Array(translated.bytes.dropFirst(14)))
            let outcome = try world.receive(error)
            #expect(outcome.action == Action.redirect)
            #expect(outcome.packet.source == family.service)
            #expect(outcome.packet.areChecksumsRight)
            let quoted = PacketReading([UInt8](repeating: 0, count: 14) + outcome.packet.quoted)
            #expect(quoted.from == client && quoted.to == frontend)
            #expect(quoted.isNetworkChecksumRight)
        }
    }
}
