// SPDX-License-Identifier: Apache-2.0

import CMeshABI
import MeshModel
import MeshStore
import Testing

@testable import MeshDatapath

private func address(_ text: String) -> Address { Address(text)! }

@Suite("nodes, endpoints and prefixes")
struct NodeTests {
    /// Maps that outlive the datapath, as pinned ones do.
    private final class World {
        let writes = WriteCounter()
        let storage: Storage
        let datapath: Twin

        init() throws {
            storage = .inMemory(MapCapacities(), writes)
            datapath = try Twin(storage, local: node("n0"), writes)
        }

        func restarted(as local: NodeID = node("n0")) throws -> Twin {
            try Twin(storage, local: local, writes)
        }

        func sources() throws -> [Address: UInt32] {
            Dictionary(
                uniqueKeysWithValues: try storage.outerSources.elements().map {
                    (Address($0.key), $0.value.node)
                })
        }
    }

    @Test("a changed outer address is added before the tunnel moves and the old one goes")
    func addressChange() throws {
        let world = try World()
        let peer = node("n1", in: 2)
        try world.datapath.applyNode(
            NodeTunnel(id: peer, outerAddresses: [address("192.0.2.1")], mtu: 1450))
        try world.datapath.applyNode(
            NodeTunnel(
                id: peer, outerAddresses: [address("2001:db8::1"), address("192.0.2.1")],
                mtu: 1450))
        #expect(try world.sources() == [address("2001:db8::1"): 1, address("192.0.2.1"): 1])
        try world.datapath.applyNode(
            NodeTunnel(id: peer, outerAddresses: [address("2001:db8::1")], mtu: 1450))
        #expect(try world.sources() == [address("2001:db8::1"): 1])
        let tunnel = try world.storage.tunnels.load(1)
        #expect(Address(tunnel.address) == address("2001:db8::1"))
        #expect(tunnel.cluster == 2)
        let before = world.writes.counts
        try world.datapath.applyNode(
            NodeTunnel(id: peer, outerAddresses: [address("2001:db8::1")], mtu: 1450))
        #expect(world.writes.counts == before)
    }

    @Test("open flows see a new generation when the tunnel moves, and still see a death after it")
    func movedTunnel() throws {
        let world = try World()
        let peer = node("n1", in: 2)
        func move(to text: String) throws -> LivenessWord {
            try world.datapath.applyNode(NodeTunnel(id: peer, outerAddresses: [address(text)]))
            return LivenessWord(rawValue: world.storage.nodes.word(at: 1))
        }
        _ = try move(to: "192.0.2.1")
        let up = LivenessWord(verdict: .up, weight: 255, generation: 3)
        world.datapath.setNode(peer, up)
        let before = LivenessWord(rawValue: world.storage.nodes.word(at: 1))
        let after = try move(to: "192.0.2.2")
        #expect(after.generation != before.generation)
        #expect(after.verdict == .up && after.weight == 255)
        #expect(world.datapath.nodeWord(peer) == up)
        #expect(try move(to: "192.0.2.2") == after)
        // Health counts on from what it stored, which must not meet what flows remember.
        world.datapath.setNode(peer, LivenessWord(verdict: .unreachable, weight: 0, generation: 4))
        let dead = LivenessWord(rawValue: world.storage.nodes.word(at: 1))
        #expect(![before.generation, after.generation].contains(dead.generation))
        try world.datapath.removeNode(peer)
        #expect(try move(to: "192.0.2.3").generation != dead.generation)
        // Whoever restarts goes on from the kernel's word.
        let raw = LivenessWord(rawValue: world.storage.nodes.word(at: 1))
        #expect(try world.restarted().nodeWord(peer) == raw)
    }

