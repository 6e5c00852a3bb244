// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import MeshLab

/// How long a scrape takes, and how many series it has: alpha's agent, with services of beta's.
struct ScrapeCost {
    private static let lab = "benchscrape"
    private static let loadLimit = Duration.seconds(90)
    /// Of one file of manifests.
    private static let objectsMaximum = 10_000

    let weft: String
    let isQuick: Bool

    func run() async throws {
        // A service is two objects.
        let services = isQuick ? 1_000 : Self.objectsMaximum / 2
        try await withLab(
            Self.lab, try .ofSingleNodes(["alpha", "beta"], name: "scrape"), weft: weft
        ) { lab in
            let alpha = try lab.plan.cluster(named: "alpha")
            let beta = try lab.plan.cluster(named: "beta")
            for (cluster, hasBackends) in [(alpha, false), (beta, true)] {
                try StagedFile(
                    ManifestText.services(services, in: cluster, hasBackends: hasBackends),
                    for: "\(lab.plan.manifestFolder(of: cluster.nodes[0]))/many.yaml"
                ).place()
            }
            let agent = lab.agent(of: alpha.nodes[0])
            _ = try await awaiting("\(services) services", atMost: Self.loadLimit) {
                let rows = try await agent.kernelServices()
                return rows.count { !$0.slices.isEmpty } >= services ? true : nil
            }
            var times = Sample()
            var text = ""
            for _ in 0..<(isQuick ? 50 : 200) {
                let begin = monotonicNow()
                text = try await agent.metrics()
                times.add(milliseconds(from: begin, to: monotonicNow()))
            }
            let name = "operators.metrics.scrape.\(services)-services"
            Figure("\(name).p50", times.median, "ms").report()
            Figure("\(name).p99", times.percentile(0.99), "ms", goal: "value<=50").report()
            let series = text.split(separator: "\n").count { !$0.hasPrefix("#") }
            Figure("operators.metrics.series", Double(series), "series", goal: "value<=2000")
                .report()
            Figure("operators.metrics.bytes", Double(text.utf8.count), "bytes").report()
        }
    }
}
