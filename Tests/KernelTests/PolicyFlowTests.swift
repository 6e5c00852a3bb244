// SPDX-License-Identifier: Apache-2.0

import BPF
import CMeshABI
import KernelTestSupport
import MeshModel
import Testing

@Suite("What a policy does to flows", .tags(.kernel))
struct PolicyFlowTests {
    private let client = PolicyTests.client
    private let server = PolicyTests.server
    private let remote = PolicyTests.remote

    @Test("a denied flow leaves no entry, and is told with who, which rule and which way")
    func denied() throws {
        try inOwnNamespace {
            let world = try PolicyTests.world(
                PolicyVersion(
                    egress: PolicyVersion.closed(rule: -9), ingress: PolicyVersion.closed(rule: 12))
            )
            _ = try world.send(tcp(client, server, .syn))
            _ = try world.receive(tcp(remote, server, .syn))
            _ = try world.send(udp(server, remote))
            #expect(try world.openConnections().isEmpty)
            let events = try world.takeEvents()
            #expect(
                events.map { UInt32($0.type) }
                    == Array(repeating: WEFT_EVENT_DENIED.rawValue, count: 3))
            #expect(events.map(\.policy_rule) == [12, 12, -9])
            #expect(events.map(\.policy_direction) == [1, 1, 0])
            #expect(events.allSatisfy { $0.policy_version == 1 })
            let identities = events.map { [$0.source_identity, $0.destination_identity] }
            #expect(
                identities
                    == [(client, server), (remote, server), (server, remote)].map {
                        source, target in
                        [source, target].map { World.identity(of: $0.address) }
                    })
            // A drop for another reason says nothing of policies.
            _ = try world.send(udp(client, Peer("10.2.0.250", 1)))
            #expect(try world.takeEvents().map(\.policy_rule) == [0])
        }
    }

    @Test("an open flow is cut when its verdict is renewed, told each time, and comes back")
    func liveFlow() throws {
        try inOwnNamespace {
            let open = PolicyVersion()
            let world = try PolicyTests.world(open)
            func packets() throws -> [UInt32] {
                try [
                    world.send(tcp(client, server, .ack)), world.send(tcp(server, client, .ack)),
                    world.receive(tcp(remote, server, .ack)),
                    world.send(tcp(server, remote, .ack)),
                ].map(\.action)
            }
            let passed = Array(repeating: Action.redirect, count: 4)
            let dropped = Array(repeating: Action.drop, count: 4)
            #expect(try packets() == passed)
            _ = try world.takeEvents()
            try world.publish(PolicyVersion(ingress: PolicyVersion.closed(rule: 2)), version: 2)
            #expect(try packets() == passed, "the verdict is remembered")
            world.renewVerdicts()
            #expect(try packets() == dropped)
            #expect(try packets() == dropped)
            let events = try world.takeEvents()
            #expect(events.count == 8)
            #expect(events.allSatisfy { $0.policy_version == 2 && $0.policy_rule == 2 })
            #expect(events.allSatisfy { $0.policy_direction == 1 }, "also of answers")
            #expect(try world.openConnections().count == 2)
            try world.publish(open, version: 3)
            #expect(try packets() == passed, "what is denied is judged at each packet")
            #expect(try world.openConnections().count == 2)
        }
    }

    @Test("an audited endpoint lets through what its policies deny, and tells")
    func audit() throws {
        try inOwnNamespace {
            let world = try PolicyTests.world(
                PolicyVersion(
                    egress: PolicyVersion.closed(rule: 1),
                    ingress: [
                        Interval(WEFT_POLICY_DENY, rule: 2),
                        Interval(IPProtocol.udp, 0, WEFT_POLICY_DENY_UNKNOWN, rule: 3),
                    ]), isAudited: true)
            #expect(try world.send(tcp(client, server, .syn)).action == Action.redirect)
            #expect(try world.send(tcp(client, server, .ack)).action == Action.redirect)
            #expect(try world.receive(udp(remote, server)).action == Action.redirect)
            #expect(try world.send(tcp(server, remote, .syn)).action == Action.redirect)
            let events = try world.takeEvents().filter {
                UInt32($0.type) == WEFT_EVENT_AUDITED.rawValue
            }
            #expect(events.map(\.policy_rule) == [2, 3, 1])
            #expect(events.map(\.policy_direction) == [1, 1, 0])
            #expect(
                events.map { UInt32($0.reason) }
                    == [
                        WEFT_DROP_POLICY_DENIED, WEFT_DROP_UNKNOWN_IDENTITY,
                        WEFT_DROP_POLICY_DENIED,
                    ].map(\.rawValue))
            #expect(events.map(\.ifindex) == [World.loopback, 42, World.loopback])
            #expect(try world.count(WEFT_COUNTER_AUDITED) == 3)
            #expect(try world.count(WEFT_DROP_POLICY_DENIED) == 0)
            #expect(try world.openConnections().count == 3)
            // The other end's policies are enforced all the same.
            try world.publish(PolicyVersion(egress: PolicyVersion.closed()), version: 9, as: 8)
            try world.addEndpoint(client.address, cluster: 1, policySet: 8)
            #expect(try world.send(udp(client, server)).action == Action.drop)
        }
    }

    @Test("a ping is judged as its request, whoever's packet it is", arguments: Family.allCases)
    func echo(family: Family) throws {
        try inOwnNamespace {
            let (request, reply): (UInt8, UInt8) = family == .ipv4 ? (8, 0) : (128, 129)
            let icmpNumber = family == .ipv4 ? IPProtocol.icmp : IPProtocol.icmpv6
            func policy(rule: Int32) -> PolicyVersion {
                PolicyVersion(ingress: [
                    Interval(WEFT_POLICY_DENY, rule: rule),
                    Interval(icmpNumber, UInt16(request), WEFT_POLICY_ALLOW),
                    Interval(icmpNumber, UInt16(request) + 1, WEFT_POLICY_DENY, rule: rule),
                ])
            }
            let world = try PolicyTests.world(policy(rule: 1))
            let ping = icmp(family.client, family.neighbour, type: request, rest: 0x1234_0001)
            let pong = icmp(family.neighbour, family.client, type: reply, rest: 0x1234_0001)
            #expect(try world.send(ping).action == Action.redirect)
            #expect(try world.send(pong).action == Action.redirect)
            try world.publish(policy(rule: 2), version: 2)
            world.renewVerdicts()
            #expect(try world.send(pong).action == Action.redirect)
            #expect(try world.send(ping).action == Action.redirect)
        }
    }

    @Test("a question of one kind doesn't open the way for one of another")
    func queries() throws {
        try inOwnNamespace {
            let (timestamp, timestampReply, mask): (UInt8, UInt8, UInt8) = (13, 14, 17)
            let world = try PolicyTests.world(
                PolicyVersion(ingress: [
                    Interval(WEFT_POLICY_DENY),
                    Interval(IPProtocol.icmp, 8, WEFT_POLICY_ALLOW),
                    Interval(IPProtocol.icmp, 9, WEFT_POLICY_DENY),
                    Interval(IPProtocol.icmp, UInt16(timestamp), WEFT_POLICY_ALLOW),
                    Interval(IPProtocol.icmp, UInt16(timestampReply), WEFT_POLICY_DENY),
                ]))
            func sent(_ type: UInt8, id: UInt16 = 0) throws -> Bool {
                try world.send(
                    icmp(client.address, server.address, type: type, rest: UInt32(id) << 16)
                ).action == Action.redirect
            }
            #expect(try sent(8) && sent(8, id: UInt16(mask)) && sent(timestamp))
            #expect(try world.openConnections().count == 3)
            #expect(try sent(mask) == false)
            let answer = icmp(server.address, client.address, type: timestampReply)
            #expect(try world.send(answer).action == Action.redirect)
        }
    }

    @Test("an error about an allowed flow passes, about a denied or unknown one it doesn't")
    func errors() throws {
        try inOwnNamespace {
            let world = try PolicyTests.world(
                PolicyVersion(
                    ingress: [
                        Interval(WEFT_POLICY_DENY, rule: 3),
                        Interval(IPProtocol.sctp, 0, WEFT_POLICY_ALLOW),
                    ]))
            let asked = sctp(Peer(server.address, 7000), Peer(remote.address, 9000))
            #expect(try world.send(asked).action == Action.redirect)
            func unreachable(_ quoted: [UInt8]) throws -> UInt32 {
                try world.receive(
                    icmp(
                        remote.address, server.address, type: 3, code: 1,
                        payload: Array(quoted.dropFirst(14)))
                ).action
            }
            #expect(try unreachable(asked) == Action.redirect)
            let other = sctp(Peer(server.address, 7001), Peer(remote.address, 9000))
            _ = try world.takeEvents()
            #expect(try unreachable(other) == Action.drop)
            #expect(try world.takeEvents().map(\.policy_rule) == [3])
        }
    }

    @Test("an end that no table knows is judged by the identity that its entry says")
    func presetIdentity() throws {
        try inOwnNamespace {
            let stranger = Peer(Address("198.51.100.9")!, 40000)
            let identity = World.identity(cluster: 2, 300)
            let world = try PolicyTests.world(
                PolicyVersion(
                    ingress: PolicyVersion.closed(),
                    fromPeers: [
                        PolicyVersion.Peer(identity: identity, block: 3): PolicyVersion.open
                    ], blocks: 1))
            let packet = udp(stranger, server)
            func arrives() throws -> UInt32 {
                try world.receive(packet, outer: World.outer(cluster: 2), identity: identity).action
            }
            #expect(try arrives() == Action.drop)
            try world.addBlock(Prefix("198.51.100.0/24")!, 3, generation: 1)
            #expect(try arrives() == Action.redirect)
            world.renewVerdicts()
            #expect(try arrives() == Action.redirect)
        }
    }
}