    @Test("a removed node loses its tunnel and sources, and finds its index again")
    func removal() throws {
        let world = try World()
        let peer = node("n1", in: 2)
        let tunnel = NodeTunnel(id: peer, outerAddresses: [address("192.0.2.1")])
        try world.datapath.applyNode(tunnel)
        #expect(world.datapath.nodes() == [peer])
        try world.datapath.removeNode(peer)
        try world.datapath.removeNode(peer)
        try world.datapath.removeNode(node("never-seen"))
        #expect(world.datapath.nodes().isEmpty)
        #expect(try world.sources().isEmpty)
        #expect(try isSame(world.storage.tunnels.load(1), weft_tunnel()))
        try world.datapath.applyNode(tunnel)
        #expect(try world.sources() == [address("192.0.2.1"): 1])
    }

    @Test("no address and more than eight are refused", arguments: [0, 9])
    func addressBounds(count: Int) throws {
        let world = try World()
        let addresses = (0..<count).map { Address(ipv4: 0xc000_0200 + UInt32($0)) }
        #expect(throws: DatapathError.self) {
            try world.datapath.applyNode(
                NodeTunnel(id: node("n1"), outerAddresses: addresses))
        }
    }

    @Test("a restarted agent agrees on indexes, words and slots, and writes nothing")
    func restart() throws {
        let world = try World()
        try world.datapath.applyNode(
            NodeTunnel(id: node("n1", in: 2), outerAddresses: [address("192.0.2.1")]))
        for number in 0..<50 { try world.datapath.apply(frontend(number)) }
        for number in 0..<25 { try world.datapath.removeFrontend(key(number)) }
        let dead = LivenessWord(verdict: .unreachable, weight: 0, generation: 3)
        world.datapath.setCluster(cluster(3), dead)
        let services = world.datapath.services()
        let usage = try world.datapath.mapUsage()
        let before = world.writes.counts

        let heir = try world.restarted()
        #expect(world.writes.counts == before)
        #expect(heir.services() == services)
        #expect(try heir.mapUsage() == usage)
        #expect(heir.nodes() == [node("n1", in: 2)])
        #expect(heir.clusterWord(cluster(3)) == dead)
        for number in 25..<50 { try heir.apply(frontend(number)) }
        #expect(world.writes.counts == before)
        try heir.apply(frontend(99))
        #expect(Set(heir.services().map(\.slot)).count == 26)
    }

    @Test(
        "after a restart, memory of two frontends in one place is nobody's until it is written anew"
    )
    func damage() throws {
        let world = try World()
        try world.datapath.apply(frontend(1))
        try world.datapath.apply(frontend(2))
        let slots = world.datapath.services().map(\.slot)
        let word = world.storage.services.word(at: Int(slots[0]))
        world.storage.services.publish(word, at: Int(slots[1]))
        world.storage.services.publish(0x7fff_ffff, at: Int(slots[0]))

        let heir = try world.restarted()
        #expect(heir.services().map { $0.story.count }.sorted() == [0, 6])
        try heir.apply(frontend(1))
        try heir.apply(frontend(2))
        #expect(heir.service(key(1))?.story == world.datapath.service(key(1))?.story)
        let ranges = try heir.mapUsage().first { $0.name == "weft_backends" }
        #expect(ranges?.entries == 12)
    }

    @Test("the local node is index 0, whatever it was called before")
    func renamed() throws {
        let world = try World()
        try world.datapath.apply(frontend(1))
        let heir = try world.restarted(as: node("n1"))
        #expect(heir.node(at: 0) == node("n1"))
        let again = try world.restarted(as: node("n1"))
        #expect(again.node(at: 0) == node("n1"))
        try again.apply(frontend(1))
        #expect(again.service(key(1))?.slices[0].backends[1].nodeIndex == 0)
    }

    @Test("an endpoint is written once, byte for byte, and not again")
    func endpoints() throws {
        let world = try World()
        let mac = LinkAddress(bytes: [0x02, 0x11, 0x22, 0x33, 0x44, 0x55])!
        let entry = EndpointEntry(
            address: address("10.1.0.7"), identity: Identity(cluster: cluster(1), local: 300)!,
            node: node("n0"), local: LocalInterface(ifindex: 42, mac: mac), isIsolated: true)
        try world.datapath.apply(entry)
        let before = world.writes.counts
        try world.datapath.apply(entry)
        #expect(world.writes.counts == before)
        let value = try #require(
            try world.storage.endpoints.lookup(weft_address(address("10.1.0.7"))))
        let bytes = withUnsafeBytes(of: value) { Array($0) }
        #expect(
            bytes == [
                0x2c, 0x01, 0x10, 0x00,  // identity 1:300
                0, 0, 0, 0,  // node
                0, 0, 0, 0,  // policy set
                42, 0, 0, 0,  // interface
                0x02, 0x11, 0x22, 0x33, 0x44, 0x55,  // MAC
                3, 0,  // local, isolated
            ])
        #expect(try world.datapath.endpointAddresses() == [address("10.1.0.7")])
        try world.datapath.removeEndpoint(address("10.1.0.7"))
        try world.datapath.removeEndpoint(address("10.1.0.7"))
        #expect(try world.datapath.endpointAddresses() == [])
    }

    @Test("endpoints are counted once, and then kept count of")
    func endpointCount() throws {
        let datapath = try World().datapath
        func entry(_ host: Int, _ local: UInt32 = 300) -> EndpointEntry {
            EndpointEntry(
                address: address("10.1.0.\(host)"),
                identity: Identity(cluster: cluster(1), local: local)!, node: node("n0"), local: nil
            )
        }
        func expectCount() throws {
            let usage = try datapath.mapUsage().first { $0.name == "weft_endpoints" }
            #expect(try usage?.entries == datapath.endpointAddresses().count)
        }
        #expect(datapath.apply((1...5).map { entry($0) }).isEmpty)
        try expectCount()
        // Some are new, some change, some are as they were.
        #expect(datapath.apply((3...8).map { entry($0, $0 == 4 ? 301 : 300) }).isEmpty)
        try expectCount()
        for host in [1, 1, 8, 9] { try datapath.removeEndpoint(address("10.1.0.\(host)")) }
        try expectCount()
        #expect(try datapath.endpointAddresses().count == 6)
    }

    @Test("prefixes follow their list; one that is another cluster's is refused")
    func prefixes() throws {
        let world = try World()
        let first = Prefix("10.1.0.0/16")!
        let second = Prefix("fd00:1::/64")!
        try world.datapath.applyPrefixes(cluster(1), [first, second], .node)
        #expect(throws: DatapathError.self) {
            try world.datapath.applyPrefixes(cluster(2), [first], .node)
        }
        #expect(world.datapath.clustersWithPrefixes() == [cluster(1)])
        try world.datapath.applyPrefixes(cluster(1), [second], .clusterPrefixes)
        let held = try world.storage.prefixes.elements()
        #expect(held.map { Prefix($0.key) } == [second])
        #expect(held.map(\.value.source_check) == [1])
        #expect(try world.storage.clusterSettings.load(1).source_check == 1)
        try world.restarted().removePrefixes(cluster(1))
        #expect(try world.storage.prefixes.elements().isEmpty)
        #expect(try world.storage.clusterSettings.load(1).cluster == 0)
    }
}

/// A datapath over maps that the test holds.
private final class Twin: Datapath {
    let core: DatapathCore

    init(_ storage: Storage, local: NodeID, _ writes: WriteCounter) throws(DatapathError) {
        core = try DatapathCore(storage, local: local, writes: writes, reclamation: .immediate)
    }

    func attach(endpointInterface interface: UInt32) {}
    func detach(endpointInterface interface: UInt32) {}
    func isAttached(endpointInterface interface: UInt32) -> Bool { true }
    func counters() -> [CounterReading] { [] }
    func connections(
        limit: Int, where isWanted: (ConnectionReading) -> Bool
    ) -> [ConnectionReading] { [] }
    func connection(
        _ one: FlowAddress, _ other: FlowAddress, over transport: UInt8
    ) -> ConnectionReading? { nil }
    var eventDescriptor: Int32? { nil }
    func consumeEvents(_ body: (FlowEvent) -> Void) -> Int { 0 }
    func mapUsage() throws(DatapathError) -> [MapReading] { try core.mapUsage() }
}
