// SPDX-License-Identifier: Apache-2.0

import BPF
import CMeshABI
import Glibc
import KernelTestSupport
import MeshModel
import Synchronization
import Testing

@Suite("A policy", .tags(.kernel))
struct PolicyTests {
    static let client = Peer(Family.ipv4.client, 40000)
    static let server = Peer(Family.ipv4.neighbour, 80)
    static let remote = Peer(Family.ipv4.remote, 40000)

    static func identity(_ peer: Peer) -> PolicyVersion.Peer {
        PolicyVersion.Peer(identity: World.identity(of: peer.address))
    }

    /// A world in which the neighbour has policy set 7.
    static func world(_ policy: PolicyVersion, isAudited: Bool = false) throws -> World {
        let world = try World.withOverlay()
        try world.publish(policy)
        for family in Family.allCases {
            try world.addEndpoint(
                family.neighbour, cluster: 1, policySet: 7,
                flags: isAudited ? WEFT_ENDPOINT_AUDIT : nil)
        }
        return world
    }

    @Test("allows by who the peer is, here and in other clusters", arguments: Family.allCases)
    func identities(family: Family) throws {
        try inOwnNamespace {
            let client = Peer(family.client, 40000)
            let remote = Peer(family.remote, 40000)
            let server = Peer(family.neighbour, 80)
            for (allowed, fromHere, fromThere) in [
                (client, Action.redirect, Action.drop), (remote, Action.drop, Action.redirect),
            ] {
                let world = try Self.world(
                    PolicyVersion(
                        ingress: PolicyVersion.closed(),
                        fromPeers: [Self.identity(allowed): PolicyVersion.open]))
                #expect(try world.send(tcp(client, server, .syn)).action == fromHere)
                #expect(try world.receive(udp(remote, server)).action == fromThere)
            }
        }
    }

    @Test("allows where to, whoever sends")
    func egress() throws {
        try inOwnNamespace {
            let world = try Self.world(
                PolicyVersion(
                    egress: PolicyVersion.closed(rule: 3),
                    toPeers: [Self.identity(Self.remote): PolicyVersion.open]))
            let sent = { try world.send(udp(Self.server, $0)).action }
            #expect(try sent(Self.remote) == Action.redirect)
            #expect(try sent(Self.client) == Action.drop)
            // Answers go by the verdict on what they answer.
            #expect(try world.send(udp(Self.client, Self.server)).action == Action.redirect)
            #expect(try sent(Self.client) == Action.redirect)
        }
    }

    @Test("means a range of ports of one protocol, to the first and the last")
    func ports() throws {
        try inOwnNamespace {
            let world = try Self.world(
                PolicyVersion(ingress: [
                    Interval(WEFT_POLICY_DENY), Interval(IPProtocol.tcp, 80, WEFT_POLICY_ALLOW),
                    Interval(IPProtocol.tcp, 91, WEFT_POLICY_DENY),
                    Interval(IPProtocol.sctp, 5000, WEFT_POLICY_ALLOW),
                    Interval(IPProtocol.sctp, 5001, WEFT_POLICY_DENY),
                ]))
            let address = Self.server.address
            for (port, action) in [
                (79, Action.drop), (80, Action.redirect), (90, Action.redirect),
                (91, Action.drop),
            ] as [(UInt16, UInt32)] {
                let outcome = try world.send(tcp(Self.client, Peer(address, port), .syn))
                #expect(outcome.action == action, "TCP port \(port)")
            }
            #expect(try world.send(udp(Self.client, Peer(address, 80))).action == Action.drop)
            for (port, action) in [(4999, Action.drop), (5000, Action.redirect)]
                as [(UInt16, UInt32)]
            {
                let outcome = try world.send(sctp(Self.client, Peer(address, port)))
                #expect(outcome.action == action, "SCTP port \(port)")
            }
            // The answer's destination is the client's port.
            let answer = sctp(Peer(address, 5000), Self.client)
            #expect(try world.send(answer).action == Action.redirect)
        }
    }

    @Test("is found among intervals of any number", arguments: [1, 2, 3, 1000, 16_384])
    func search(count: Int) throws {
        try inOwnNamespace {
            var intervals = [Interval(WEFT_POLICY_DENY)]
            for index in 1..<max(count, 1) {
                let verdict = index % 2 == 1 ? WEFT_POLICY_ALLOW : WEFT_POLICY_DENY
                intervals.append(
                    Interval(IPProtocol.udp, UInt16(index * 3), verdict, rule: Int32(index)))
            }
            let world = try Self.world(PolicyVersion(ingress: intervals))
            for index in [0, 1, 2, count / 2, count - 2, count - 1] where (1..<count) ~= index {
                for port in [index * 3, index * 3 + 2] {
                    let packet = udp(Self.client, Peer(Self.server.address, UInt16(port)))
                    let action = try world.send(packet).action
                    #expect(action == (index % 2 == 1 ? Action.redirect : Action.drop), "\(port)")
                    let denied = try world.takeEvents().filter {
                        UInt32($0.type) == WEFT_EVENT_DENIED.rawValue
                    }
                    #expect(denied.map(\.policy_rule) == (index % 2 == 1 ? [] : [Int32(index)]))
                }
            }
            #expect(try world.send(tcp(Self.client, Self.server, .syn)).action == Action.drop)
        }
    }

