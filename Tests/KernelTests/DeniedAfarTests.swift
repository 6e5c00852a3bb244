// SPDX-License-Identifier: Apache-2.0

import BPF
import CMeshABI
import KernelTestSupport
import MeshModel
import Testing

extension Outcome {
    /// Sent back to the node that the packet came from, for nobody behind it.
    var isSignal: Bool {
        action == Action.redirect && metadata[1] & 0x6000 == 0x6000 && packet.flags.contains(.rst)
    }
}

@Suite("A denial at the other end", .tags(.kernel))
struct DeniedAfarTests {
    /// What the far node's operator wants the client to see.
    enum Answer: UInt32, CaseIterable, Sendable {
        case drop = 0x6000
        case reject = 0x4000
    }

    private static func client(_ family: Family, _ port: UInt16 = 40000) -> Peer {
        Peer(family.client, port)
    }

    private static func server(_ family: Family) -> Peer { Peer(family.remote, 8080) }

    /// A reset with marks, as the node at `outer` sends it.
    private static func receive(
        _ packet: [UInt8], _ answer: Answer, in world: World,
        outer: Address = World.outer(cluster: 2), cluster: Int = 2
    ) throws -> Outcome {
        let identity = World.identity(cluster: cluster, 300)
        return try world.receive(
            packet, outer: outer, identity: identity,
            groupPolicy: 0x8000 | answer.rawValue | identity >> 24)
    }

    @Test(
        "leaves no evidence, however often the client tries, and is the client's to hear if wanted",
        arguments: Family.allCases, Answer.allCases)
    func noEvidence(family: Family, answer: Answer) throws {
        try inOwnNamespace {
            let world = try World.withOverlay()
            let (client, server) = (Self.client(family), Self.server(family))
            for _ in 0..<3 {
                _ = try world.send(tcp(client, server, .syn))
                let denial = try Self.receive(
                    tcp(server, client, [.rst, .ack]), answer, in: world)
                #expect(denial.action == (answer == .drop ? Action.drop : Action.redirect))
                if answer == .reject {
                    #expect(denial.packet.destinationMAC == World.mac(of: family.client))
                    #expect(denial.packet.flags == [.rst, .ack])
                }
            }
            #expect(try world.evidenceCounts(server) == nil)
            #expect(try world.count(WEFT_COUNTER_DENIALS_HEARD) == 3)
            #expect(try world.count(WEFT_COUNTER_OPENINGS_SILENT) == 0)
            #expect(try world.count(WEFT_COUNTER_OPENINGS_REFUSED) == 0)
            for reason in 1..<WEFT_DROP_END.rawValue {
                #expect(try world.count(weft_drop_reason(reason)) == 0)
            }
            let entry = try #require(try world.openConnections().first)
            #expect(entry.flags & WEFT_CONNECTION_DENIED_AFAR.rawValue != 0)
            // Who is allowed meets the backend itself.
            let other = Self.client(family, 40001)
            for _ in 0..<2 { _ = try world.send(tcp(other, server, .syn)) }
            #expect(try world.evidenceCounts(server) == EvidenceCounts(openings: 1, silent: 1))
        }
    }

    @Test("takes back the silence before it, once, and nobody else's", arguments: Family.allCases)
    func retracted(family: Family) throws {
        try inOwnNamespace {
            let world = try World.withOverlay()
            let server = Self.server(family)
            let (denied, other) = (Self.client(family), Self.client(family, 40001))
            for _ in 0..<3 { _ = try world.send(tcp(denied, server, .syn)) }
            for _ in 0..<2 { _ = try world.send(tcp(other, server, .syn)) }
            for _ in 0..<2 {
                _ = try Self.receive(tcp(server, denied, [.rst, .ack]), .drop, in: world)
                _ = try world.send(tcp(denied, server, .syn))
            }
            #expect(try world.evidenceCounts(server) == EvidenceCounts(openings: 2, silent: 3))
            let entry = try #require(try world.evidenceEntry(server))
            #expect(entry.retracted_openings == 1 && entry.retracted == 2)
            #expect(entry.denied_at >= entry.silent_at)
        }
    }

