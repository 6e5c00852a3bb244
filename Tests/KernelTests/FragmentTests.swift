// SPDX-License-Identifier: Apache-2.0

import BPF
import CMeshABI
import KernelTestSupport
import MeshModel
import Testing

/// A packet cut in pieces, whose first alone names its ports.
@Suite("A fragment", .tags(.kernel))
struct FragmentTests {
    private static let uplink: UInt32 = 99
    private static let id: UInt32 = 0x0001_2345

    /// Cuts a packet behind its IP header.
    ///
    /// - Parameters:
    ///   - places: where fragments begin, in bytes, multiples of 8, besides 0.
    ///   - inner: type of the first header in what is cut; by default the packet's transport.
    private static func cut(
        _ packet: [UInt8], at places: [Int], id: UInt32 = id, inner: UInt8? = nil
    ) -> [[UInt8]] {
        let reading = PacketReading(packet)
        let bounds = [0] + places + [reading.segment.count]
        return zip(bounds, bounds.dropFirst()).map { from, to in
            let bytes = Array(reading.segment[from..<to])
            let isLast = to == reading.segment.count
            return fragment(
                from: reading.source, to: reading.destination,
                transport: inner ?? reading.transport, at: from, isLast: isLast, id: id, bytes)
        }
    }

    private static func fragment(
        from source: Address, to destination: Address, transport: UInt8, at place: Int,
        isLast: Bool, id: UInt32 = id, _ bytes: [UInt8]
    ) -> [UInt8] {
        guard source.isIPv4 else {
            return ipPacket(
                from: source, to: destination, transport: IPProtocol.fragment,
                [transport, 0] + bigEndian(UInt16(place) | (isLast ? 0 : 1)) + bigEndian(id)
                    + bytes)
        }
        var packet = ipPacket(
            from: source, to: destination, transport: transport,
            fragment: UInt16(place / 8) | (isLast ? 0 : 0x2000), bytes)
        packet.replaceSubrange(18..<20, with: bigEndian(UInt16(truncatingIfNeeded: id)))
        packet.replaceSubrange(24..<26, with: [0, 0])
        packet.replaceSubrange(24..<26, with: bigEndian(checksum(Array(packet[14..<34]))))
        return packet
    }

