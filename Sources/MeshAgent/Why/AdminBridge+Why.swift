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
        var source = try await finder.source(question.source, &notes)
        let found = try await finder.destination(question.destination, &notes)
        let traffic = try found.traffic(question, &notes)
        var frontend = try found.frontend(for: traffic, client: source)
        var scene = FlowScene(
            cluster: configuration.clusterName.rawValue, node: configuration.node.name,
            clusters: try await clusters(), nodes: try await nodes(),
            endpointMTU: endpointManager.configuration.endpointMTU)
        let hearsay = await health.hearsay
        for row in tables.clusters.rows {
            scene.hearsay[row.name.rawValue] = hearsay[row.id]?.sentence
        }
        var inquiry = FlowInquiry(
            bridge: self, tables: tables, source: source, traffic: traffic, frontend: frontend)
        let sight = await inquiry.sourceSight()
        if let sight {
            scene.adopt(sight)
            frontend?.adopt(sight)
        }
        func walk() -> FlowWalk {
            FlowWalk(
                scene: scene, source: source, destination: found.end, traffic: traffic,
                frontend: frontend, notes: notes)
        }
        let candidates = walk().candidates
        await inquiry.ask(about: candidates)
        if let account = inquiry.sourceAccount {
            // What candidates were chosen by stays.
            if sight == nil { scene.adopt(account) }
            source.problem = inquiry.sourceProblem
        }
        var told = walk()
        told.sides = inquiry.sides
        told.problems = inquiry.problems
        var traces: [PolicyTraceAnswer] = []
        for candidate in candidates {
            let isIPv4 = !candidate.address.contains(":")
            let from =
                source.addresses.first { !$0.contains(":") == isIPv4 } ?? source.addresses.first
            var said = try await trace(
                from: from ?? source.name, to: candidate.address,
                traffic: traffic.trace(port: candidate.port))
            inquiry.judge(&said, to: candidate)
            traces.append(said)
        }
        return told.story(
            traces: traces, refused: await inquiry.refused(),
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
