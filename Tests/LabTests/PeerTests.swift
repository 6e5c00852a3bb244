// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import Testing

@testable import MeshLab

@Suite(.tags(.lab), .serialized) struct PeerTests {
    @Test("a cluster leaves the mesh and joins it, by its peers' files alone, and nobody fails")
    func comeAndGo() async throws {
        try await withLab { lab in
            let load = try lab.startLoad(
                from: "alpha/client", "http://10.201.0.10/",
                ["--interval", "5ms", "--talkers", "2"])
            _ = try await load.await("an answer from gamma", atMost: .seconds(10)) {
                $0.cluster == "gamma"
            }
            let stays = lab.plan.clusters.filter { $0.name != "gamma" }.flatMap(\.nodes)
            let files = stays.map { "\(lab.plan.folder(of: $0))/peers.d/gamma.yaml" }
            let text = try LabFolder.read(files[0])

            // A file that breaks says what it said before.
            let agent = lab.agent(of: stays[0])
            try LabFolder.write("name: gamma\nid: [", to: files[0])
            _ = try await awaiting("the broken file in the status", atMost: .seconds(10)) {
                try await agent.status().health.reasons.first { $0.contains("gamma.yaml") }
            }
            #expect(try await agent.clusters().contains { $0.name == "gamma" && $0.weight > 0 })
            try LabFolder.write(text, to: files[0])
            _ = try await awaiting("the mended file", atMost: .seconds(10)) {
                try await agent.status().health.reasons.contains { $0.contains("gamma.yaml") }
                    ? nil : true
            }

            // Away from services first, as an operator would.
            _ = try await lab.drain("gamma")
            _ = try await awaiting("gamma's drain", atMost: .seconds(10)) {
                try await agent.clusters().first { $0.name == "gamma" && $0.weight == 0 }
            }
            let drained = Lab.now() + 500_000_000
            _ = try await load.await("half a second more", atMost: .seconds(10)) {
                $0.kind == .request && $0.end > drained
            }
            for file in files { try LabFolder.remove(file) }
            for node in stays {
                _ = try await awaiting("gamma to go from \(node.name)", atMost: .seconds(10)) {
                    let rows = try await lab.agent(of: node).services()
                    let clusters = try await lab.agent(of: node).clusters().map(\.name)
                    return clusters.contains("gamma")
                        || rows.contains { $0.slices.contains { $0.cluster.name == "gamma" } }
                        ? nil : true
                }
            }
            _ = try await lab.drain("gamma", false)
            for file in files { try LabFolder.write(text, to: file) }
            try await lab.converge(stays)
            let back = Lab.now()
            _ = try await load.await("an answer from gamma again", atMost: .seconds(40)) {
                $0.kind == .request && $0.cluster == "gamma" && $0.start > back
            }
            #expect(try load.records().failures.filter { $0.kind == .request }.isEmpty)
        }
    }
}
