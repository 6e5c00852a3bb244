// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes
import MeshModel
import MeshStore
import Testing

@Suite("A service that prefers near backends")
struct TrafficDistributionTests {
    private static let name = ObjectName(namespace: "shop", name: "web")

    private static func node(_ cluster: UInt16, _ name: String) -> NodeID {
        NodeID(cluster: ClusterID(rawValue: cluster)!, name: name)!
    }

    private static func service(_ distribution: TrafficDistribution) -> ServiceRecord {
        ServiceRecord(
            object: name, addresses: [Address("10.96.0.1")!],
            ports: [ServicePort(name: "", transport: .tcp, port: 80)], isGlobal: true,
            isShared: true, affinity: .none, sessionAffinitySeconds: 0, distribution: distribution)
    }

    private static func slice(_ endpoints: [(address: String, node: String)]) -> SliceRecord {
        SliceRecord(
            object: name, service: name.name,
            ports: [ServicePort(name: "", transport: .tcp, port: 8080)],
            endpoints: endpoints.map {
                SliceEndpoint(
                    addresses: [Address($0.address)!], isReady: true, isServing: true,
                    isTerminating: false, node: $0.node)
            })
    }

    /// Two nodes of the own cluster in two zones, and one of another cluster in the first zone.
    private static func merger(_ distribution: TrafficDistribution) -> ServiceMerger {
        var merger = ServiceMerger(own: ClusterID(rawValue: 1)!, node: node(1, "a"))
        let endpoints: [UInt16: [(String, String)]] = [
            1: [("10.1.0.1", "a"), ("10.1.1.1", "b")], 2: [("10.2.0.1", "x")],
        ]
        for (number, endpoints) in endpoints {
            let cluster = ClusterID(rawValue: number)!
            _ = merger.update([
                ServiceChange(cluster: cluster, .service(service(distribution))),
                ServiceChange(cluster: cluster, .slice(slice(endpoints))),
            ])
        }
        return merger
    }

    private static let zones = [
        node(1, "a"): "east", node(1, "b"): "west", node(2, "x"): "east",
    ]

    private static func story(_ merger: ServiceMerger) -> [String] {
        merger.frontends.flatMap(\.slices).map { slice in
            "\(slice.tier).\(slice.cluster.rawValue) "
                + slice.backends.map { "\($0.address)" }.joined(separator: " ")
        }
    }

    @Test(
        "has those first that are in its zone, in whatever cluster, or on its node",
        arguments: [
            (TrafficDistribution.anywhere, ["0.1 10.1.0.1 10.1.1.1", "0.2 10.2.0.1"]),
            (.sameZone, ["1.1 10.1.0.1", "1.2 10.2.0.1", "2.1 10.1.1.1"]),
            (.sameNode, ["0.1 10.1.0.1", "1.2 10.2.0.1", "2.1 10.1.1.1"]),
        ])
    func near(_ distribution: TrafficDistribution, _ expected: [String]) {
        var merger = Self.merger(distribution)
        _ = merger.update([], zones: Self.zones)
        #expect(Self.story(merger) == expected)
    }

    @Test("knows nothing nearer while nobody says where nodes are, and follows nodes that move")
    func moving() {
        var merger = Self.merger(.sameZone)
        #expect(Self.story(merger) == ["2.1 10.1.0.1 10.1.1.1", "2.2 10.2.0.1"])
        #expect(merger.update([], zones: Self.zones).upserts.count == 1)
        #expect(merger.update([], zones: Self.zones).upserts.isEmpty)
        _ = merger.update([], zones: [Self.node(1, "b"): "east", Self.node(2, "x"): ""])
        #expect(Self.story(merger) == ["1.1 10.1.0.1 10.1.1.1", "2.2 10.2.0.1"])
    }

    @Test("keeps to its affinity before all else")
    func affinity() {
        var merger = Self.merger(.sameZone)
        let own = Self.service(.sameZone)
        let remote = ServiceRecord(
            object: own.object, addresses: own.addresses, ports: own.ports, isGlobal: true,
            isShared: true, affinity: .remote, sessionAffinitySeconds: 0, distribution: .sameZone)
        _ = merger.update(
            [ServiceChange(cluster: ClusterID(rawValue: 1)!, .service(remote))], zones: Self.zones)
        #expect(Self.story(merger) == ["1.2 10.2.0.1", "4.1 10.1.0.1", "5.1 10.1.1.1"])
    }

    @Test(
        "is read as Kubernetes writes it; what isn't known is no preference",
        arguments: [
            ("PreferClose", TrafficDistribution.sameZone), ("PreferSameZone", .sameZone),
            ("PreferSameNode", .sameNode), ("PreferTheMoon", .anywhere),
        ])
    func manifest(_ text: String, _ expected: TrafficDistribution) throws {
        let manifests = TemporaryFolder()
        manifests.write(
            "web.yaml",
            """
            apiVersion: v1
            kind: Service
            metadata: {name: web, namespace: shop}
            spec: {clusterIP: 10.96.0.1, trafficDistribution: \(text), ports: [{port: 80}]}
            """)
        var folder = ManifestFolder(path: manifests.path)
        _ = try folder.scan(nowUnixSeconds: 0)
        let record = try #require(folder.snapshot.records.values.first)
        #expect(try ServiceRecord(encoded: record).distribution == expected)
    }
}
