// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

/// The API server of a cluster: the tests' double of one, a process on the cluster's last node. It is not
/// part of the product: the lab finds it beside the product.
///
/// What a platform team would hand out is made here: an authority of its own, a token for each process and a
/// kubeconfig, or what a pod finds of its cluster, and rights for no more than each needs.
struct LabAPIServer {
    static let program = "apiserver-double"
    static let port = 6443

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

    /// What a kubelet would have pods mount: `NAMESPACE/NAME/KEY` of each ConfigMap.
    private var mounts: String { "\(folder)/configmaps" }
    private var tokens: String { "\(folder)/tokens.json" }

    /// Lines of an agent's configuration, or of a replica's.
    ///
    /// - Parameter folder: the process's.
    func configuration(in folder: String) -> String {
        guard cluster.authority else {
            let candidates = cluster.publishers.map { quote($0.name) }.joined(separator: ", ")
            return """
                publisher: {candidates: [\(candidates)], lease: kubernetes}
                kubernetes: {kubeconfig: \(quote(LabPlan.kubeconfig(in: folder)))}
                """
        }
        return """
            publisher: {authority: authority, lease: kubernetes}
            charter: {podPrefixes: [\(cluster.podPrefixes.map(quote).joined(separator: ", "))]}
            kubernetes: {inCluster: true, serviceAccountFolder: \(quote(Self.account(in: folder)))}
            join:
              token: \(quote(Self.joinToken(in: folder)))
              bundle: \(quote("\(mounts)/\(LabAccount.namespace)/weft-roots/ca.pem"))
              service: \(LabAccount.namespace)/\(Self.authorityService)
              serviceAccount: \(LabAccount.namespace):\(LabAccount.agent.name)
            """
    }

    static let authorityService = "weft-authority"

    /// The server, to be run on ``node``.
    ///
    /// - Parameter executable: path of the program that holds `weft`.
    func command(besides executable: String) -> [String] {
        let folderOfPrograms = executable.split(separator: "/", omittingEmptySubsequences: false)
            .dropLast().joined(separator: "/")
        return [
            "\(folderOfPrograms)/\(Self.program)", "--host", node.underlay,
            "--port", "\(Self.port)", "--certificate", "\(folder)/server.pem",
            "--key", "\(folder)/server.key", "--tokens", tokens,
            "--objects", objects, "--state", state, "--config-maps", mounts,
            "--service-cidrs", cluster.serviceCIDRs.joined(separator: ","),
        ]
    }

    /// Makes its folder, certificates and objects, and what the agents need to talk to it.
    func prepare() throws {
        try LabFolder.make(folder, mode: 0o700)
        try LabFolder.make(objects)
        try LabFolder.make(mounts)
        let authority = try LabAuthority(of: "API server of \(cluster.name)")
        try LabFolder.write(try authority.pem, to: "\(folder)/authority.pem")
        try authority.issue(.server, address: node.underlay, in: folder)
        for process in processes {
            if cluster.authority {
                let account = Self.account(in: process.folder)
                try LabFolder.make(account, mode: 0o700)
                try LabFolder.write(try authority.pem, to: "\(account)/ca.crt")
                try LabFolder.write(LabAccount.namespace, to: "\(account)/namespace")
            } else {
                try LabFolder.write(
                    kubeconfig(tokenFile: process.tokenFile),
                    to: LabPlan.kubeconfig(in: process.folder))
            }
            try LabFolder.write(LabAccount.freshToken(), to: process.tokenFile, mode: 0o600)
        }
        var pods: [String] = []
        if cluster.authority {
            for node in cluster.nodes {
                let pod = LabPod(node: node, uid: UUID().uuidString.lowercased())
                try LabFolder.write(
                    LabAccount.freshToken(), to: Self.joinToken(in: plan.folder(of: node)),
                    mode: 0o600)
                try LabFolder.write(pod.uid, to: uidFile(of: node))
                pods.append(pod.manifest)
            }
            let system = LabManifests(plan: plan).system(of: cluster, pods: pods)
            try LabFolder.write(system, to: "\(objects)/weft-system.yaml")
        }
        try admit(try processes.map(admission))
        for (name, text) in LabManifests(plan: plan).files(of: cluster) {
            try LabFolder.write(text, to: "\(objects)/\(name)")
        }
    }

    // MARK: Tokens

    /// A process that asks the server, with a token of its own.
    private struct Client {
        let name: String
        let account: LabAccount
        let folder: String
        let tokenFile: String
    }

    private var processes: [Client] {
        let agents = cluster.nodes.map {
            client($0.name, cluster.authority ? .agent : .candidate, plan.folder(of: $0))
        }
        return agents
            + cluster.authorityNodes.map {
                client("\($0.name)-authority", .authority, plan.authorityFolder(of: $0))
            }
    }

    private func client(_ name: String, _ account: LabAccount, _ folder: String) -> Client {
        Client(
            name: name, account: account, folder: folder,
            tokenFile: cluster.authority ? "\(Self.account(in: folder))/token" : "\(folder)/token")
    }

    /// What a pod finds of its cluster.
    private static func account(in folder: String) -> String { "\(folder)/serviceaccount" }
    /// A projected token for the authority.
    private static func joinToken(in folder: String) -> String { "\(folder)/join-token" }
    private func uidFile(of node: LabPlan.Node) -> String { "\(plan.folder(of: node))/pod-uid" }

    private func admission(of client: Client) throws -> String {
        client.account.admission(of: try LabFolder.read(client.tokenFile), uid: client.name)
    }

    /// From now on the server takes these tokens, and those by which nodes join, and no others.
    private func admit(_ admissions: [String]) throws {
        let joining =
            try cluster.authorityNodes.isEmpty
            ? []
            : cluster.nodes.map { node in
                LabAccount.agent.admission(
                    of: try LabFolder.read(Self.joinToken(in: plan.folder(of: node))), for: "weft",
                    pod: LabPod.name(on: node), uid: try LabFolder.read(uidFile(of: node)))
            }
        let list = "[\n\((admissions + joining).joined(separator: ",\n"))\n]\n"
        try LabFolder.write(list, to: tokens, mode: 0o600)
    }

    /// Gives every process another token under its feet, as a kubelet does; the server refuses the former
    /// ones.
    func rotateTokens() throws {
        let former = try processes.map(admission)
        let next = processes.map { (client: $0, token: LabAccount.freshToken()) }
        let admissions = next.map { $0.client.account.admission(of: $0.token, uid: $0.client.name) }
        try admit(former + admissions)
        for (client, token) in next {
            try LabFolder.write(token, to: client.tokenFile, mode: 0o600)
        }
        try admit(admissions)
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
