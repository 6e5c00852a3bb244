// SPDX-License-Identifier: Apache-2.0

import BPF
import CMeshABI
import KernelTestSupport
import MeshModel
import Testing

@Suite("The choice of a backend", .tags(.kernel))
struct SelectionTests {
    private static let family = Family.ipv4
    private static let frontend = Peer(family.service, 80)

    /// A backend that is an endpoint of its cluster.
    private static func backend(_ cluster: Int, _ host: Int) -> Peer {
        Peer(family.address(cluster: cluster, host: host), 8080)
    }

    /// Opens connections to the service and counts where they went.
    private static func shares(
        _ world: World, connections: Int, from port: UInt16 = 1024
    ) throws -> [Address: Int] {
        var shares: [Address: Int] = [:]
        for index in 0..<connections {
            let outcome = try world.send(
                tcp(Peer(family.client, port + UInt16(index)), frontend, .syn))
            if outcome.packet.source == family.client {
                shares[outcome.packet.destination, default: 0] += 1
            }
        }
        return shares
    }

    @Test("is by weight: the slice's times the cluster's")
    func weights() throws {
        try inOwnNamespace {
            let world = try World(connections: 8192)
            world.setCluster(3, .probation, weight: 85)
            try world.addService(
                Self.frontend,
                [
                    World.Slice(cluster: 1, weight: 2, backends: [Self.backend(1, 3)]),
                    World.Slice(cluster: 2, weight: 1, backends: [Self.backend(2, 2)]),
                    World.Slice(cluster: 3, weight: 3, backends: [Self.backend(3, 2)]),
                ])
            // 2 × 255 to 1 × 255 to 3 × 85: a half, a quarter, a quarter. Six standard deviations.
            let shares = try Self.shares(world, connections: 2000)
            #expect(abs(shares[Self.backend(1, 3).address, default: 0] - 1000) < 135)
            #expect(abs(shares[Self.backend(2, 2).address, default: 0] - 500) < 117)
            #expect(abs(shares[Self.backend(3, 2).address, default: 0] - 500) < 117)
        }
    }

    @Test("is even among the backends of a cluster")
    func evenBackends() throws {
        try inOwnNamespace {
            let world = try World(connections: 8192)
            for host in 10..<18 {
                try world.addEndpoint(Self.backend(2, host).address, cluster: 2)
            }
            try world.addService(
                Self.frontend,
                [World.Slice(cluster: 2, backends: (10..<18).map { Self.backend(2, $0) })])
            let shares = try Self.shares(world, connections: 1600)
            #expect(shares.count == 8)
            #expect(shares.values.allSatisfy { abs($0 - 200) < 80 })
        }
    }

