// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshAdmin
import Testing

@testable import MeshLab

/// A cluster whose nodes share an etcd, beside one whose nodes don't.
@Suite(.tags(.lab), .serialized) struct SharedStoreTests {
    private static var file: LabFile {
        var file = LabFile.builtIn
        file.clusters.removeLast()
        file.clusters[0].nodes = .count(3)
        file.clusters[0].etcd = true
        return file
    }

    /// Who the nodes say publishes; nil unless they agree and it is one of them.
    private func publisher(_ lab: Lab, among nodes: [LabPlan.Node]) async throws -> LabPlan.Node? {
        var holders: Set<String?> = []
        var locals: [LabPlan.Node] = []
        for node in nodes {
            guard let status = try? await lab.agent(of: node).status().publisher else {
                return nil
            }
            holders.insert(status.isReachable ? status.node : nil)
            if status.isLocal { locals.append(node) }
        }
        return holders.count == 1 && locals.map(\.name) == [holders.first] ? locals[0] : nil
    }

    /// Adds a service with the backends of `web` to both clusters: in the first one by a node that
    /// never publishes.
    private func addService(_ name: String, to lab: Lab) throws {
        var file = Self.file
        file.services?.append(
            LabFile.Service(
                name: name, namespace: "demo", selector: ["app": "web"],
                ports: [LabFile.Port(port: 80, targetPort: 8080)]))
        let plan = try LabPlanner.plan(file, name: lab.plan.name)
        for (cluster, node) in [
            (plan.clusters[0], plan.clusters[0].nodes[2]),
            (plan.clusters[1], plan.clusters[1].first),
        ] {
            let files = LabManifests(plan: plan).files(of: cluster.first, in: cluster)
            let text = try #require(files["service-demo-\(name).yaml"])
            try LabFolder.write(text, to: "\(plan.manifestFolder(of: node))/\(name).yaml")
        }
    }

    private func awaitSlices(_ lab: Lab, _ name: String, at node: LabPlan.Node) async throws {
        _ = try await awaiting("\(name) of both clusters at \(node.name)", atMost: .seconds(20)) {
            let rows = try await lab.agent(of: node).services().filter { $0.name == name }
            let clusters = Set(rows.flatMap { $0.slices.map(\.cluster.name) })
            return clusters == ["alpha", "beta"] ? true : nil
        }
    }

    @Test(
        "publishers die, all of them at last; what they wrote is in etcd, and nobody else can tell")
    func failover() async throws {
        try await withLab(Self.file) { lab in
            let alpha = lab.plan.clusters[0]
            let beta = lab.plan.clusters[1]
            let first = try await awaiting("a publisher", atMost: .seconds(20)) {
                try await publisher(lab, among: alpha.nodes)
            }
            #expect(first != alpha.nodes[2])
            let load = try lab.startLoad(
                from: "alpha/client", "http://10.201.0.10/", ["--interval", "10ms"])

            try await lab.endAgents("alpha/\(first.name)")
            let others = alpha.nodes.filter { $0 != first }
            let second = try await awaiting("another publisher", atMost: .seconds(20)) {
                try await publisher(lab, among: others)
            }
            #expect(second != first && second != alpha.nodes[2])
            try addService("late", to: lab)
            try await awaitSlices(lab, "late", at: beta.nodes[1])
            try await awaitSlices(lab, "late", at: second)

            // The journals go, too: only etcd and the other cluster know the ledger.
            // Without a relay the cluster looks dead to others, who reset what they have with it.
            let blow = try await lab.endAgents("alpha")
            for node in alpha.nodes {
                for name in try LabFolder.names(in: "\(lab.plan.folder(of: node))/state")
                where name.contains(".db") {
                    #expect(unlink("\(lab.plan.folder(of: node))/state/\(name)") == 0)
                }
            }
            try await lab.startAgents(of: alpha.nodes)
            try await lab.converge(alpha.nodes)
            for node in lab.plan.nodes { try await awaitSlices(lab, "late", at: node) }
            _ = try await awaiting("the epoch on top of both", atMost: .seconds(20)) {
                let ledgers = try await lab.agent(of: beta.first).status().ledgers
                return ledgers.contains { $0.cluster.name == "alpha" && $0.epoch >= 3 } ? true : nil
            }
            for node in lab.plan.nodes { try await awaitSlices(lab, "late", at: node) }
            let failures = try load.records().failures.filter { $0.end < blow.began }
            #expect(failures.isEmpty, "\(failures.prefix(3))")
        }
    }
}
