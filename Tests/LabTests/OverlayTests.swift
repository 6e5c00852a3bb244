// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import Testing

@testable import MeshLab

@Suite(.tags(.lab), .serialized) struct OverlayTests {
    @Test(
        "a firewall takes the overlay's port: traffic leaves, the reason is told, and all returns",
        arguments: [1, 2])
    func firewall(nodes: Int) async throws {
        var file = LabFile.builtIn
        file.clusters = Array(file.clusters.prefix(2))
        for index in file.clusters.indices { file.clusters[index].nodes = .count(nodes) }
        try await withLab(file) { lab in
            let observers = lab.plan.clusters.map { lab.agent(of: $0.nodes[0]) }
            let names = ["beta", "alpha"]
            /// How the first nodes of both see the other cluster.
            func rows() async throws -> [ClusterStatus] {
                var rows: [ClusterStatus] = []
                for (observer, name) in zip(observers, names) {
                    rows.append(
                        try #require(try await observer.clusters().first { $0.name == name }))
                }
                return rows
            }
            func see(_ what: String, _ isWanted: (ClusterStatus) -> Bool) async throws {
                _ = try await awaiting(what, atMost: .seconds(60)) {
                    try await rows().allSatisfy(isWanted) ? true : nil
                }
            }
            try await see("beats inside the overlay") { row in
                row.verdict == .up && row.paths.count == nodes
                    && row.paths.allSatisfy { $0.overlay == .answers }
            }
            let load = try lab.startLoad(
                from: "alpha/client", "http://10.201.0.10/", ["--interval", "5ms"])
            _ = try await load.await("an answer from beta", atMost: .seconds(10)) {
                $0.cluster == "beta"
            }
            let blow = try lab.sever(
                from: "alpha", to: "beta", port: UInt16(LabConfigurations.overlayPort))
            try await see("both to leave each other") { $0.verdict == .unreachable }
            for row in try await rows() {
                #expect(row.weight == 0)
                #expect(row.paths.allSatisfy { $0.overlay == .silent && $0.lastBeatSeconds! < 2 })
            }
            for (observer, name) in zip(observers, names) {
                let texts = try await observer.why(name).events.map(\.text)
                #expect(
                    texts.contains {
                        $0.contains("→ unreachable")
                            && $0.contains("the underlay answers, the overlay doesn't")
                    }, "\(texts)")
            }
            let left = Lab.now()
            _ = try await load.await("two seconds more", atMost: .seconds(20)) {
                $0.start > left + 2_000_000_000
            }
            let late = try load.records().filter { $0.start > left }
            #expect(late.failures.isEmpty, "\(late.failures.prefix(3))")
            #expect(Set(late.shares.keys) == ["alpha"])
            #expect(left - blow.began < 20_000_000_000)

            try lab.mend(from: "alpha", to: "beta")
            try await see("both to be back") { row in
                [.probation, .up].contains(row.verdict)
                    && row.paths.allSatisfy { $0.overlay == .answers }
            }
            _ = try await load.await("an answer from beta again", atMost: .seconds(30)) {
                $0.cluster == "beta" && $0.start > left
            }
            let lost = try await observers[0].drops().first { $0.label == "beat_lost" }
            #expect(lost?.packets ?? 0 == 0)
        }
    }
}
