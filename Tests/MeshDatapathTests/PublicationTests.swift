// SPDX-License-Identifier: Apache-2.0

import MeshDatapath
import MeshModel
import Testing

@Suite("publishing services")
struct PublicationTests {
    private func datapath(_ capacities: MapCapacities = MapCapacities()) throws -> MemoryDatapath {
        try MemoryDatapath(node: node("n0"), capacities: capacities)
    }

    @Test("what is published is what is read, tiers in order, nodes and clusters live")
    func roundTrip() throws {
        let datapath = try datapath()
        try datapath.apply(
            frontend(
                key(1),
                [slice(2, backends(1, in: 2), tier: 1, weight: 7), slice(1, backends(2, in: 1))],
                affinity: 30))
        let reading = try #require(datapath.service(key(1)))
        #expect(reading.story == ["1:10.1.0.0", "1:10.1.0.1", "2:10.2.0.0"])
        #expect(reading.slices.map(\.tier) == [0, 1])
        #expect(reading.slices.map(\.weight) == [1, 7])
        #expect(reading.sessionAffinitySeconds == 30)
        #expect(reading.generation == 1)
        #expect(reading.slices.allSatisfy { $0.clusterWord.weight == 255 })
        let nodes = reading.slices.flatMap(\.backends)
        #expect(nodes.allSatisfy { $0.nodeWord.weight == 255 && $0.port == 8080 })
        #expect(nodes.map(\.node) == [node("n0"), node("n1"), node("n0", in: 2)])
        #expect(nodes[0].nodeIndex == 0)
    }

    @Test("an unchanged frontend costs no write; a change costs its elements and one store")
    func writes() throws {
        let datapath = try datapath()
        try datapath.apply(frontend(1))
        var before = datapath.writeCount
        try datapath.apply(frontend(1))
        #expect(datapath.writeCount == before)

        let changed = frontend(
            key(1),
            [
                slice(1, backends(2, in: 1, from: 2)), slice(2, backends(3, in: 2, from: 2)),
                slice(3, backends(2, in: 3, from: 2)),
            ])
        before = datapath.writeCount
        try datapath.apply(changed)
        // Of three slices one has other backends: only they are written, and a new list.
        #expect(
            datapath.writeCount.since(before).byMap
                == ["weft_backends": 3, "weft_lists": 4, "weft_services": 1])
        #expect(datapath.service(key(1))?.generation == 2)
    }

    @Test(
        "a changed weight, tier or affinity writes a list and no backend",
        arguments: [(UInt8(0), UInt8(2), UInt32(0)), (1, 1, 0), (0, 1, 60)])
    func listOnly(tier: UInt8, weight: UInt8, affinity: UInt32) throws {
        let datapath = try datapath()
        let members = backends(5, in: 1)
        try datapath.apply(frontend(key(1), [slice(1, members)]))
        let before = datapath.writeCount
        try datapath.apply(
            frontend(key(1), [slice(1, members, tier: tier, weight: weight)], affinity: affinity))
        #expect(
            datapath.writeCount.since(before).byMap == ["weft_lists": 2, "weft_services": 1])
    }

    @Test(
        "a service without backends refuses and keeps its slot; the next backends come back to it")
    func emptied() throws {
        let datapath = try datapath()
        try datapath.apply(frontend(1))
        try datapath.apply(frontend(key(1), []))
        let empty = try #require(datapath.service(key(1)))
        #expect(empty.list == 0)
        #expect(empty.slices.isEmpty)
        let before = datapath.writeCount
        try datapath.apply(frontend(key(1), [slice(1, [])]))
        #expect(datapath.writeCount == before)
        try datapath.apply(frontend(1))
        #expect(datapath.service(key(1))?.slot == empty.slot)
        #expect(datapath.service(key(1))?.story.count == 6)
    }

    @Test("a removed frontend frees all it had; removing it again is success")
    func removal() throws {
        let datapath = try datapath()
        for number in 0..<20 { try datapath.apply(frontend(number)) }
        for number in 0..<20 { try datapath.removeFrontend(key(number)) }
        let before = datapath.writeCount
        try datapath.removeFrontend(key(3))
        #expect(datapath.writeCount == before)
        #expect(datapath.frontendKeys().isEmpty)
        let used = try datapath.mapUsage().filter {
            ["weft_services", "weft_lists", "weft_backends", "weft_frontends"].contains($0.name)
        }
        #expect(used.map(\.entries) == [0, 0, 0, 0])
    }

    @Test("a slot that changes hands goes on with its generation: affinity of the former is void")
    func generations() throws {
        let datapath = try datapath()
        try datapath.apply(frontend(1))
        let slot = try #require(datapath.service(key(1))?.slot)
        try datapath.removeFrontend(key(1))
        try datapath.apply(frontend(2))
        let heir = try #require(datapath.service(key(2)))
        #expect(heir.slot == slot)
        #expect(heir.generation > 1)
    }

    struct Bound: Sendable {
        let map: String
        let capacities: MapCapacities

        init(_ map: String, _ limit: (inout MapCapacities) -> Void) {
            self.map = map
            var capacities = MapCapacities()
            limit(&capacities)
            self.capacities = capacities
        }
    }

    @Test(
        "a full map is named and changes nothing, and room made is room used",
        arguments: [
            Bound("weft_backends") { $0.backends = 13 }, Bound("weft_lists") { $0.lists = 10 },
            Bound("weft_services") { $0.frontends = 2 },
        ])
    func fullMaps(bound: Bound) throws {
        let datapath = try datapath(bound.capacities)
        try datapath.apply(frontend(1))
        try datapath.apply(frontend(2))
        let before = datapath.services()
        let usage = try datapath.mapUsage()
        let error = #expect(throws: DatapathError.self) { try datapath.apply(frontend(3)) }
        #expect(error == .mapFull(map: bound.map, action: "publishing 10.96.0.3:80/TCP"))
        #expect(datapath.services() == before)
        #expect(try datapath.mapUsage() == usage)
        try datapath.removeFrontend(key(1))
        try datapath.apply(frontend(3))
        #expect(datapath.frontendKeys().sorted() == [key(2), key(3)])
    }

    @Test("more clusters or backends than fit are refused by name")
    func bounds() throws {
        let datapath = try datapath()
        let many = (1...33).map { slice($0, backends(1, in: $0)) }
        let error = #expect(throws: DatapathError.self) {
            try datapath.apply(frontend(key(1), many))
        }
        #expect(
            error == .invalid("frontend 10.96.0.1:80/TCP has 33 cluster slices, 32 are possible"))
        #expect(datapath.service(key(1)) == nil)
    }
}

