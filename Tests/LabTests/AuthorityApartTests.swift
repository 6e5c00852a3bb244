// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import Testing

@testable import MeshLab

/// Clusters as the manifests make them: an authority that is no node, nodes that the API server lists,
/// and processes that find it as pods do.
@Suite(.tags(.lab), .serialized) struct AuthorityApartTests {
    private static func file(clusters: Int) -> LabFile {
        var file = LabFile.builtIn
        file.clusters.removeLast(file.clusters.count - clusters)
        file.apart = true
        for index in file.clusters.indices {
            file.clusters[index].apiServer = true
            file.clusters[index].authority = true
            file.clusters[index].certificateSeconds = 60
        }
        return file
    }

    private static let service = "http://10.201.0.10/"

    /// A service that isn't there from the start, on the backends of `web`.
    private func publishLate(in cluster: LabPlan.Cluster, of lab: Lab) throws {
        var file = Self.file(clusters: 2)
        file.services?.append(
            LabFile.Service(
                name: "late", namespace: "demo", selector: ["app": "web"],
                ports: [LabFile.Port(port: 80, targetPort: 8080)]))
        let plan = try LabPlanner.plan(file, name: lab.plan.name)
        let later = try plan.cluster(named: cluster.name)
        let name = "\(cluster.first.name)-service-demo-late.yaml"
        let text = try #require(LabManifests(plan: plan).files(of: later)[name])
        let server = LabAPIServer(plan: lab.plan, cluster: cluster)
        try LabFolder.write(text, to: "\(server.objects)/\(name)")
    }

    private func awaitBackends(
        _ lab: Lab, of service: String, at node: LabPlan.Node, _ expected: [String: Int]
    ) async throws {
        _ = try await awaiting("\(expected) of \(service) at \(node.name)", atMost: .seconds(30)) {
            let rows = try await lab.agent(of: node).services().filter {
                $0.name == service && $0.port == 80 && !$0.address.contains(":")
            }
            let counts = rows.flatMap(\.slices).reduce(into: [:]) {
                $0[$1.cluster.name, default: 0] += $1.backends.count
            }
            return counts == expected ? true : nil
        }
    }

    /// Of a cluster's ledger, as a node of another one has it.
    private func epoch(of cluster: String, at node: LabPlan.Node, _ lab: Lab) async throws -> UInt32
    {
        let ledgers = try await lab.agent(of: node).status().ledgers
        return try #require(ledgers.first { $0.cluster.name == cluster }).epoch
    }

    /// Of a node's own certificate.
    private func serial(of node: LabPlan.Node, _ lab: Lab) async throws -> String {
        let certificates = try await lab.agent(of: node).trustStatus().certificates
        return try #require(certificates.first { $0.kind == .node }).serial
    }

    @Test(
        "two of them join; the other replica takes over from a killed one, and traffic doesn't notice"
    )
    func replaced() async throws {
        try await withLab(Self.file(clusters: 2)) { lab in
            let (alpha, beta) = (lab.plan.clusters[0], lab.plan.clusters[1])
            for node in lab.plan.nodes {
                let names = try LabFolder.names(in: "\(lab.plan.folder(of: node))/trust")
                #expect(names.contains("node.pem") && !names.contains("authority"))
            }
            let first = try await lab.leader(of: alpha)
            let token = try await lab.weft(
                authorityOn: first, "join", "token", "beta", "--id", "2")
            #expect(token.code == 0, "\(token)")
            let joined = try await lab.weft(
                authorityOn: lab.leader(of: beta), "join", String(token.out.dropLast()))
            #expect(joined.code == 0, "\(joined)")
            try await lab.converge(lab.plan.nodes, joined: ["alpha", "beta"])
            let load = try lab.startLoad(
                from: "alpha/client", Self.service, ["--interval", "10ms", "--idlers", "2"])
            _ = try await load.await("an answer from beta", atMost: .seconds(10)) {
                $0.cluster == "beta"
            }
            let epoch = try await epoch(of: "alpha", at: beta.nodes[0], lab)

            try await lab.endReplica(on: first)
            let second = try await lab.leader(of: alpha)
            #expect(second != first)
            let serial = try await serial(of: alpha.nodes[0], lab)
            // What it publishes is of a later epoch: its token is the lease's.
            for cluster in [alpha, beta] { try publishLate(in: cluster, of: lab) }
            for node in lab.plan.nodes {
                try await awaitBackends(lab, of: "late", at: node, ["alpha": 2, "beta": 2])
            }
            let next = try await self.epoch(of: "alpha", at: beta.nodes[0], lab)
            #expect(next > epoch)

            // A node without a certificate gets one from the replica that took over.
            let node = alpha.nodes[1]
            let trust = "\(lab.plan.folder(of: node))/trust"
            try await lab.endAgents("alpha/\(node.name)", orderly: true)
            #expect(!(try LabFolder.read(lab.plan.log(of: node)).contains(" error weftd: ")))
            for name in try LabFolder.names(in: trust) { try LabFolder.remove("\(trust)/\(name)") }
            try await lab.startAgents(of: [node])
            #expect(try LabFolder.names(in: trust).contains("node.pem"))
            let log = try await lab.weft(
                authorityOn: second, "ca", "log", "--trust",
                "\(lab.plan.authorityFolder(of: second))/trust")
            #expect(log.out.contains("/node/\(node.name)"), "\(log)")
            // Whoever collects what pods print has the audit log.
            let printed = try LabFolder.read(lab.plan.logOfAuthority(on: second))
            #expect(
                printed.split(separator: "\n").contains {
                    $0.hasPrefix("{\"previous\":\"") && $0.contains("/node/\(node.name)\"")
                })
            try await lab.converge([node], joined: ["alpha", "beta"])
            // One that has a certificate renews it there.
            _ = try await awaiting("a renewal", atMost: .seconds(60), every: .seconds(1)) {
                try await self.serial(of: alpha.nodes[0], lab) == serial ? nil : true
            }

            // The one that was killed waits for its turn.
            try lab.startReplicas(on: [first])
            _ = try await awaiting("the former leader to wait", atMost: .seconds(10)) {
                try LabFolder.read(lab.plan.logOfAuthority(on: first)).contains(
                    "Another replica is the authority") ? true : nil
            }
            #expect(try await lab.leader(of: alpha) == second)
            let failures = try load.records().failures
            #expect(failures.isEmpty, "\(failures.prefix(3))")
        }
    }

    @Test("tokens that rotate under running processes are taken up; the former are refused")
    func rotated() async throws {
        try await withLab(Self.file(clusters: 1)) { lab in
            let alpha = lab.plan.clusters[0]
            let server = LabAPIServer(plan: lab.plan, cluster: alpha)
            let node = alpha.nodes[0]
            let account = "\(lab.plan.folder(of: node))/serviceaccount"
            func status(of token: String) async throws -> String {
                let url =
                    "https://\(server.node.underlay):\(LabAPIServer.port)/api/v1/namespaces?limit=1"
                return try await lab.run(
                    [
                        "/usr/bin/curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert",
                        "\(account)/ca.crt", "-H", "Authorization: Bearer \(token)", url,
                    ], on: node
                ).out
            }
            let former = try LabFolder.read("\(account)/token")
            #expect(try await status(of: former) == "200")
            try server.rotateTokens()
            _ = try await awaiting("the former token to be refused", atMost: .seconds(10)) {
                try await status(of: former) == "401" ? true : nil
            }
            let token = try LabFolder.read("\(account)/token")
            #expect(try await status(of: token) == "200" && token != former)

            // Every watch begins anew, and so has to show a token.
            try await lab.endAPIServer(of: alpha)
            try await lab.startAPIServer(of: alpha)
            let slices = "\(server.objects)/\(alpha.first.name)-service-demo-web.yaml"
            let gone = try #require(alpha.endpoints.first { $0.name == "web-2" }).addresses
            let lines = try LabFolder.read(slices).split(
                separator: "\n", omittingEmptySubsequences: false)
            try LabFolder.write(
                lines.filter { line in !gone.contains { line.contains("[\"\($0)\"]") } }
                    .joined(separator: "\n"), to: slices)
            for node in alpha.nodes {
                try await awaitBackends(lab, of: "web", at: node, ["alpha": 1])
                _ = try await awaiting("synced at \(node.name)", atMost: .seconds(30)) {
                    try await lab.agent(of: node).status().sources.allSatisfy {
                        $0.state == .synced
                    } ? true : nil
                }
            }
        }
    }
}
