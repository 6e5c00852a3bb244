// SPDX-License-Identifier: Apache-2.0

import BPF
import FoundationEssentials
import Glibc
import MeshAdmin

extension Lab {
    /// How long an agent may take until it answers.
    static let agentStartLimit = Duration.seconds(20)
    /// How long the clusters may take until all know each other and every service.
    static let convergenceLimit = Duration.seconds(30)
    /// How long a server may take until it listens.
    static let serverStartLimit = Duration.seconds(20)

    /// Makes a lab and waits until every agent knows every cluster and every service, and every
    /// server that a service leads to listens.
    ///
    /// - Parameters:
    ///   - executable: the program that holds `weft` and `weftd`; nil is this process's.
    ///   - progress: gets a sentence a step.
    /// - Throws: ``LabError`` and others; then nothing of the lab is left.
    public static func up(
        _ file: LabFile = .builtIn, name: String = defaultName, executable: String? = nil,
        progress: (String) -> Void = { _ in }
    ) async throws -> Lab {
        let plan = try LabPlanner.plan(file, name: name)
        guard geteuid() == 0 else {
            throw LabError(.unsupported, "a lab needs root: it makes network namespaces")
        }
        let program = if let executable { executable } else { try ownExecutable() }
        let lab = try Lab(plan: plan, executable: program)
        try claim(name)
        do {
            try await lab.build(progress)
            return lab
        } catch {
            let reason = lab.describe(error)
            do {
                try await down(name)
            } catch let second {
                throw LabError(.failed, "\(reason)\nand taking the lab down failed: \(second)")
            }
            throw reason
        }
    }

    /// The folder is the claim: of two who want the name one gets it.
    private static func claim(_ name: String) throws(LabError) {
        try LabFolder.make(LabPlan.folder)
        guard mkdir("\(LabPlan.folder)/\(name)", 0o755) == 0 else {
            guard errno == EEXIST else { throw .system("make \(LabPlan.folder)/\(name)") }
            throw LabError(
                .exists,
                "there is a lab \(name) already: weft lab down --lab \(name), "
                    + "or choose another name")
        }
    }

    private func build(_ progress: (String) -> Void) async throws {
        let bpf = try Self.bpfFolder(of: plan.name)
        try write(bpf: bpf)
        try LabNetwork(plan: plan).create()
        try cgroup.create(for: plan)
        do throws(BPFError) {
            for cluster in plan.clusters {
                for node in cluster.nodes {
                    try BPFFileSystem.makeDirectory("\(bpf)/\(cluster.name)/\(node.name)")
                }
            }
        } catch {
            throw LabError(.failed, "\(error)")
        }
        progress(
            "\(plan.clusters.count) clusters, \(plan.nodes.count) nodes and "
                + "\(plan.endpoints.count) endpoints have their namespaces and cables")
        try startEtcd()
        for cluster in plan.clusters where cluster.apiServer {
            try LabAPIServer(plan: plan, cluster: cluster).prepare()
            try await startAPIServer(of: cluster)
        }
        try startReplicas(on: plan.nodes)
        for cluster in plan.clusters where cluster.authority { _ = try await leader(of: cluster) }
        try await startAgents(of: plan.nodes)
        progress("\(plan.nodes.count) agents answer")
        let servers = try await attachEndpoints()
        progress("\(plan.endpoints.count) endpoints are attached")
        try await converge(plan.nodes)
        progress("every cluster knows every other and all services")
        for server in servers {
            try await server.process.awaitListening(
                on: plan.ports(of: server.endpoint), name: server.endpoint.name, log: server.log)
        }
    }

    /// Its clients ask again until it answers.
    private func startEtcd() throws {
        for cluster in plan.clusters where cluster.etcd {
            let etcd = LabEtcd(plan: plan, cluster: cluster)
            try etcd.issue()
            _ = try start(
                etcd.command, on: cluster.nodes[cluster.nodes.count - 1],
                cgroup: cgroup.etcd(of: cluster), output: plan.logOfEtcd(of: cluster))
        }
    }

