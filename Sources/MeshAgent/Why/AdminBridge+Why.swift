// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import MeshEndpoints
import MeshLease
import MeshModel
import MeshReplication
import MeshStore
import MeshTransport

extension AdminBridge {
    func story(of question: WhyQuestion) async throws -> FlowStory {
        let tables = store.snapshot()
        let finder = FlowFinder(bridge: self, tables: tables, core: await state.core)
        var notes: [String] = []
        let source = try await finder.source(question.source, &notes)
        let found = try await finder.destination(question.destination, &notes)
        let traffic = try found.traffic(question, &notes)
        var scene = FlowScene(
            cluster: configuration.clusterName.rawValue, node: configuration.node.name,
            clusters: try await clusters(), nodes: try await nodes(),
            endpointMTU: endpointManager.configuration.endpointMTU)
        let hearsay = await health.hearsay
        for row in tables.clusters.rows {
            scene.hearsay[row.name.rawValue] = hearsay[row.id]?.sentence
        }
        let walk = FlowWalk(
            scene: scene, source: source, destination: found.end, traffic: traffic,
            frontend: try found.frontend(for: traffic, client: source), notes: notes)
        var traces: [PolicyTraceAnswer] = []
        for candidate in walk.candidates {
            let isIPv4 = !candidate.address.contains(":")
            let from =
                source.addresses.first { !$0.contains(":") == isIPv4 } ?? source.addresses.first
            traces.append(
                try await trace(
                    from: from ?? source.name, to: candidate.address,
                    traffic: traffic.trace(port: candidate.port)))
        }
        return walk.story(
            traces: traces, refused: try await news(after: nil).refusals,
            at: Int64(realTimeNanoseconds() / 1_000_000))
    }
}

extension AdminFault {
    static func unknownCluster(_ name: String, _ tables: MeshTables) -> AdminFault {
        AdminFault(
            unknown: "cluster", name, among: tables.clusters.rows.map(\.name.rawValue),
            hint: "weft cluster list shows them")
    }
}
