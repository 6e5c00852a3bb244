// SPDX-License-Identifier: Apache-2.0

/// What the agents of a lab read: their own configuration, and their peers'.
struct LabConfigurations {
    /// TCP between agents, UDP of heartbeats, UDP of the overlay.
    static let statePort = 4790
    static let healthPort = 4791
    static let overlayPort = 8472
    /// TCP, of an authority; as agents have it.
    static let enrolmentPort = 4792

    let plan: LabPlan
    /// The lab's folder in a BPF file system.
    let bpf: String
    /// The lab's folder in the cgroup2 hierarchy.
    let cgroup: LabCgroup

    func agent(_ node: LabPlan.Node, in cluster: LabPlan.Cluster) -> String {
        process(node, in: cluster, folder: plan.folder(of: node))
    }

    /// A replica of the authority, beside a node's agent.
    func authority(on node: LabPlan.Node, in cluster: LabPlan.Cluster) -> String {
        // The agent of its node has the page's port.
        process(node, in: cluster, folder: plan.authorityFolder(of: node)) + "\npagePort: 0\n"
    }

    private func process(
        _ node: LabPlan.Node, in cluster: LabPlan.Cluster, folder: String
    ) -> String {
        """
        mesh: \(quote(plan.mesh))
        cluster: {name: \(quote(cluster.name)), id: \(cluster.id)}
        \(place(of: node, in: cluster, folder: folder))
        underlay: {address: \(quote(node.underlay)), interface: \(LabNetwork.interface)}
        ports: {state: \(Self.statePort), health: \(Self.healthPort), vxlan: \(Self.overlayPort)}
        paths:
          state: \(quote("\(folder)/state"))
          bpf: \(quote("\(bpf)/\(cluster.name)/\(node.name)"))
          cgroup: \(quote(cgroup.endpoints(of: node, in: cluster)))
          run: \(quote("\(folder)/run"))
          manifests: \(quote("\(folder)/manifests.d"))
          peers: \(quote("\(folder)/peers.d"))
          trust: \(quote("\(folder)/trust"))
        health: {profile: default}
        capacity: {file: \(quote(plan.capacityFile(of: node)))}
        \(cluster.certificateSeconds.map { "certificates: {nodeSeconds: \($0)}" } ?? "")
        """
    }

    /// Who the node is, who else there is, and who publishes. An API server knows most of it itself.
    private func place(
        of node: LabPlan.Node, in cluster: LabPlan.Cluster, folder: String
    ) -> String {
        if cluster.apiServer {
            return "node: {name: \(quote(node.name))}\n"
                + LabAPIServer(plan: plan, cluster: cluster).configuration(in: folder)
        }
        let members = cluster.nodes.map {
            "  - {name: \(quote($0.name)), address: \(quote($0.underlay))}\n"
        }
        return """
            node: {name: \(quote(node.name)), zone: \(quote(node.zone))}
            \(publisher(of: cluster))
            nodes:
            \(members.joined())\
            podPrefixes: [\(node.podPrefixes.map(quote).joined(separator: ", "))]
            """
    }

    private func publisher(of cluster: LabPlan.Cluster) -> String {
        cluster.etcd
            ? LabEtcd(plan: plan, cluster: cluster).configuration
            : "publisher: \(quote(cluster.first.name))"
    }

    /// `peers.d/NAME.yaml` of the other clusters.
    func peer(_ cluster: LabPlan.Cluster, bundle: String) -> String {
        let addresses = cluster.nodes.map { quote("\($0.underlay):\(Self.statePort)") }
        return """
            name: \(quote(cluster.name))
            id: \(cluster.id)
            addresses: [\(addresses.joined(separator: ", "))]
            bundle: \(quote(bundle))
            charter:
              podPrefixes: [\(cluster.podPrefixes.map(quote).joined(separator: ", "))]
              serviceCIDRs: [\(cluster.serviceCIDRs.map(quote).joined(separator: ", "))]

            """
    }
}