    @Test("names blocks of addresses, whoever has them", arguments: Family.allCases)
    func blocks(family: Family) throws {
        try inOwnNamespace {
            let client = Peer(family.client, 40000)
            let server = Peer(family.neighbour, 80)
            let wide = Prefix(address: family.client, length: family == .ipv4 ? 112 : 32)!
            func peer(_ block: UInt32) -> PolicyVersion.Peer {
                PolicyVersion.Peer(
                    identity: World.identity(of: client.address), block: block)
            }
            let world = try Self.world(
                PolicyVersion(
                    ingress: PolicyVersion.closed(),
                    fromPeers: [
                        peer(5): PolicyVersion.open, peer(0): PolicyVersion.open,
                        peer(6): PolicyVersion.closed(),
                    ],
                    blocks: 2))
            try world.addBlock(Prefix(address: .unspecified, length: 0)!, 9, generation: 1)
            func isAllowed() throws -> Bool {
                for key in try world.connections.keys() { try world.connections.delete(key) }
                return try world.send(udp(client, server)).action == Action.redirect
            }
            #expect(try isAllowed(), "in no block of this generation")
            try world.addBlock(wide, 5, generation: 2)
            #expect(try isAllowed())
            try world.addBlock(Prefix(client.address), 6, generation: 2)
            #expect(try isAllowed() == false, "the longest prefix is the peer's")
            try world.addBlock(Prefix(client.address), 7, generation: 2)
            #expect(try isAllowed() == false, "a block without a list goes by the standard list")
        }
    }

    @Test("one list lets the own node in, whatever its address; its blocks count on the way out")
    func ownNode() throws {
        try inOwnNamespace {
            let world = try World.withHost()
            let family = Family.ipv4
            let host = World.identity(cluster: 1, 1)
            let kubelet = Peer(World.outerSource, 50000)
            let server = Peer(family.client, 8080)
            try world.publish(
                PolicyVersion(
                    egress: PolicyVersion.closed(), ingress: PolicyVersion.closed(),
                    toPeers: [PolicyVersion.Peer(identity: host, block: 5): PolicyVersion.open],
                    fromPeers: [PolicyVersion.Peer(identity: host): PolicyVersion.open], blocks: 1))
            try world.addEndpoint(family.client, cluster: 1, policySet: 7)
            func isAsked() throws -> Bool {
                for key in try world.connections.keys() { try world.connections.delete(key) }
                return try world.pass(tcp(kubelet, server, .syn)).action == Action.toHost
            }
            #expect(try isAsked())
            try world.addBlock(Prefix(World.outerSource), 5, generation: 1)
            #expect(try isAsked())
            let former = world.policySets[7]
            world.policySets[7] = 0
            #expect(try isAsked() == false, "a set without a version denies everybody")
            world.policySets[7] = former
        }
    }