    /// Puts the pieces that came out together again.
    private static func joined(_ outcomes: [Outcome]) -> PacketReading {
        let parts = outcomes.map(\.packet)
        let isIPv4 = parts[0].source.isIPv4
        for part in parts { #expect(part.isNetworkChecksumRight) }
        #expect(Set(parts.map(\.source)).count == 1 && Set(parts.map(\.destination)).count == 1)
        return PacketReading(
            ipPacket(
                from: parts[0].source, to: parts[0].destination,
                transport: isIPv4 ? parts[0].transport : parts[0].segment[0],
                parts.flatMap { isIPv4 ? $0.segment : Array($0.segment.dropFirst(8)) }))
    }

    private static let payload = (0..<100).map { UInt8($0) }

    /// The three ways out of an endpoint.
    enum Way: String, CaseIterable, Sendable {
        case neighbour
        case overlay
        case host

        func target(_ family: Family) -> Address {
            switch self {
            case .neighbour: family.neighbour
            case .overlay: family.remote
            case .host: family.outside
            }
        }

        var action: UInt32 { self == .host ? Action.toHost : Action.redirect }
    }

    @Test(
        "goes where the first one went, unless it comes before it", arguments: Family.allCases,
        Way.allCases)
    func out(family: Family, way: Way) throws {
        try inOwnNamespace {
            let world = try World.withOverlay()
            let (from, to) = (Peer(family.client, 40000), Peer(way.target(family), 53))
            let pieces = Self.cut(udp(from, to, payload: Self.payload), at: [48, 96])
            #expect(try world.send(pieces[1]).action == Action.drop)
            #expect(try world.count(WEFT_DROP_FRAGMENT) == 1)
            let outcomes = try pieces.map { try world.send($0) }
            #expect(outcomes.map(\.action) == [UInt32](repeating: way.action, count: 3))
            let whole = Self.joined(outcomes)
            #expect(whole.from == from && whole.to == to && whole.areChecksumsRight)
            #expect(Set(outcomes.map(\.metadata)).count == 1)
            let entries = try world.openConnections()
            #expect(entries.count == 1 && entries.first?.opener_packets == 3)
            // Of another packet nothing is known, and a later piece names no port to be denied.
            let other = Self.cut(udp(from, to, payload: Self.payload), at: [48], id: 77)
            #expect(try world.send(other[1]).action == Action.drop)
        }
    }

    @Test("comes in likewise, by the overlay and through the host", arguments: Family.allCases)
    func arriving(family: Family) throws {
        try inOwnNamespace {
            let world = try World.withOverlay()
            for (source, action) in [
                (family.remote, Action.redirect), (family.outside, Action.toHost),
            ] {
                let pieces = Self.cut(
                    udp(Peer(source, 40000), Peer(family.client, 53), payload: Self.payload),
                    at: [48, 96])
                func arrive(_ piece: [UInt8]) throws -> Outcome {
                    source == family.remote
                        ? try world.receive(piece) : try world.pass(piece, from: Self.uplink)
                }
                #expect(try arrive(pieces[2]).action == Action.drop)
                let outcomes = try pieces.map(arrive)
                #expect(outcomes.map(\.action) == [action, action, action])
                #expect(Self.joined(outcomes).areChecksumsRight)
            }
            #expect(try world.count(WEFT_DROP_FRAGMENT) == 2)
            #expect(try world.openConnections().map(\.opener_packets) == [3, 3])
        }
    }

    @Test("of a datagram to a service is translated there and back", arguments: Family.allCases)
    func service(family: Family) throws {
        try inOwnNamespace {
            let world = try World.withOverlay()
            let (client, frontend) = (Peer(family.client, 40000), Peer(family.service, 53))
            let backend = Peer(family.remote, 5353)
            try world.addService(
                frontend, protocol: IPProtocol.udp,
                [World.Slice(cluster: 2, backends: [backend])])
            for turn: UInt32 in 0..<2 {
                let question = Self.cut(
                    udp(client, frontend, payload: Self.payload), at: [48, 96], id: turn)
                let there = Self.joined(try question.map { try world.send($0) })
                #expect(there.from == client && there.to == backend && there.areChecksumsRight)
                #expect(there.segment.dropFirst(8) == Self.payload[...])
                let answer = Self.cut(
                    udp(backend, client, payload: Self.payload), at: [48, 96], id: turn)
                let back = Self.joined(try answer.map { try world.receive($0) })
                #expect(back.from == frontend && back.to == client && back.areChecksumsRight)
                #expect(back.segment.dropFirst(8) == Self.payload[...])
            }
            #expect(try world.count(WEFT_COUNTER_PACKETS_TRANSLATED) == 1)
        }
    }

    @Test("has the verdict of its connection", arguments: Family.allCases)
    func denied(family: Family) throws {
        try inOwnNamespace {
            let world = try World.withOverlay()
            let pieces = Self.cut(
                udp(Peer(family.client, 1), Peer(family.remote, 2), payload: Self.payload),
                at: [48])
            #expect(try world.send(pieces[0]).action == Action.redirect)
            try world.addEndpoint(family.client, cluster: 1, policySet: 7)
            world.clusters[2] |= 1 << 16
            for piece in pieces { #expect(try world.send(piece).action == Action.drop) }
            #expect(try world.count(WEFT_DROP_POLICY_DENIED) == 2)
        }
    }

    @Test("follows its first one for half a minute", arguments: Family.allCases)
    func age(family: Family) throws {
        try inOwnNamespace {
            let world = try World()
            let pieces = Self.cut(
                udp(Peer(family.client, 1), Peer(family.neighbour, 2), payload: Self.payload),
                at: [48])
            for piece in pieces { #expect(try world.send(piece).action == Action.redirect) }
            // struct fragment_key, struct first_fragment
            let fragments = try HashMap<
                (UInt64, UInt64, UInt64, UInt64, UInt64), (UInt64, UInt64)
            >(world.object.map(named: "weft_fragments"))
            for key in try fragments.keys() {
                var first = try #require(try fragments.lookup(key))
                first.0 -= 31_000_000_000
                try fragments.update(key, first)
            }
            #expect(try world.send(pieces[1]).action == Action.drop)
            #expect(try world.count(WEFT_DROP_FRAGMENT) == 1)
        }
    }

    @Test("may not hide or overwrite the transport's header", arguments: Family.allCases)
    func tiny(family: Family) throws {
        try inOwnNamespace {
            let world = try World.withHost()
            let source = family.client
            let target = family.neighbour
            let segment = PacketReading(
                tcp(
                    Peer(source, 40000), Peer(target, 80), .syn, options: [2, 4, 5, 180],
                    payload: [1, 2, 3, 4, 5, 6, 7, 8])
            ).segment
            func piece(_ bytes: ArraySlice<UInt8>, at place: Int, isLast: Bool = false) -> [UInt8] {
                Self.fragment(
                    from: source, to: target, transport: IPProtocol.tcp, at: place, isLast: isLast,
                    Array(bytes))
            }
            // With padding behind, as short frames have on a wire, and without.
            for padding in [[], [UInt8](repeating: 0, count: 40)] {
                for length in [8, 16, 20] {
                    let outcome = try world.send(piece(segment[..<length], at: 0) + padding)
                    #expect(outcome.action == Action.drop, "\(length) bytes")
                }
            }
            #expect(try world.count(WEFT_DROP_MALFORMED) == 6)
            #expect(try world.openConnections().isEmpty)
            #expect(try world.send(piece(segment[..<24], at: 0)).action == Action.redirect)
            for place in [8, 16] {
                #expect(
                    try world.send(piece(segment[..<16], at: place, isLast: true)).action
                        == Action.drop)
            }
            #expect(try world.count(WEFT_DROP_MALFORMED) == 8)
            #expect(
                try world.send(piece(segment[24...], at: 24, isLast: true)).action
                    == Action.redirect)
        }
    }

    @Test("may stand among other extension headers, once")
    func extensionHeaders() throws {
        try inOwnNamespace {
            let world = try World()
            let family = Family.ipv6
            let whole = udp(Peer(family.client, 1), Peer(family.remote, 53), payload: Self.payload)
            let options: (UInt8) -> [UInt8] = { [$0, 0, 1, 4, 0, 0, 0, 0] }
            // Options in what is cut: their header is the first piece's, and so are the ports.
            let segment = PacketReading(whole).segment
            let lengthened = ipPacket(
                from: family.client, to: family.remote, transport: 60,
                options(IPProtocol.udp) + segment)
            for piece in Self.cut(lengthened, at: [16, 56]) {
                #expect(try world.send(piece).action == Action.redirect)
            }
            #expect(try world.openConnections().first?.opener_packets == 3)
            #expect(
                try world.send(Self.cut(lengthened, at: [8])[0]).action == Action.drop,
                "a first piece without ports")
            #expect(try world.send(Self.cut(lengthened, at: [16])[0]).action == Action.redirect)
            let over = Self.fragment(
                from: family.client, to: family.remote, transport: 60, at: 8, isLast: true,
                Self.payload)
            #expect(try world.send(over).action == Action.drop, "over the ports")
            #expect(try world.count(WEFT_DROP_MALFORMED) == 2)
            // Options before the cut.
            for piece in Self.cut(whole, at: [48], id: 9) {
                let moved = ipPacket(
                    from: family.client, to: family.remote, transport: 60,
                    options(IPProtocol.fragment) + PacketReading(piece).segment)
                #expect(try world.send(moved).action == Action.redirect)
            }
            let twice = Self.cut(whole, at: [48])[0]
            let nested = ipPacket(
                from: family.client, to: family.remote, transport: IPProtocol.fragment,
                [IPProtocol.fragment, 0, 0, 1, 0, 0, 0, 7] + PacketReading(twice).segment)
            #expect(try world.send(nested).action == Action.drop)
            #expect(try world.count(WEFT_DROP_MALFORMED) == 3)
        }
    }

