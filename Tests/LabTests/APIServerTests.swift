// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import Testing

@testable import MeshLab

/// Clusters whose objects, nodes and publishers' leases are in API servers of their own.
@Suite(.tags(.lab), .serialized) struct APIServerTests {
    private static let service = "http://10.201.0.10/"

    private static var file: LabFile {
        var file = LabFile.builtIn
        for index in file.clusters.indices { file.clusters[index].apiServer = true }
        file.clusters[0].nodes = .count(3)
        return file
    }

    /// Waits until a node's row of `web` has these numbers of backends by cluster.
    private func awaitBackends(
        _ lab: Lab, at node: LabPlan.Node, _ expected: [String: Int]
    ) async throws {
        _ = try await awaiting("\(expected) at \(node.name)", atMost: .seconds(90)) {
            let rows = try await lab.agent(of: node).services().filter {
                $0.name == "web" && $0.address == "10.201.0.10" && $0.port == 80
            }
            let counts = rows.flatMap(\.slices).reduce(into: [:]) {
                $0[$1.cluster.name, default: 0] += $1.backends.count
            }
            return counts == expected ? true : nil
        }
    }

    @Test("a global service is reached through all of them; one that dies is left, and returns")
    func failover() async throws {
        try await withLab(Self.file) { lab in
            // Who isn't the publisher asks for its own pods, and for nothing else.
            let alpha = lab.plan.clusters[0]
            _ = try await awaiting("one node that asks for everything", atMost: .seconds(80)) {
                () async throws -> Bool? in
                var asked: [Set<String>] = []
                for node in alpha.nodes {
                    asked.append(
                        Set(try await lab.agent(of: node).status().sources.map(\.resource)))
                }
                return asked.count { $0 == ["pods"] } == 2
                    && asked.contains { $0.isSuperset(of: ["pods", "nodes", "services"]) }
                    ? true : nil
            }
            let members = try await lab.agent(of: lab.plan.nodes[1]).nodes()
            #expect(members.count { $0.cluster.name == "alpha" } == 3)

            let load = try lab.startLoad(
                from: "alpha/client", Self.service, ["--interval", "10ms"])
            for cluster in ["alpha", "beta", "gamma"] {
                _ = try await load.await("an answer from \(cluster)", atMost: .seconds(10)) {
                    $0.cluster == cluster
                }
            }
            let blow = try lab.kill("beta")
            let end = blow.ended + 3_000_000_000
            _ = try await load.await("three seconds more", atMost: .seconds(10)) { $0.end > end }
            let failures = try load.records().filter { $0.end > blow.began }.failures
            #expect(failures.allSatisfy { $0.start < blow.began + 2_000_000_000 })
            try await lab.revive("beta")
            _ = try await load.await("beta again", atMost: .seconds(30)) {
                $0.start > end && $0.cluster == "beta" && $0.outcome == .ok
            }
        }
    }

    @Test(
        "without its API server a cluster goes on as it was, restarts included; then it catches up")
    func serverLost() async throws {
        try await withLab(Self.file) { lab in
            let alpha = lab.plan.clusters[0]
            let server = LabAPIServer(plan: lab.plan, cluster: alpha)
            let all = ["alpha": 2, "beta": 2, "gamma": 2]
            let load = try lab.startLoad(
                from: "alpha/client", Self.service, ["--interval", "10ms"])
            try await lab.endAPIServer(of: alpha)
            let publisher = try await awaiting("a publisher that misses it", atMost: .seconds(60)) {
                () async throws -> LabPlan.Node? in
                for node in alpha.publishers {
                    let status = try await lab.agent(of: node).status()
                    if status.health.reasons.contains(where: { $0.contains("API server") }),
                        status.sources.contains(where: { $0.state == .stale })
                    {
                        return node
                    }
                }
                return nil
            }
            for node in lab.plan.nodes where node.name.hasPrefix("alpha") {
                try await awaitBackends(lab, at: node, all)
            }
            // Agents that restart find what they knew.
            let others = alpha.nodes.filter { $0 != publisher }
            for node in others {
                try await lab.endAgents("alpha/\(node.name)", orderly: true)
                try await lab.startAgents(of: [node])
                try await awaitBackends(lab, at: node, all)
            }
            // Meanwhile a backend goes, and nobody can know.
            var text = try LabFolder.read(
                "\(server.objects)/\(alpha.first.name)-service-demo-web.yaml")
            let gone = alpha.endpoints.first { $0.name == "web-2" }?.addresses ?? []
            text = text.split(separator: "\n", omittingEmptySubsequences: false).filter { line in
                !gone.contains { line.contains("addresses: [\"\($0)\"]") }
            }.joined(separator: "\n")
            try LabFolder.write(
                text, to: "\(server.objects)/\(alpha.first.name)-service-demo-web.yaml")
            let failures = try load.records().failures
            #expect(failures.isEmpty, "\(failures.prefix(3))")

            // Its history is lost: everything is listed anew.
            try await lab.startAPIServer(of: alpha)
            for node in alpha.nodes {
                try await awaitBackends(lab, at: node, ["alpha": 1, "beta": 2, "gamma": 2])
            }
            _ = try await awaiting("watches again", atMost: .seconds(60)) {
                let status = try await lab.agent(of: publisher).status()
                return status.sources.allSatisfy { $0.state == .synced || $0.state == .absent }
                    ? true : nil
            }
        }
    }

    @Test(
        "the lease moves to another candidate when the publisher's node dies; a late service comes")
    func publisherLost() async throws {
        try await withLab(Self.file) { lab in
            let alpha = lab.plan.clusters[0]
            let server = LabAPIServer(plan: lab.plan, cluster: alpha)
            func publisher(among nodes: [LabPlan.Node]) async throws -> LabPlan.Node {
                try await awaiting("a publisher", atMost: .seconds(30)) {
                    var holders: [LabPlan.Node] = []
                    for node in nodes {
                        guard let status = try? await lab.agent(of: node).status().publisher
                        else { return nil }
                        if status.isLocal { holders.append(node) }
                    }
                    return holders.count == 1 ? holders[0] : nil
                }
            }
            let first = try await publisher(among: alpha.publishers)
            try lab.kill("alpha/\(first.name)")
            let others = alpha.nodes.filter { $0 != first }
            let second = try await publisher(among: others)
            #expect(second != first && second != alpha.nodes[2])
            #expect(
                try LabFolder.read(server.state).contains("\"holderIdentity\":\"\(second.name)"))
            var file = Self.file
            file.services?.append(
                LabFile.Service(
                    name: "late", namespace: "demo", selector: ["app": "web"],
                    ports: [LabFile.Port(port: 80, targetPort: 8080)]))
            let plan = try LabPlanner.plan(file, name: lab.plan.name)
            let files = LabManifests(plan: plan).files(of: plan.clusters[0])
            let name = "\(alpha.first.name)-service-demo-late.yaml"
            try LabFolder.write(try #require(files[name]), to: "\(server.objects)/\(name)")
            for node in others {
                _ = try await awaiting("late at \(node.name)", atMost: .seconds(60)) {
                    try await lab.agent(of: node).services().contains { $0.name == "late" }
                        ? true : nil
                }
            }
        }
    }
}
