// SPDX-License-Identifier: Apache-2.0

import BPF
import CMeshABI
import KernelTestSupport
import MeshModel
import Testing

/// Counts of one backend: what a test expects, and what the map has.
struct EvidenceCounts: Equatable {
    var answered: UInt32 = 0
    var openings: UInt32 = 0
    var silent: UInt32 = 0
    var refused: UInt32 = 0
    var unreachable: UInt32 = 0
}

extension World {
    func evidenceEntry(
        _ backend: Peer, _ transport: UInt8 = IPProtocol.tcp
    ) throws -> weft_evidence? {
        try evidence.lookup(
            weft_evidence_key(
                address: weft_address(backend.address), port: backend.port.bigEndian,
                protocol: transport, pad: 0))
    }

    func evidenceCounts(
        _ backend: Peer, _ transport: UInt8 = IPProtocol.tcp
    ) throws -> EvidenceCounts? {
        try evidenceEntry(backend, transport).map {
            EvidenceCounts(
                answered: $0.answered, openings: $0.openings, silent: $0.silent,
                refused: $0.refused, unreachable: $0.unreachable)
        }
    }

    /// An endpoint's packet, here or on another node.
    func deliver(_ packet: [UInt8]) throws -> Outcome {
        PacketReading(packet).source == Family.ipv4.neighbour
            || PacketReading(packet).source == Family.ipv6.neighbour
            ? try send(packet) : try receive(packet)
    }
}

@Suite("Evidence against a backend", .tags(.kernel))
struct EvidenceTests {
    /// A backend on this node or on another one.
    enum Place: String, CaseIterable, Sendable {
        case here
        case elsewhere

        func backend(_ family: Family) -> Peer {
            Peer(self == .here ? family.neighbour : family.remote, 8080)
        }
    }

