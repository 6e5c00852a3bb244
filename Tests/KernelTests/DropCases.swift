// SPDX-License-Identifier: Apache-2.0

import BPF
import CMeshABI
import MeshModel

extension DropCase {
    static let all = fromEndpoint + fromOverlay + fromUnderlay + faults

    private static let client = Peer(Family.ipv4.client, 40000)
    private static let neighbour = Peer(Family.ipv4.neighbour, 80)
    private static let remote = Peer(Family.ipv4.remote, 80)
    private static let service = Peer(Family.ipv4.service, 80)

    /// One packet from an endpoint, in a world that was prepared for it.
    private static func sent(
        _ reason: weft_drop_reason, isAnswered: Bool = false, _ packet: [UInt8],
        _ prepare: @escaping @Sendable (World) throws -> Void = { _ in }
    ) -> DropCase {
        DropCase(reason: reason, isAnswered: isAnswered) {
            let world = try World()
            try prepare(world)
            return (world, try world.send(packet))
        }
    }

    private static let fromEndpoint: [DropCase] = [
        sent(WEFT_DROP_MALFORMED, Array(tcp(client, neighbour, .syn).prefix(14 + 20 + 10))),
        sent(
            WEFT_DROP_UNKNOWN_PROTOCOL,
            MAC.host + MAC.workload + [0x88, 0xcc] + [UInt8](repeating: 0, count: 46)),
        sent(
            WEFT_DROP_FRAGMENT,
            ipPacket(
                from: client.address, to: neighbour.address, transport: IPProtocol.udp,
                fragment: 100, [UInt8](repeating: 0, count: 32))),
        sent(WEFT_DROP_INVALID_SOURCE, udp(remote, neighbour)),
        sent(WEFT_DROP_ISOLATED, udp(client, neighbour)) { world in
            try world.addEndpoint(client.address, cluster: 1, flags: WEFT_ENDPOINT_ISOLATED)
        },
        sent(WEFT_DROP_NO_ENDPOINT, udp(client, Peer("10.2.0.250", 1))),
        sent(WEFT_DROP_NO_BACKEND, isAnswered: true, tcp(client, service, .syn)) { world in
            try world.addService(service, [])
        },
        sent(WEFT_DROP_NO_TUNNEL, udp(client, remote)) { world in
            world.tunnels[20] = weft_tunnel()
        },
        sent(WEFT_DROP_POLICY_DENIED, udp(client, neighbour)) { world in
            try world.addEndpoint(neighbour.address, cluster: 1, policySet: 7)
        },
        sent(
            WEFT_DROP_TOO_BIG, isAnswered: true,
            udp(client, remote, payload: [UInt8](repeating: 0, count: 1430))),
        sent(WEFT_DROP_PEER_DEAD, isAnswered: true, tcp(client, remote, .ack)) { world in
            _ = try world.send(tcp(client, remote, .syn))
            world.setCluster(2, .unreachable, generation: 2)
        },
        sent(WEFT_DROP_TTL_EXCEEDED, udp(client, neighbour, hopLimit: 1)),
        sent(WEFT_DROP_UNSUPPORTED_TRANSPORT, udp(client, service)) { world in
            try world.addService(service, [World.Slice(cluster: 2, backends: [remote])])
        },
        sent(WEFT_DROP_UNKNOWN_IDENTITY, udp(client, neighbour)) { world in
            try world.addEndpoint(neighbour.address, cluster: 1, policySet: 7)
            try world.publish(PolicyVersion(ingress: [Interval(WEFT_POLICY_DENY_UNKNOWN)]))
        },
        sent(WEFT_DROP_INVALID_ARP, arp(sender: remote.address, target: Address("169.254.1.1")!)),
    ]

    /// One packet from cluster 2, in a world that was prepared for it.
    private static func received(
        _ reason: weft_drop_reason, from source: Peer = remote, to destination: Peer = client,
        outer: Address? = World.outer(cluster: 2),
        identity: UInt32 = World.identity(cluster: 2, 300),
        groupPolicy: UInt32? = nil, _ prepare: @escaping @Sendable (World) throws -> Void = { _ in }
    ) -> DropCase {
        DropCase(reason: reason) {
            let world = try World.withOverlay()
            try prepare(world)
            let outcome = try world.receive(
                udp(source, destination), outer: outer, identity: identity,
                groupPolicy: groupPolicy)
            return (world, outcome)
        }
    }

    private static let fromOverlay: [DropCase] = [
        received(WEFT_DROP_NO_IDENTITY, outer: nil),
        received(WEFT_DROP_NO_IDENTITY, groupPolicy: 0x4000),
        received(WEFT_DROP_UNKNOWN_NODE, outer: Address("192.0.2.77")!),
        received(WEFT_DROP_FOREIGN_IDENTITY, identity: World.identity(cluster: 3, 300)),
        received(WEFT_DROP_FOREIGN_SOURCE, from: Peer("10.3.0.2", 1)) { world in
            try world.settings.update(
                2,
                weft_cluster_settings(
                    cluster: 2, source_check: UInt8(WEFT_SOURCE_CHECK_PREFIXES.rawValue), pad: 0))
        },
        received(WEFT_DROP_NOT_LOCAL, to: Peer(Family.ipv4.address(cluster: 3, host: 2), 1)),
        received(WEFT_DROP_POLICY_DENIED) { world in
            try world.addEndpoint(client.address, cluster: 1, policySet: 7)
        },
        received(WEFT_DROP_ISOLATED) { world in
            try world.addEndpoint(client.address, cluster: 1, flags: WEFT_ENDPOINT_ISOLATED)
        },
        DropCase(reason: WEFT_DROP_STRAY_DENIAL) {
            let world = try World.withOverlay()
            let identity = World.identity(cluster: 2, 300)
            return (
                world,
                try world.receive(
                    tcp(remote, client, .rst), outer: World.outer(cluster: 2), identity: identity,
                    groupPolicy: 0xe000 | identity >> 24)
            )
        },
        DropCase(reason: WEFT_DROP_BEAT_LOST) {
            let world = try World.withOverlay()
            var outcome = try world.receive(beat: [1])
            while try world.count(WEFT_DROP_BEAT_LOST) == 0 {
                outcome = try world.receive(beat: [1])
            }
            return (world, outcome)
        },
    ]

    private static let fromUnderlay = [
        DropCase(reason: WEFT_DROP_PROBE_RATE) {
            let responder = try Responder(.ipv4)
            var outcome = try responder.receive(responder.probe())
            while outcome.action == Action.redirect {
                outcome = try responder.receive(responder.probe())
            }
            return (responder.world, outcome)
        }
    ]

    /// A kernel that refuses what it is asked for (bpf/tests/faults.c).
    private static let faults: [DropCase] = [
        DropCase(reason: WEFT_DROP_ENCAPSULATION_FAILED) {
            let world = try World(test: "faults")
            return (world, try world.send(udp(client, remote)))
        },
        DropCase(reason: WEFT_DROP_CONNECTION_TABLE_FULL) {
            let world = try World(test: "faults", connections: 1)
            try world.addService(service, [World.Slice(cluster: 1, backends: [neighbour])])
            return (world, try world.send(tcp(client, service, .syn)))
        },
        DropCase(reason: WEFT_DROP_REWRITE_FAILED) {
            let world = try World(test: "faults")
            try world.addService(service, [World.Slice(cluster: 1, backends: [neighbour])])
            return (world, try world.send(tcp(client, service, .syn)))
        },
    ]
}