    @Test("of an echo has its identifier", arguments: Family.allCases)
    func echo(family: Family) throws {
        try inOwnNamespace {
            let world = try World()
            let request = icmp(
                family.client, family.neighbour, type: family == .ipv4 ? 8 : 128, rest: 0x1234_0001,
                payload: Self.payload)
            for piece in Self.cut(request, at: [48, 96]) {
                #expect(try world.send(piece).action == Action.redirect)
            }
            #expect(try world.openConnections().map(\.opener_packets) == [3])
        }
    }

    @Test("comes from its sender's own address, or is dropped", arguments: Family.allCases)
    func spoofed(family: Family) throws {
        try inOwnNamespace {
            let world = try World.withHost()
            for (from, to) in [
                (family.remote, family.neighbour), (family.outside, family.neighbour),
                (family.remote, family.outside),
            ] {
                for piece in Self.cut(
                    udp(Peer(from, 1), Peer(to, 2), payload: Self.payload), at: [48])
                {
                    #expect(try world.send(piece).action == Action.drop)
                }
            }
            #expect(try world.count(WEFT_DROP_INVALID_SOURCE) == 6)
            let pieces = Self.cut(
                udp(Peer(family.remote, 1), Peer(family.client, 2), payload: Self.payload),
                at: [48])
            for piece in pieces {
                #expect(try world.pass(piece, from: Self.uplink).action == Action.drop)
            }
            #expect(try world.count(WEFT_DROP_FOREIGN_SOURCE) == 2)
            #expect(
                try world.object.map(named: "weft_fragments").info.maxEntries > 0
                    && HashMap<
                        (UInt64, UInt64, UInt64, UInt64, UInt64), (UInt64, UInt64)
                    >(world.object.map(named: "weft_fragments")).keys().isEmpty,
                "a liar's pieces are not remembered")
        }
    }

    @Test("is never answered, its first one is", arguments: Family.allCases)
    func unanswered(family: Family) throws {
        try inOwnNamespace {
            let world = try World()
            let pieces = Self.cut(
                udp(Peer(family.client, 1), Peer(family.remote, 2), payload: Self.payload),
                at: [48])
            for piece in pieces { #expect(try world.send(piece).action == Action.redirect) }
            world.setCluster(2, .unreachable, generation: 2)
            let answered = try world.send(pieces[0])
            #expect(answered.action == Action.redirect)
            #expect(answered.packet.source == family.remote)
            #expect(try world.send(pieces[1]).action == Action.drop)
            #expect(try world.count(WEFT_DROP_PEER_DEAD) == 2)
        }
    }
}
