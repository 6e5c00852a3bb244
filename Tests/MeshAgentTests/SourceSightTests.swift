// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import MeshModel
import Testing

@testable import MeshAgent

@Suite("How the source's node sees a service")
struct SourceSightTests {
    private static func clusterStatus(_ name: String, _ id: UInt16) -> ClusterStatus {
        ClusterStatus(
            name: name, id: id, isLocal: id == 1, verdict: .up, sinceSeconds: 60, weight: 255,
            generation: 1, paths: [], epoch: 1, revision: 1, nodes: 1, services: 1, endpoints: 1)
    }

    private static func nodeStatus(_ cluster: String, _ id: UInt16, _ name: String) -> NodeStatus {
        NodeStatus(
            cluster: ClusterReference(name: cluster, id: id), name: name, isLocal: false,
            isRelay: false, verdict: .up, sinceSeconds: 60, weight: 255, generation: 1, index: 1,
            outerAddresses: [], podPrefixes: [], endpoints: 1)
    }

    private let scene = FlowScene(
        cluster: "east", node: "a", clusters: [clusterStatus("east", 1), clusterStatus("west", 2)],
        nodes: [nodeStatus("east", 1, "b"), nodeStatus("west", 2, "b")], endpointMTU: 1450)

    private func service(_ address: String) -> ServiceStatus {
        func slice(_ name: String, _ id: UInt16, _ backends: [BackendStatus]) -> SliceStatus {
            SliceStatus(
                cluster: ClusterReference(name: name, id: id), tier: 0, weight: 100, isLive: true,
                backends: backends)
        }
        let held = QuarantineStatus(sinceSeconds: 9, reason: "this node's own")
        return ServiceStatus(
            namespace: "shop", name: "web", portName: "", address: "10.96.0.1", port: 80,
            transport: "TCP", isGlobal: true, affinity: .none, sessionAffinitySeconds: 0,
            state: .pending,
            slices: [
                slice(
                    "east", 1,
                    [BackendStatus(address: address, port: 8080, node: "b", isLive: true)]),
                slice(
                    "west", 2,
                    [
                        BackendStatus(
                            address: "10.2.1.8", port: 8080, node: "b", isLive: true,
                            quarantine: held)
                    ]),
            ])
    }

    @Test("its verdicts, weights, quarantines and kernel count, and nobody else's")
    func adopts() {
        var scene = scene
        var service = service("10.1.1.8")
        let account = FlowAccount.fixture
        scene.adopt(account)
        service.adopt(account)
        // It holds west for suspect, and east's b, not west's.
        #expect(scene.clusters.map(\.verdict) == [.up, .suspect])
        #expect(scene.clusters.map(\.weight) == [255, 0])
        #expect(scene.clusters.map(\.sinceSeconds) == [60, 5])
        #expect(scene.nodes.map(\.verdict) == [.suspect, .up])
        #expect(service.slices.map(\.isLive) == [true, false])
        #expect(service.slices.map(\.backends[0].isLive) == [false, true])
        #expect(
            service.slices.map(\.backends[0].quarantine?.reason) == ["3 failures", nil])
        #expect(service.state == .error && service.reason == "no room for 3 more backends")
    }

    @Test("a node that says nothing of a cluster or backend leaves what is known of it")
    func leaves() {
        var scene = scene
        var service = service("10.1.1.9")
        service.slices[1].backends[0].quarantine = nil
        let former = (clusters: scene.clusters, nodes: scene.nodes, slices: service.slices)
        scene.adopt(FlowAccount(id: 1))
        service.adopt(FlowAccount(id: 1))
        #expect(scene.clusters == former.clusters && scene.nodes == former.nodes)
        #expect(service.slices == former.slices && scene.endpointMTU == 1450)
        #expect(service.state == .done)
    }
}
