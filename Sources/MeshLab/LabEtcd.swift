// SPDX-License-Identifier: Apache-2.0

/// The etcd of a cluster: one member on the cluster's last node, over mutual TLS with an authority of
/// its own, as a platform team would hand it out.
struct LabEtcd {
    static let port = 2379
    private static let peerPort = 2380

    let plan: LabPlan
    let cluster: LabPlan.Cluster

    private var address: String { cluster.nodes.last?.underlay ?? "" }
    private var folder: String { "\(plan.stateFolder)/etcd/\(cluster.name)" }

    /// Lines of an agent's configuration.
    var configuration: String {
        let candidates = cluster.publishers.map { quote($0.name) }.joined(separator: ", ")
        return """
            publisher: {candidates: [\(candidates)], lease: etcd}
            etcd:
              endpoints: [\(quote("\(address):\(Self.port)"))]
              bundle: \(quote("\(folder)/authority.pem"))
              certificate: \(quote("\(folder)/agent.pem"))
              key: \(quote("\(folder)/agent.key"))
            store: etcd
            """
    }

    /// The server, to be run on the cluster's last node.
    var command: [String] {
        let client = "https://\(address):\(Self.port)"
        let peer = "http://127.0.0.1:\(Self.peerPort)"
        return [
            "etcd", "--name", cluster.name, "--data-dir", "\(folder)/data",
            "--listen-client-urls", client, "--advertise-client-urls", client,
            "--client-cert-auth", "--trusted-ca-file", "\(folder)/authority.pem",
            "--cert-file", "\(folder)/server.pem", "--key-file", "\(folder)/server.key",
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", "\(cluster.name)=\(peer)", "--logger", "zap", "--log-level",
            "warn",
        ]
    }

    /// Makes the folder, the authority, and the certificates of server and agents. The authority's
    /// key is forgotten.
    func issue() throws {
        try LabFolder.make(folder, mode: 0o700)
        let authority = try LabAuthority(of: "etcd of \(cluster.name)")
        try LabFolder.write(try authority.pem, to: "\(folder)/authority.pem")
        try authority.issue(.server, address: address, in: folder)
        try authority.issue(.agent, address: address, in: folder)
    }
}
