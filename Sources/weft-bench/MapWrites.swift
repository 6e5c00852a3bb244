// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshAdmin
import MeshLab
import MeshModel

/// How often an agent writes kernel maps because a cluster died, with few services and with many.
///
/// Alpha has the services, beta their backends; alpha's own count of its writes is read before the
/// kill and after the verdict.
struct MapWrites {
    private static let lab = "benchwrites"
    private static let few = 10
    private static let loadLimit = Duration.seconds(60)
    private static let verdictLimit = Duration.seconds(20)
    /// Everything that the verdict leads to has been written by then.
    private static let settling = Duration.milliseconds(1500)
    private static let metric = "weft_datapath_map_writes_total"

    let weft: String
    /// Two objects a service in beta's one file of manifests, which holds 10,000.
    let services: Int

    func run() async throws {
        let baseline = try await writes(services: Self.few)
        let value = try await writes(services: services)
        Figure(
            "failover.writes.\(services)-services", value, "writes", baseline: baseline,
            ratio: value / baseline, goal: "ratio<=1"
        ).report()
    }

    private func writes(services count: Int) async throws -> Double {
        try await withLab(
            Self.lab, try .ofSingleNodes(["alpha", "beta"], name: "writes"), weft: weft
        ) { lab in
            let alpha = try lab.plan.cluster(named: "alpha")
            let beta = try lab.plan.cluster(named: "beta")
            for (cluster, hasBackends) in [(alpha, false), (beta, true)] {
                try StagedFile(
                    ManifestText.services(count, in: cluster, hasBackends: hasBackends),
                    for: "\(lab.plan.manifestFolder(of: cluster.nodes[0]))/many.yaml"
                ).place()
            }
            let node = alpha.nodes[0]
            let agent = lab.agent(of: node)
            _ = try await awaiting("\(count) services", atMost: Self.loadLimit) {
                let rows = try await agent.kernelServices()
                return rows.count { !$0.slices.isEmpty } >= count ? true : nil
            }
            let kernel = try KernelView(of: node, in: alpha.name, lab: lab.plan.name)
            let before = try written(try await agent.metrics())
            try lab.kill(beta.name)
            _ = try await awaiting("the verdict on beta", atMost: Self.verdictLimit) {
                kernel.word(ofCluster: beta.id).verdict == .unreachable ? true : nil
            }
            try await Task.sleep(for: Self.settling)
            return try written(try await agent.metrics()) - before
        }
    }

    private func written(_ metrics: String) throws -> Double {
        let values = metrics.split(separator: "\n").filter { $0.hasPrefix("\(Self.metric){") }
            .compactMap { $0.split(separator: " ").last.flatMap { Double($0) } }
        guard !values.isEmpty else {
            throw LabError(.failed, "the agent doesn't say how often it wrote maps")
        }
        return values.reduce(0, +)
    }
}
