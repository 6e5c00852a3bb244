// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes
import MeshModel
import MeshReplication
import MeshStore
import MeshTransport
import Testing

@testable import MeshAgent

private func peer(
    _ number: UInt16, named name: String? = nil, _ prefixes: String...
) -> PeerCluster {
    PeerCluster(
        name: ClusterName(rawValue: name ?? "c\(number)")!, id: cluster(number), addresses: [],
        bundle: "", podPrefixes: prefixes.map { Prefix($0)! })
}

private func echo(in world: World, clusters: ClosedRange<UInt16> = 1...2) throws {
    for number in clusters {
        try world.write(number, service() + slice(at("10.\(number).0.1")))
        world.attach(number, "a", "echo", "10.\(number).0.1")
    }
}

@Suite("Clusters that come, change and go while agents run")
struct PeerScenarios {
    @Test("a cluster that comes is imported as if it had always been there")
    func comes() throws {
        let world = try World(clusters: 2)
        for number in UInt16(1)...2 { world.setPeers(number, []) }
        try echo(in: world)
        try world.run(for: .seconds(2))
        #expect(world.frontend(1, "b") == ["0.1*255 10.1.0.1:8080@a"])

        world.setPeers(1, [peer(2, "10.2.0.0/16")])
        world.setPeers(2, [peer(1, "10.1.0.0/16")])
        try world.run(for: .seconds(1))
        for number in UInt16(1)...2 {
            #expect(
                world.frontend(number, "b") == [
                    "0.1*255 10.1.0.1:8080@a", "0.2*255 10.2.0.1:8080@a",
                ])
            #expect(world.endpoints(number, "b") == ["10.1.0.1", "10.2.0.1"])
        }
    }

    @Test("of a cluster that goes nothing is left, here; it may come again")
    func goes() throws {
        let world = try World(clusters: 2)
        try echo(in: world)
        try world.run(for: .seconds(2))
        #expect(world.frontend(1, "b")?.count == 2)

        world.setPeers(1, [])
        try world.run(for: .seconds(1))
        #expect(world.frontend(1, "b") == ["0.1*255 10.1.0.1:8080@a"])
        #expect(world.endpoints(1, "b") == ["10.1.0.1"])
        let core = world.core(1, "b")
        #expect(core.store.read { $0.nodes.rows.map(\.id.cluster.rawValue) } == [1, 1])
        #expect(core.store.read { $0.clusters.rows.map(\.id.rawValue) } == [1])
        #expect(core.tables.clustersInUse.isEmpty)
        #expect(core.synchroniser.owners == [cluster(1)])
        #expect(!world.node(1, "b").ledgers.contents.map(\.owner).contains(cluster(2)))
        #expect(world.frontend(2, "b")?.count == 2)

        world.setPeers(1, [peer(2, "10.2.0.0/16")])
        try world.run(for: .seconds(1))
        #expect(world.frontend(1, "b")?.count == 2)
    }

    @Test("what a narrower charter doesn't allow goes, and comes back with a wider one")
    func charter() throws {
        let world = try World(clusters: 2)
        try echo(in: world)
        try world.run(for: .seconds(2))
        world.setPeers(1, [peer(2, "10.2.128.0/17")])
        try world.run(for: .seconds(1))
        #expect(world.frontend(1, "b") == ["0.1*255 10.1.0.1:8080@a"])
        #expect(world.endpoints(1, "b") == ["10.1.0.1"])
        #expect(world.core(1, "b").refusals[cluster(2)]?["endpoint/default/echo"] != nil)

        world.setPeers(1, [peer(2, "10.2.0.0/16")])
        try world.run(for: .seconds(1))
        #expect(world.frontend(1, "b")?.count == 2)
        #expect(world.endpoints(1, "b") == ["10.1.0.1", "10.2.0.1"])
        #expect(world.core(1, "b").refusals[cluster(2)]?.isEmpty != false)
    }

    @Test("another name under an ID is another cluster: what the former announced goes")
    func renamed() throws {
        let world = try World(clusters: 2)
        try echo(in: world)
        try world.run(for: .seconds(2))
        world.isolate(2, "a", true)
        world.isolate(2, "b", true)
        world.setPeers(1, [peer(2, named: "other", "10.2.0.0/16")])
        try world.run(for: .seconds(1))
        #expect(world.frontend(1, "b") == ["0.1*255 10.1.0.1:8080@a"])
        #expect(world.core(1, "b").store.read { $0.clusters[cluster(2)]?.name.rawValue } == "other")
    }

    @Test("a peer's other addresses change nothing that it announced")
    func addresses() throws {
        let world = try World(clusters: 2)
        try echo(in: world)
        try world.run(for: .seconds(2))
        let before = world.core(1, "b").synchroniser.head(of: cluster(2))
        world.setPeers(
            1,
            [
                PeerCluster(
                    name: ClusterName(rawValue: "c2")!, id: cluster(2),
                    addresses: [.init(address: Address("192.0.2.99")!, port: 4790)], bundle: "",
                    podPrefixes: [Prefix("10.2.0.0/16")!])
            ])
        try world.run(for: .milliseconds(100)) {
            #expect(world.frontend(1, "b")?.count == 2)
        }
        #expect(world.core(1, "b").synchroniser.head(of: cluster(2)) == before)
    }
}