    @Test(
        "is a SYN sent again without an answer, and nothing else of the opening",
        arguments: Family.allCases, Place.allCases)
    func silence(family: Family, place: Place) throws {
        try inOwnNamespace {
            let world = try World.withOverlay()
            let backend = place.backend(family)
            let client = Peer(family.client, 40000)
            _ = try world.send(tcp(client, backend, .syn))
            #expect(try world.evidenceCounts(backend) == nil, "a first SYN is no failure")
            for _ in 0..<2 { _ = try world.send(tcp(client, backend, .syn)) }
            #expect(try world.evidenceCounts(backend) == EvidenceCounts(openings: 1, silent: 2))
            let other = Peer(family.client, 40001)
            for _ in 0..<2 { _ = try world.send(tcp(other, backend, .syn)) }
            #expect(try world.evidenceCounts(backend) == EvidenceCounts(openings: 2, silent: 3))
            #expect(try world.count(WEFT_COUNTER_OPENINGS_SILENT) == 3)
            let entry = try #require(try world.evidenceEntry(backend))
            #expect(entry.silent_at > 0 && entry.refused_at == 0 && entry.answered_at == 0)
            #expect(entry.ifindex == World.loopback)
            #expect(entry.cluster == (place == .here ? 1 : 2))
            #expect(entry.node == (place == .here ? 0 : 20))

            // Once it answers, what is sent again counts no longer.
            _ = try world.deliver(tcp(backend, other, [.syn, .ack]))
            _ = try world.send(tcp(other, backend, .syn))
            _ = try world.send(tcp(other, backend, .ack, payload: [1]))
            _ = try world.send(tcp(other, backend, .ack, payload: [1]))
            #expect(
                try world.evidenceCounts(backend)
                    == EvidenceCounts(answered: 1, openings: 2, silent: 3))
        }
    }

    @Test(
        "is a reset that answers a SYN", arguments: Family.allCases, Place.allCases)
    func refusal(family: Family, place: Place) throws {
        try inOwnNamespace {
            let world = try World.withOverlay()
            let backend = place.backend(family)
            for port in 40000..<40003 as Range<UInt16> {
                let client = Peer(family.client, port)
                _ = try world.send(tcp(client, backend, .syn))
                let refused = try world.deliver(tcp(backend, client, [.rst, .ack]))
                #expect(refused.action == Action.redirect)
                // Only one counts for an opening.
                _ = try world.deliver(tcp(backend, client, [.rst, .ack]))
            }
            #expect(try world.evidenceCounts(backend) == EvidenceCounts(openings: 3, refused: 3))
            // The same ports again are another opening.
            _ = try world.send(tcp(Peer(family.client, 40000), backend, .syn))
            _ = try world.deliver(tcp(backend, Peer(family.client, 40000), [.rst, .ack]))
            #expect(try world.evidenceCounts(backend) == EvidenceCounts(openings: 4, refused: 4))
            #expect(try world.count(WEFT_COUNTER_OPENINGS_REFUSED) == 4)
        }
    }

    @Test("is no reset of a connection that was open, or of one that was forgotten")
    func lateReset() throws {
        try inOwnNamespace {
            let world = try World.withOverlay()
            let backend = Peer(Family.ipv4.remote, 8080)
            let client = Peer(Family.ipv4.client, 40000)
            _ = try world.send(tcp(client, backend, .syn))
            _ = try world.receive(tcp(backend, client, [.syn, .ack]))
            _ = try world.receive(tcp(backend, client, [.rst, .ack]))
            let forgotten = Peer(Family.ipv4.client, 40001)
            _ = try world.send(tcp(forgotten, backend, [.ack, .psh], payload: [1]))
            _ = try world.receive(tcp(backend, forgotten, .rst))
            #expect(try world.evidenceCounts(backend) == nil)
        }
    }

    /// An ICMP error, and whether it speaks against a backend.
    struct Unreachable: Sendable, CustomTestStringConvertible {
        let family: Family
        let transport: UInt8
        let type: UInt8
        let code: UInt8
        let counts: Bool
        var testDescription: String {
            "\(family), protocol \(transport), type \(type) code \(code)"
        }

        static let all = [
            Unreachable(
                family: .ipv4, transport: IPProtocol.tcp, type: 3, code: 3, counts: true),
            Unreachable(
                family: .ipv4, transport: IPProtocol.tcp, type: 3, code: 10, counts: true),
            Unreachable(
                family: .ipv4, transport: IPProtocol.tcp, type: 3, code: 4, counts: false),
            Unreachable(
                family: .ipv4, transport: IPProtocol.tcp, type: 11, code: 0, counts: false),
            Unreachable(
                family: .ipv4, transport: IPProtocol.udp, type: 3, code: 3, counts: true),
            Unreachable(
                family: .ipv4, transport: IPProtocol.udp, type: 3, code: 1, counts: false),
            Unreachable(
                family: .ipv6, transport: IPProtocol.tcp, type: 1, code: 1, counts: true),
            Unreachable(
                family: .ipv6, transport: IPProtocol.tcp, type: 2, code: 0, counts: false),
            Unreachable(
                family: .ipv6, transport: IPProtocol.udp, type: 1, code: 4, counts: true),
            Unreachable(
                family: .ipv6, transport: IPProtocol.udp, type: 1, code: 3, counts: false),
        ]
    }

    @Test(
        "is an unreachable error about an opening", arguments: Unreachable.all, Place.allCases)
    func unreachable(error: Unreachable, place: Place) throws {
        try inOwnNamespace {
            let world = try World.withOverlay()
            let family = error.family
            let backend = place.backend(family)
            let client = Peer(family.client, 40000)
            let sent = try world.send(
                error.transport == IPProtocol.tcp
                    ? tcp(client, backend, .syn) : udp(client, backend, payload: [1, 2, 3]))
            let answer = icmp(
                backend.address, client.address, type: error.type, code: error.code,
                payload: Array(sent.bytes.dropFirst(14)))
            for _ in 0..<2 {
                #expect(try world.deliver(answer).action == Action.redirect)
            }
            #expect(
                try world.evidenceCounts(backend, error.transport)
                    == (error.counts ? EvidenceCounts(openings: 1, unreachable: 2) : nil))
            #expect(
                try world.count(WEFT_COUNTER_OPENINGS_UNREACHABLE) == (error.counts ? 2 : 0))
        }
    }

    @Test("is no error from whoever doesn't stand for the backend, or about an answered flow")
    func foreignError() throws {
        try inOwnNamespace {
            let world = try World.withOverlay()
            let family = Family.ipv4
            let backend = Peer(family.remote, 53)
            let client = Peer(family.client, 40000)
            let sent = try world.send(udp(client, backend))
            let quoted = Array(sent.bytes.dropFirst(14))
            // Another cluster's node, another endpoint here.
            _ = try world.receive(
                icmp(
                    family.address(cluster: 3, host: 2), client.address, type: 3, code: 3,
                    payload: quoted), cluster: 3)
            _ = try world.send(
                icmp(family.neighbour, client.address, type: 3, code: 3, payload: quoted))
            #expect(try world.evidenceCounts(backend, IPProtocol.udp) == nil)
            let error = icmp(family.remote, client.address, type: 3, code: 3, payload: quoted)
            _ = try world.receive(udp(backend, client))
            _ = try world.receive(error)
            #expect(try world.evidenceCounts(backend, IPProtocol.udp) == nil)
        }
    }

    @Test("stands beside answers, which are counted only where there is any")
    func answers() throws {
        try inOwnNamespace {
            let world = try World.withOverlay()
            let backend = Peer(Family.ipv4.remote, 8080)
            func open(_ port: UInt16) throws {
                let client = Peer(Family.ipv4.client, port)
                _ = try world.send(tcp(client, backend, .syn))
                _ = try world.receive(tcp(backend, client, [.syn, .ack]))
                _ = try world.send(tcp(client, backend, .ack))
                _ = try world.receive(tcp(backend, client, .ack, payload: [1, 2]))
                _ = try world.receive(tcp(backend, client, [.ack, .fin]))
            }
            try open(40000)
            #expect(try world.evidence.count() == 0)
            let client = Peer(Family.ipv4.client, 41000)
            for _ in 0..<2 { _ = try world.send(tcp(client, backend, .syn)) }
            try open(40001)
            try open(40002)
            #expect(
                try world.evidenceCounts(backend)
                    == EvidenceCounts(answered: 2, openings: 1, silent: 1))
            let entry = try #require(try world.evidenceEntry(backend))
            #expect(entry.answered_at >= entry.silent_at)
        }
    }

    @Test("is against the backend of a translated flow, whoever translates it")
    func translated() throws {
        try inOwnNamespace {
            let world = try World.withOverlay()
            let family = Family.ipv4
            let backend = Peer(family.remote, 8080)
            let frontend = Peer(family.service, 80)
            try world.addService(frontend, [World.Slice(cluster: 2, backends: [backend])])
            let client = Peer(family.client, 40000)
            for _ in 0..<3 { _ = try world.send(tcp(client, frontend, .syn)) }
            #expect(try world.evidenceCounts(backend) == EvidenceCounts(openings: 1, silent: 2))
            // As a socket hook leaves it.
            let other = Peer(family.client, 40001)
            for _ in 0..<2 { _ = try world.send(tcp(other, backend, .syn)) }
            #expect(try world.evidenceCounts(backend) == EvidenceCounts(openings: 2, silent: 3))
            _ = try world.receive(tcp(backend, client, [.rst, .ack]))
            #expect(
                try world.evidenceCounts(backend)
                    == EvidenceCounts(openings: 2, silent: 3, refused: 1))
            #expect(try world.evidence.count() == 1)
        }
    }

    @Test("is what openings of this node meet, not those of others, denied ones or dead peers")
    func others() throws {
        try inOwnNamespace {
            let world = try World.withOverlay()
            let family = Family.ipv4
            let here = Peer(family.client, 8080)
            let there = Peer(family.remote, 40000)
            for _ in 0..<3 { _ = try world.receive(tcp(there, here, .syn)) }
            _ = try world.send(tcp(here, there, [.rst, .ack]))
            try world.addEndpoint(family.neighbour, cluster: 1, policySet: 7)
            let denied = Peer(family.neighbour, 40000)
            for _ in 0..<3 {
                #expect(
                    try world.send(tcp(denied, Peer(family.remote, 80), .syn)).action
                        == Action.drop)
            }
            let opener = Peer(family.client, 41000)
            _ = try world.send(tcp(opener, Peer(family.remote, 80), .syn))
            world.setCluster(2, .unreachable, generation: 2)
            _ = try world.send(tcp(opener, Peer(family.remote, 80), .syn))
            let accused = try world.evidence.keys().map {
                Peer(Address($0.address), UInt16(bigEndian: $0.port))
            }
            #expect(accused == [])
        }
    }
}
