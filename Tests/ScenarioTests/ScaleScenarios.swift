// SPDX-License-Identifier: Apache-2.0

import MeshDatapath
import MeshModel
import Testing

@Suite("Very many services")
struct ScaleScenarios {
    @Test(
        "a verdict on a cluster costs one store, whatever the number of services",
        arguments: [10, 5_000])
    func oneStore(count: Int) throws {
        let world = try World(clusters: 2, nodesPerCluster: 1)
        for number in UInt16(1)...2 {
            let text = (0..<count).map { index in
                let low = "\(index / 250).\(index % 250 + 1)"
                return service("s\(index)", ip: "10.96.\(low)")
                    + slice(name: "s\(index)-1", of: "s\(index)", at("10.\(number).\(low)"))
            }
            try world.write(number, text.joined())
        }
        try world.run(for: .milliseconds(1200))
        let datapath = world.node(1, "a").datapath
        let services = datapath.services()
        #expect(services.count == count)
        #expect(services.allSatisfy { $0.slices.map(\.cluster) == [cluster(1), cluster(2)] })

        let before = datapath.writeCount
        datapath.setCluster(
            cluster(2), LivenessWord(verdict: .unreachable, weight: 0, generation: 1))
        #expect(datapath.writeCount.since(before).byMap == ["weft_clusters": 1])
        // Every service sees it.
        #expect(datapath.services().allSatisfy { $0.slices[1].clusterWord.weight == 0 })

        // A change of one service writes that one only: two backends' worth at most.
        let change = datapath.writeCount
        try world.write(2, slice(name: "s3-2", of: "s3", at("10.2.200.1")), to: "one.yaml")
        try world.run(for: .milliseconds(100))
        #expect(datapath.writeCount.since(change).total <= 8)
        #expect(world.frontend(1, "a", "10.96.0.4")?.last?.contains("10.2.200.1") == true)
    }
}