    @Test("denies peers that nobody made lists for yet, and says that they are unknown")
    func unknownIdentity() throws {
        try inOwnNamespace {
            let world = try Self.world(
                PolicyVersion(ingress: [
                    Interval(WEFT_POLICY_DENY_UNKNOWN, rule: 4),
                    Interval(IPProtocol.tcp, 80, WEFT_POLICY_ALLOW),
                    Interval(IPProtocol.tcp, 81, WEFT_POLICY_DENY, rule: 5),
                    Interval(IPProtocol.tcp, 82, WEFT_POLICY_DENY_UNKNOWN, rule: 4),
                ]))
            let other = Peer(Self.server.address, 53)
            #expect(
                try world.receive(tcp(Self.remote, Self.server, .syn)).action == Action.redirect)
            #expect(
                try world.receive(tcp(Self.remote, Peer(other.address, 81), .syn)).isSignal)
            #expect(try world.count(WEFT_DROP_UNKNOWN_IDENTITY) == 0)
            #expect(try world.receive(udp(Self.remote, other)).action == Action.drop)
            #expect(try world.count(WEFT_DROP_UNKNOWN_IDENTITY) == 1)
            let event = try #require(try world.takeEvents().last)
            #expect(UInt32(event.type) == WEFT_EVENT_DROPPED.rawValue)
            #expect(event.policy_rule == 4 && event.policy_version == 1)
            #expect(event.source_identity == World.identity(of: Self.remote.address))
            try world.setKnown(event.source_identity, block: 1)
            #expect(try world.receive(udp(Self.remote, other)).action == Action.drop)
            #expect(try world.count(WEFT_DROP_UNKNOWN_IDENTITY) == 2, "known in another block")
            try world.setKnown(event.source_identity)
            #expect(try world.receive(udp(Self.remote, other)).action == Action.drop)
            #expect(try world.count(WEFT_DROP_UNKNOWN_IDENTITY) == 2)
            #expect(try world.count(WEFT_DROP_POLICY_DENIED) == 2)
        }
    }

    @Test("wakes the reader of events when an identity isn't known")
    func wake() throws {
        try inOwnNamespace {
            nonisolated(unsafe) let world = try Self.world(
                PolicyVersion(ingress: [Interval(WEFT_POLICY_DENY_UNKNOWN)]))
            let awake = Atomic(false)
            let reader = Companion {
                let count = try? world.events.poll(timeoutMilliseconds: 20_000) { _ in }
                #expect(count != 0)
                awake.store(true, ordering: .releasing)
            }
            // Few enough to leave the ring nearly empty, whose readers otherwise sleep on.
            let packet = udp(Self.client, Self.server)
            while !awake.load(ordering: .acquiring) {
                #expect(try world.send(packet).action == Action.drop)
                sched_yield()
            }
            reader.join()
        }
    }

    @Test("that isn't there denies: no version, no list, no intervals, lists outside of the map")
    func missing() throws {
        try inOwnNamespace {
            let world = try Self.world(PolicyVersion())
            let packet = udp(Self.client, Self.server)
            var key = weft_policy_peer_key(
                version: 2, identity: WEFT_POLICY_ANYONE, block: 0,
                direction: UInt8(WEFT_INGRESS.rawValue), pad0: 0, pad1: 0)
            let empty = world.addList([])
            let steps: [(String, (World) throws -> Void)] = [
                ("version 0", { $0.policySets[7] = 0 }),
                ("a version without lists", { $0.policySets[7] = 2 }),
                ("an empty list", { try $0.lead(key, to: empty) }),
                ("a list behind the map", { try $0.lead(key, to: 1 << 20) }),
                (
                    "a list that ends behind the map",
                    { world in
                        world.policyIntervals[1 << 20 - 1] = 100
                        try world.lead(key, to: 1 << 20 - 1)
                    }
                ),
                (
                    "a list that is none",
                    { world in
                        let list = world.addList(PolicyVersion.open)
                        world.policyIntervals[Int(list)] = 1 << 32 | 1
                        try world.lead(key, to: list)
                    }
                ),
                (
                    "a number that no set has",
                    { world in
                        try world.addEndpoint(Self.server.address, cluster: 1, policySet: 1 << 16)
                    }
                ),
            ]
            for (what, step) in steps {
                try step(world)
                #expect(try world.send(packet).action == Action.drop, "\(what)")
            }
            try world.addEndpoint(Self.server.address, cluster: 1, policySet: 7)
            try world.lead(key, to: world.addList(PolicyVersion.open))
            #expect(try world.send(packet).action == Action.redirect)
            key.direction = 1
        }
    }

    @Test("denies when an element is another's by the time it is read")
    func garbled() throws {
        try inOwnNamespace {
            let world = try Self.world(PolicyVersion(ingress: PolicyVersion.closed()))
            let list = world.addList(PolicyVersion.open)
            let key = weft_policy_peer_key(
                version: 1, identity: World.identity(of: Self.client.address), block: 0,
                direction: UInt8(WEFT_INGRESS.rawValue), pad0: 0, pad1: 0)
            try world.lead(key, to: list)
            let value = try #require(try world.policyPeers.lookup(key))
            let packet = udp(Self.client, Self.server)
            // Another key's, and halves of this one and another list's.
            for wrong in [value ^ 1 << 40, value &+ UInt64(1), value & 0xffff_ffff] {
                try world.policyPeers.update(key, wrong)
                #expect(try world.send(packet).action == Action.drop)
            }
            try world.policyPeers.update(key, value)
            #expect(try world.send(packet).action == Action.redirect)
        }
    }

    @Test("never keeps an endpoint from itself", arguments: Family.allCases)
    func itself(family: Family) throws {
        try inOwnNamespace {
            let world = try Self.world(
                PolicyVersion(egress: PolicyVersion.closed(), ingress: PolicyVersion.closed()))
            let packet = tcp(Peer(family.neighbour, 1), Peer(family.neighbour, 80), .syn)
            #expect(try world.send(packet).action == Action.redirect)
            // Another node of the cluster has no such endpoint, whatever it says.
            let outer = Address("192.0.2.77")!
            try world.outerSources.update(
                weft_address(outer), weft_outer_source(node: 5, cluster: 1, pad: 0))
            let forged = tcp(Peer(family.neighbour, 2), Peer(family.neighbour, 80), .syn)
            let outcome = try world.receive(
                forged, outer: outer, identity: World.identity(of: family.neighbour))
            #expect(outcome.isSignal)
            #expect(try world.count(WEFT_DROP_POLICY_DENIED) == 1)
        }
    }
}
