// SPDX-License-Identifier: Apache-2.0

/// The API server of a cluster: the tests' double of one, a process on the cluster's last node. It is not
/// part of the product: the lab finds it beside the product.
///
/// What a platform team would hand out is made here: an authority of its own, a token and a kubeconfig for
/// each agent, and rights for no more than agents need.
struct LabAPIServer {
    static let program = "apiserver-double"
    static let port = 6443
    private static let user = "system:serviceaccount:weft-system:weftd"

    let plan: LabPlan
    let cluster: LabPlan.Cluster

    /// Where it runs.
    var node: LabPlan.Node { cluster.nodes[cluster.nodes.count - 1] }
    private var folder: String { "\(plan.stateFolder)/apiserver/\(cluster.name)" }
    /// What its objects are made of: a file that is written there is created or replaced, as a
    /// controller would; one that goes is deleted.
    var objects: String { "\(folder)/objects.d" }
    /// Every write, a line of JSON each: the object as it was then, or what was deleted.
    var state: String { "\(folder)/state.jsonl" }

    /// Lines of an agent's configuration.
    func configuration(of node: LabPlan.Node) -> String {
        let candidates = cluster.publishers.map { quote($0.name) }.joined(separator: ", ")
        return """
            publisher: {candidates: [\(candidates)], lease: kubernetes}
            kubernetes: {kubeconfig: \(quote(plan.kubeconfig(of: node)))}
            """
    }

    /// The server, to be run on ``node``.
    ///
    /// - Parameter executable: path of the program that holds `weft`.
    func command(besides executable: String) -> [String] {
        let folderOfPrograms = executable.split(separator: "/", omittingEmptySubsequences: false)
            .dropLast().joined(separator: "/")
        return [
            "\(folderOfPrograms)/\(Self.program)", "--host", node.underlay,
            "--port", "\(Self.port)", "--certificate", "\(folder)/server.pem",
            "--key", "\(folder)/server.key", "--tokens", "\(folder)/tokens.json",
            "--objects", objects, "--state", state,
            "--service-cidrs", cluster.serviceCIDRs.joined(separator: ","),
        ]
    }

    /// Makes its folder, certificates and objects, and what the agents need to talk to it.
    func prepare() throws {
        try LabFolder.make(folder, mode: 0o700)
        try LabFolder.make(objects)
        let authority = try LabAuthority(of: "API server of \(cluster.name)")
        try LabFolder.write(try authority.pem, to: "\(folder)/authority.pem")
        try authority.issue(.server, address: node.underlay, in: folder)
        var users: [String] = []
        for node in cluster.nodes {
            let token = Self.freshToken()
            users.append(
                "{\"token\": \(quote(token)), \"uid\": \(quote(node.name)), \(Self.agent)}")
            let path = "\(plan.folder(of: node))/token"
            try LabFolder.write(token, to: path, mode: 0o600)
            try LabFolder.write(
                kubeconfig(tokenFile: path), to: plan.kubeconfig(of: node))
        }
        let list = "[\n\(users.joined(separator: ",\n"))\n]\n"
        try LabFolder.write(list, to: "\(folder)/tokens.json", mode: 0o600)
        for (name, text) in LabManifests(plan: plan).files(of: cluster) {
            try LabFolder.write(text, to: "\(objects)/\(name)")
        }
    }

    private func kubeconfig(tokenFile: String) -> String {
        """
        apiVersion: v1
        kind: Config
        current-context: lab
        clusters:
        - name: lab
          cluster:
            server: "https://\(node.underlay):\(Self.port)"
            certificate-authority: \(quote("\(folder)/authority.pem"))
        users:
        - name: agent
          user: {tokenFile: \(quote(tokenFile))}
        contexts:
        - name: lab
          context: {cluster: lab, user: agent, namespace: weft-system}

        """
    }

    private static func freshToken() -> String {
        (0..<32).map { _ in
            let digits = String(UInt8.random(in: 0...255), radix: 16)
            return digits.count == 1 ? "0\(digits)" : digits
        }.joined()
    }

    /// Who an agent is to the server, and what it may: to read what it is about; of the lease and of
    /// what the multi-cluster API has it write, to change that; and to tell of an object that it can't
    /// use.
    private static let agent: String = {
        let rules: [(verbs: [String], resources: [String])] = [
            (
                ["get", "list", "watch"],
                [
                    "nodes", "pods", "namespaces", "services", "endpointslices",
                    "networkpolicies", "clusternetworkpolicies", "serviceexports",
                    "serviceimports",
                ]
            ),
            (["get", "create", "update"], ["leases"]),
            (["create", "patch", "delete"], ["services", "endpointslices", "serviceimports"]),
            (["patch"], ["serviceexports/status", "serviceimports/status"]),
            (["create", "patch"], ["events"]),
        ]
        func list(_ texts: [String]) -> String {
            "[\(texts.map(quote).joined(separator: ", "))]"
        }
        let written = rules.map {
            "{\"verbs\": \(list($0.verbs)), \"resources\": \(list($0.resources))}"
        }
        return "\"user\": \(quote(user)), \"rules\": [\(written.joined(separator: ", "))]"
    }()
}

extension Lab {
    /// Starts a cluster's API server, with what it knew when it ended, and returns when it listens. What
    /// happened before is no longer to be had there.
    public func startAPIServer(of cluster: LabPlan.Cluster) async throws {
        let server = LabAPIServer(plan: plan, cluster: cluster)
        let command = server.command(besides: executable)
        guard LabFolder.exists(command[0]) else {
            throw LabError(
                .unsupported,
                "there is no program \(command[0]): build it first, with scripts/build --product "
                    + LabAPIServer.program)
        }
        let log = plan.logOfAPIServer(of: cluster)
        let process = try start(
            command, on: server.node, cgroup: cgroup.apiServer(of: cluster), output: log)
        let port = ListeningPort(port: UInt16(LabAPIServer.port), isUDP: false)
        try await process.awaitListening(
            on: [port], name: "the API server of \(cluster.name)", log: log)
    }

    /// Kills a cluster's API server; agents and cables stay.
    public func endAPIServer(of cluster: LabPlan.Cluster) async throws {
        try await Self.endProcesses(cgroup.apiServer(of: cluster))
    }
}
