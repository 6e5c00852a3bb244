// SPDX-License-Identifier: Apache-2.0

import BPF
import FoundationEssentials
import Glibc
public import MeshAdmin

/// Clusters made of network namespaces on this machine, with real agents.
///
/// Everything belongs to the lab by name: namespaces `weft-LAB-…`, the cgroup `weft-LAB`, the
/// folders `weft-lab/LAB` of the BPF file system and of `/run`. Nothing else is ever touched.
public struct Lab: Sendable {
    public static let defaultName = "demo"

    public let plan: LabPlan
    /// Path of the program that holds `weft` and `weftd`.
    let executable: String
    let cgroup: LabCgroup

    init(plan: LabPlan, executable: String) throws(LabError) {
        self.plan = plan
        self.executable = executable
        cgroup = try LabCgroup(lab: plan.name)
    }

    /// A lab that is up.
    ///
    /// - Throws: ``LabError`` `.notFound` with the labs that there are.
    public init(
        named name: String, executable: String? = nil
    ) throws(LabError) {
        try checkLabName(name)
        let file = Self.planFile(of: name)
        guard LabFolder.exists(file) else {
            let known = try Self.names().joined(separator: ", ")
            throw LabError(
                .notFound, "there is no lab \(name)\(known.isEmpty ? "" : ", only \(known)")")
        }
        let text = try LabFolder.read(file)
        let plan: LabPlan
        do {
            plan = try JSONDecoder().decode(LabPlan.self, from: Data(text.utf8))
        } catch {
            throw LabError(
                .failed, "\(file) doesn't read: take the lab down and up again (\(error))")
        }
        let program = if let executable { executable } else { try Self.ownExecutable() }
        try self.init(plan: plan, executable: program)
    }

    /// Labs that are up, or that a crash left behind.
    public static func names() throws(LabError) -> [String] {
        try LabFolder.names(in: LabPlan.folder)
    }

    /// The agent of a node.
    public func agent(of node: LabPlan.Node, timeout: Duration = .seconds(10)) -> AdminClient {
        AdminClient(
            socketPath: "\(plan.runFolder(of: node))/weft-admin.sock", timeout: timeout)
    }

    /// Whether the agent of a node runs.
    public func isRunning(_ node: LabPlan.Node) throws(LabError) -> Bool {
        try LabCgroup.isPopulated(cgroup.agent(of: node, in: try cluster(of: node)))
    }

    func cluster(of node: LabPlan.Node) throws(LabError) -> LabPlan.Cluster {
        guard let cluster = plan.clusters.first(where: { $0.nodes.contains(node) }) else {
            throw LabError(.notFound, "lab \(plan.name) has no node \(node.name)")
        }
        return cluster
    }

    static func planFile(of name: String) -> String { "\(LabPlan.folder)/\(name)/plan.json" }

    /// - Throws: `.unsupported` where no BPF file system can be had.
    static func bpfFolder(of name: String) throws(LabError) -> String {
        do throws(BPFError) {
            return "\(try BPFFileSystem.mountPoint())/weft-lab/\(name)"
        } catch {
            throw LabError(.unsupported, "\(error)")
        }
    }

    static func ownExecutable() throws(LabError) -> String {
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let size = buffer.count
        let count = buffer.withUnsafeMutableBytes {
            $0.withMemoryRebound(to: CChar.self) {
                $0.baseAddress.map { readlink("/proc/self/exe", $0, size) } ?? -1
            }
        }
        guard count > 0 else { throw .system("read /proc/self/exe") }
        return String(decoding: buffer[..<count], as: UTF8.self)
    }
}

extension Lab {
    /// Turns the calling process into `command`, in an endpoint's namespace and cgroup.
    public func exec(_ target: String, _ command: [String]) throws -> Never {
        let (cluster, endpoint) = try plan.endpoint(matching: target)
        for (name, value) in environment(of: endpoint, in: cluster) { setenv(name, value, 1) }
        try LabExec.run(
            namespacePath: Self.namespacePath(endpoint.namespace),
            cgroup: cgroup.endpoint(endpoint, in: cluster),
            name: command.first, command: resolve(command))
    }

    /// Starts `command` in an endpoint; it lives until it ends or the lab goes down.
    ///
    /// - Parameter output: file that gets what it writes; nil is the endpoint's log.
    public func start(
        _ command: [String], in target: String, output: String? = nil
    ) throws -> LabProcess {
        let (cluster, endpoint) = try plan.endpoint(matching: target)
        guard let name = command.first else {
            throw LabError(.failed, "there is no command to start in \(target)")
        }
        return try LabProcess(
            helper(
                namespace: endpoint.namespace, cgroup: cgroup.endpoint(endpoint, in: cluster),
                name: name, resolve(command)),
            output: output ?? plan.log(of: endpoint, in: cluster),
            environment: environment(of: endpoint, in: cluster))
    }

    func startAgent(
        of node: LabPlan.Node, in cluster: LabPlan.Cluster
    ) throws(LabError) -> LabProcess {
        try LabProcess(
            helper(
                namespace: node.namespace, cgroup: cgroup.agent(of: node, in: cluster),
                name: "weftd", [executable, "--config", plan.configurationFile(of: node)]),
            output: plan.log(of: node), environment: environment(in: cluster))
    }

    func startReplica(
        on node: LabPlan.Node, in cluster: LabPlan.Cluster
    ) throws(LabError) -> LabProcess {
        let file = plan.authorityConfigurationFile(of: node)
        return try LabProcess(
            helper(
                namespace: node.namespace, cgroup: cgroup.authority(on: node, in: cluster),
                name: "weftd", [executable, "--authority", "--config", file]),
            output: plan.logOfAuthority(on: node), environment: environment(in: cluster))
    }

    /// What every pod is told of its cluster's API server.
    private func environment(in cluster: LabPlan.Cluster) -> [String: String] {
        guard cluster.authority else { return [:] }
        let server = LabAPIServer(plan: plan, cluster: cluster)
        return [
            "KUBERNETES_SERVICE_HOST": server.node.underlay,
            "KUBERNETES_SERVICE_PORT": "\(LabAPIServer.port)",
        ]
    }

    /// Starts a program of a node's own: no workload and no agent.
    func start(
        _ command: [String], on node: LabPlan.Node, cgroup: String, output: String
    ) throws(LabError) -> LabProcess {
        try LabProcess(
            helper(namespace: node.namespace, cgroup: cgroup, name: command[0], command),
            output: output, environment: [:])
    }

    private func helper(
        namespace: String, cgroup: String, name: String, _ command: [String]
    ) -> [String] {
        LabExec.command(
            executable, namespacePath: Self.namespacePath(namespace), cgroup: cgroup, name: name,
            command)
    }

    /// `weft` is the lab's own program, wherever it is.
    private func resolve(_ command: [String]) -> [String] {
        command.first == "weft" ? [executable] + command.dropFirst() : command
    }

    private func environment(
        of endpoint: LabPlan.Endpoint, in cluster: LabPlan.Cluster
    ) -> [String: String] {
        ["WEFT_LAB_CLUSTER": cluster.name, "WEFT_LAB_ENDPOINT": endpoint.name]
    }

    private static func namespacePath(_ name: String) -> String { "/run/netns/\(name)" }
}