    @Test("is believed of what an endpoint here opened, from its backend's node only")
    func believed() throws {
        try inOwnNamespace {
            let family = Family.ipv4
            let world = try World.withOverlay()
            let (client, server) = (Self.client(family), Self.server(family))
            // Another node of the backend's cluster.
            let neighbour = Address("192.0.2.21")!
            try world.outerSources.update(
                weft_address(neighbour), weft_outer_source(node: 21, cluster: 2, pad: 0))
            for _ in 0..<2 { _ = try world.send(tcp(client, server, .syn)) }
            let reset = tcp(server, client, [.rst, .ack])
            var strays: UInt64 = 0
            for answer in Answer.allCases {
                for (what, packet, outer, cluster, reason) in [
                    ("another node", reset, neighbour, 2, WEFT_DROP_STRAY_DENIAL),
                    (
                        "another cluster", reset, World.outer(cluster: 3), 3,
                        WEFT_DROP_FOREIGN_SOURCE
                    ),
                    ("no node", reset, Address("192.0.2.77")!, 2, WEFT_DROP_UNKNOWN_NODE),
                    (
                        "no flow", tcp(server, Peer(client.address, 40009), [.rst, .ack]),
                        World.outer(cluster: 2), 2, WEFT_DROP_STRAY_DENIAL
                    ),
                    (
                        "no reset", tcp(server, client, [.syn, .ack]), World.outer(cluster: 2), 2,
                        WEFT_DROP_STRAY_DENIAL
                    ),
                    (
                        "no segment", udp(server, client), World.outer(cluster: 2), 2,
                        WEFT_DROP_STRAY_DENIAL
                    ),
                ] {
                    let before = try world.count(reason)
                    let outcome = try Self.receive(
                        packet, answer, in: world, outer: outer, cluster: cluster)
                    #expect(outcome.action == Action.drop, "\(what)")
                    #expect(try world.count(reason) == before + 1, "\(what)")
                    if reason == WEFT_DROP_STRAY_DENIAL { strays += 1 }
                }
            }
            #expect(try world.count(WEFT_DROP_STRAY_DENIAL) == strays)
            #expect(try world.count(WEFT_COUNTER_DENIALS_HEARD) == 0)
            _ = try world.send(tcp(client, server, .syn))
            let entry = try #require(try world.evidenceEntry(server))
            #expect(entry.silent == 2 && entry.retracted == 0 && entry.denied_at == 0)
        }
    }

    @Test("of what the other end opened is a reset like others")
    func openedThere() throws {
        try inOwnNamespace {
            let world = try World.withOverlay()
            let family = Family.ipv4
            let (client, server) = (Peer(family.remote, 40000), Peer(family.client, 80))
            _ = try world.receive(tcp(client, server, .syn))
            let reset = try Self.receive(tcp(client, server, .rst), .reject, in: world)
            #expect(reset.action == Action.redirect)
            #expect(try world.count(WEFT_COUNTER_DENIALS_HEARD) == 0)
        }
    }

    @Test(
        "is said to the opener's node, whatever the opener may hear", arguments: Family.allCases)
    func said(family: Family) throws {
        try inOwnNamespace {
            let world = try World.withOverlay()
            try world.addEndpoint(family.client, cluster: 1, policySet: 7)
            let syn = tcp(Peer(family.remote, 40000), Peer(family.client, 80), .syn)
            let signal = try world.receive(syn)
            let identity = World.identity(of: family.client)
            #expect(
                signal.metadata == [
                    identity & 0xff_ffff, 0xe000 | identity >> 24, World.outerSource.ipv4!,
                    World.outer(cluster: 2).ipv4!,
                ])
            let asked = PacketReading(syn)
            #expect(signal.isSignal && signal.packet.areChecksumsRight)
            #expect(signal.packet.from == asked.to && signal.packet.to == asked.from)
            // Nobody counts other packets as silence.
            for packet in [
                tcp(asked.from, asked.to, .ack), tcp(asked.from, asked.to, .rst),
                udp(asked.from, asked.to),
            ] { #expect(try world.receive(packet).action == Action.drop) }
            // Who isn't known yet may be allowed in a moment: a reset would end the attempt.
            try world.publish(PolicyVersion(ingress: [Interval(WEFT_POLICY_DENY_UNKNOWN)]))
            #expect(try world.receive(syn).isSignal)
            #expect(try world.count(WEFT_DROP_UNKNOWN_IDENTITY) == 1)
            #expect(try world.count(WEFT_DROP_POLICY_DENIED) == 4)
            #expect(try world.count(WEFT_COUNTER_DENIALS_SIGNALLED) == 2)
            #expect(try world.count(WEFT_COUNTER_DENIALS_ANSWERED) == 0)
            #expect(try world.openConnections().isEmpty)
            while try world.count(WEFT_COUNTER_DENIALS_UNANSWERED) == 0 {
                _ = try world.receive(syn)
            }
            #expect(try world.count(WEFT_COUNTER_DENIALS_SIGNALLED) >= 1000)
        }
    }
}