@Suite("one store fails over")
struct FailoverCostTests {
    @Test(
        "a verdict on a cluster or a node is one store, whatever the number of services",
        arguments: [10, 5_000])
    func constantCost(services: Int) throws {
        let datapath = try MemoryDatapath(node: node("n0"))
        for number in 0..<services { try datapath.apply(frontend(number)) }
        var before = datapath.writeCount
        let dead = LivenessWord(verdict: .unreachable, weight: 0, generation: 9)
        datapath.setCluster(cluster(2), dead)
        #expect(datapath.writeCount.since(before).byMap == ["weft_clusters": 1])
        #expect(datapath.service(key(services - 1))?.slices[1].clusterWord == dead)

        before = datapath.writeCount
        datapath.setNode(node("n1", in: 3), dead)
        #expect(datapath.writeCount.since(before).byMap == ["weft_nodes": 1])
        #expect(datapath.service(key(0))?.slices[2].backends[1].nodeWord == dead)
    }

    @Test("a verdict that came before the first service of a cluster or node stays")
    func earlyVerdict() throws {
        let datapath = try MemoryDatapath(node: node("n0"))
        let dead = LivenessWord(verdict: .unreachable, weight: 0, generation: 1)
        datapath.setCluster(cluster(2), dead)
        datapath.setNode(node("n0", in: 2), dead)
        try datapath.apply(frontend(1))
        let slice = try #require(datapath.service(key(1))?.slices[1])
        #expect(slice.clusterWord == dead)
        #expect(slice.backends[0].nodeWord == dead)
        #expect(slice.backends[1].nodeWord.weight == 255)
    }
}