    @Test("stays in the lowest tier that has a live cluster")
    func tiers() throws {
        try inOwnNamespace {
            let world = try World()
            try world.addService(
                Self.frontend,
                [
                    World.Slice(cluster: 1, tier: 0, backends: [Self.backend(1, 3)]),
                    World.Slice(cluster: 2, tier: 1, backends: [Self.backend(2, 2)]),
                    World.Slice(cluster: 3, tier: 2, backends: [Self.backend(3, 2)]),
                ])
            #expect(try Self.shares(world, connections: 50) == [Self.backend(1, 3).address: 50])
            world.setCluster(1, .draining)
            #expect(
                try Self.shares(world, connections: 50, from: 2000)
                    == [Self.backend(2, 2).address: 50])
            world.setCluster(2, .suspect)
            #expect(
                try Self.shares(world, connections: 50, from: 3000)
                    == [Self.backend(3, 2).address: 50])
            world.setCluster(1, .up)
            #expect(
                try Self.shares(world, connections: 50, from: 4000)
                    == [Self.backend(1, 3).address: 50])
            #expect(try world.count(WEFT_COUNTER_LAST_RESORT) == 0)
        }
    }

    @Test("avoids dead nodes, and finds the one backend that lives among a thousand")
    func deadNodes() throws {
        try inOwnNamespace {
            let world = try World()
            world.setNode(20, .unreachable)
            world.setNode(21, .up)
            world.tunnels[21] = world.tunnels[20]
            let alive = Self.backend(2, 77)
            try world.addEndpoint(alive.address, cluster: 2, node: 21)
            var backends = (0..<1000).map { Peer(Address("10.2.\(1 + $0 / 200).\($0 % 200)")!, 80) }
            backends[613] = alive
            var nodes = [Int](repeating: 20, count: 1000)
            nodes[613] = 21
            try world.addService(
                Self.frontend, [World.Slice(cluster: 2, backends: backends, nodes: nodes)])
            #expect(try Self.shares(world, connections: 40) == [alive.address: 40])
        }
    }

    @Test("goes on to the next cluster when all nodes of one are dead")
    func deadCluster() throws {
        try inOwnNamespace {
            let world = try World()
            world.setNode(20, .unreachable)
            try world.addService(
                Self.frontend,
                [
                    World.Slice(cluster: 2, weight: 255, backends: [Self.backend(2, 2)]),
                    World.Slice(cluster: 3, backends: [Self.backend(3, 2)]),
                ])
            #expect(try Self.shares(world, connections: 40) == [Self.backend(3, 2).address: 40])
        }
    }

    @Test("never leaves a service without its last cluster, and prefers one that may be alive")
    func lastCluster() throws {
        try inOwnNamespace {
            let world = try World()
            try world.addService(
                Self.frontend,
                [
                    World.Slice(cluster: 2, backends: [Self.backend(2, 2)]),
                    World.Slice(cluster: 3, tier: 1, backends: [Self.backend(3, 2)]),
                ])
            world.setCluster(2, .unreachable)
            world.setCluster(3, .suspect)
            #expect(try Self.shares(world, connections: 20) == [Self.backend(3, 2).address: 20])
            world.setCluster(3, .unreachable)
            #expect(
                try Self.shares(world, connections: 20, from: 2000)
                    == [Self.backend(2, 2).address: 20])
            #expect(try world.count(WEFT_COUNTER_LAST_RESORT) == 40)
        }
    }

    @Test("avoids a node that leaves while there is a backend elsewhere, and only then")
    func leavingNode() throws {
        try inOwnNamespace {
            let world = try World()
            world.tunnels[21] = world.tunnels[20]
            let (leaving, staying) = (Self.backend(2, 77), Self.backend(2, 78))
            try world.addEndpoint(leaving.address, cluster: 2, node: 21)
            try world.addEndpoint(staying.address, cluster: 2, node: 20)
            try world.addService(
                Self.frontend,
                [
                    World.Slice(cluster: 2, backends: [leaving, staying], nodes: [21, 20]),
                    World.Slice(cluster: 3, tier: 1, backends: [Self.backend(3, 2)]),
                ])
            world.setNode(21, .draining)
            #expect(try Self.shares(world, connections: 40) == [staying.address: 40])
            // The next tier comes before it.
            world.setNode(20, .unreachable)
            #expect(
                try Self.shares(world, connections: 20, from: 2000)
                    == [Self.backend(3, 2).address: 20])
            #expect(try world.count(WEFT_COUNTER_LAST_RESORT) == 0)
            try world.addService(
                Self.frontend, generation: 2,
                [World.Slice(cluster: 2, backends: [leaving, staying], nodes: [21, 20])])
            #expect(
                try Self.shares(world, connections: 20, from: 3000) == [leaving.address: 20])
            #expect(try world.count(WEFT_COUNTER_LAST_RESORT) == 20)
        }
    }

    @Test("finds a way through thirty-two clusters")
    func manyClusters() throws {
        try inOwnNamespace {
            let world = try World()
            var slices: [World.Slice] = []
            for cluster in 100..<131 {
                world.setCluster(cluster, .up)
                slices.append(
                    World.Slice(
                        cluster: cluster, tier: UInt8((cluster - 100) / 8),
                        backends: [Peer("10.200.0.\(cluster)", 80)], nodes: [999]))
            }
            slices.append(World.Slice(cluster: 3, tier: 9, backends: [Self.backend(3, 2)]))
            try world.addService(Self.frontend, slices)
            #expect(try Self.shares(world, connections: 10) == [Self.backend(3, 2).address: 10])
        }
    }

    @Test("is the same for a client with session affinity, while its backend lives")
    func affinity() throws {
        try inOwnNamespace {
            let world = try World()
            let hosts = 10..<20
            for host in hosts { try world.addEndpoint(Self.backend(2, host).address, cluster: 2) }
            let all = hosts.map { Self.backend(2, $0) }
            try world.addService(
                Self.frontend, affinitySeconds: 600, [World.Slice(cluster: 2, backends: all)])
            let first = try Self.shares(world, connections: 30)
            let chosen = try #require(first.keys.first)
            #expect(first.count == 1)
            // Another list with other indexes: the same backend.
            try world.addService(
                Self.frontend, affinitySeconds: 600, generation: 2,
                [World.Slice(cluster: 2, backends: all.reversed())])
            #expect(try Self.shares(world, connections: 30, from: 2000) == [chosen: 30])
            // A list without it: another one, and again the same.
            try world.addService(
                Self.frontend, affinitySeconds: 600, generation: 3,
                [World.Slice(cluster: 2, backends: all.filter { $0.address != chosen })])
            let third = try Self.shares(world, connections: 30, from: 3000)
            #expect(third.count == 1 && third[chosen] == nil)
            // Dead: refused rather than sent there.
            world.setNode(20, .unreachable, generation: 2)
            #expect(try Self.shares(world, connections: 5, from: 4000).isEmpty)
        }
    }
}