    /// Writes the plan, and what the agents read.
    private func write(bpf: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let json = String(decoding: try encoder.encode(plan), as: UTF8.self)
        try LabFolder.write(json, to: Self.planFile(of: plan.name))
        try LabFolder.make("\(plan.stateFolder)/logs")
        let configurations = LabConfigurations(plan: plan, bpf: bpf, cgroup: cgroup)
        var peers: [(cluster: LabPlan.Cluster, text: String)] = []
        for cluster in plan.clusters {
            for node in cluster.nodes {
                for name in ["state", "run", "manifests.d", "peers.d"] {
                    try LabFolder.make("\(plan.folder(of: node))/\(name)")
                }
                try LabFolder.make("\(plan.folder(of: node))/trust", mode: 0o700)
            }
            for node in cluster.authorityNodes {
                try LabFolder.make(plan.authorityFolder(of: node), mode: 0o700)
                try LabFolder.write(
                    configurations.authority(on: node, in: cluster),
                    to: plan.authorityConfigurationFile(of: node))
            }
            // An authority that is no node makes its root itself.
            guard !cluster.authority else { continue }
            let bundle = try LabTrust(plan: plan).issue(for: cluster)
            peers.append((cluster, configurations.peer(cluster, bundle: bundle)))
        }
        for cluster in plan.clusters {
            for node in cluster.nodes {
                let folder = plan.folder(of: node)
                try LabFolder.write(
                    configurations.agent(node, in: cluster), to: plan.configurationFile(of: node))
                // Idle, until somebody writes otherwise.
                try LabFolder.write("100 0\n", to: plan.capacityFile(of: node))
                for peer in peers where peer.cluster.name != cluster.name && !plan.apart {
                    try LabFolder.write(
                        peer.text, to: "\(folder)/peers.d/\(peer.cluster.name).yaml")
                }
                guard !cluster.apiServer else { continue }
                for (name, text) in LabManifests(plan: plan).files(of: node, in: cluster) {
                    try LabFolder.write(text, to: "\(plan.manifestFolder(of: node))/\(name)")
                }
            }
        }
    }

    /// Attaches every endpoint, then starts its command: what is attached first is never seen
    /// without its programs.
    ///
    /// - Returns: the commands' processes.
    private func attachEndpoints() async throws -> [LabServer] {
        var servers: [LabServer] = []
        for cluster in plan.clusters {
            for endpoint in cluster.endpoints {
                guard let node = cluster.nodes.first(where: { $0.name == endpoint.node }) else {
                    throw LabError(.notFound, "there is no node \(endpoint.node)")
                }
                _ = try await agent(of: node).attach(
                    AttachRequest(
                        namespace: endpoint.objectNamespace, name: endpoint.name,
                        labels: endpoint.labels,
                        namespacePath: "/run/netns/\(endpoint.namespace)",
                        addresses: endpoint.addresses))
                if let command = endpoint.command {
                    let process = try start(command, in: "\(cluster.name)/\(endpoint.name)")
                    let log = plan.log(of: endpoint, in: cluster)
                    servers.append(LabServer(endpoint: endpoint, process: process, log: log))
                }
            }
        }
        return servers
    }

    /// The error, with the last words of an agent that died of it.
    private func describe(_ error: any Error) -> LabError {
        var message = "\(error)"
        for node in plan.nodes {
            guard (try? isRunning(node)) == false,
                let log = try? LabFolder.read(plan.log(of: node)),
                !log.isEmpty
            else { continue }
            let lines = log.split(separator: "\n").suffix(20).joined(separator: "\n")
            message += "\nthe agent of \(node.name) ended; its last words:\n\(lines)"
            break
        }
        return LabError((error as? LabError)?.code ?? .failed, message)
    }
}

/// The process of an endpoint's command.
private struct LabServer {
    let endpoint: LabPlan.Endpoint
    let process: LabProcess
    /// The file with its output.
    let log: String
}
