// SPDX-License-Identifier: Apache-2.0

/// What the agents of a lab read: their own configuration, and their peers'.
struct LabConfigurations {
    /// TCP between agents, UDP of heartbeats, UDP of the overlay.
    static let statePort = 4790
    static let healthPort = 4791
    static let overlayPort = 8472

    let plan: LabPlan
    /// The lab's folder in a BPF file system.
    let bpf: String
    /// The lab's folder in the cgroup2 hierarchy.
    let cgroup: LabCgroup

    func agent(_ node: LabPlan.Node, in cluster: LabPlan.Cluster) -> String {
        let folder = plan.folder(of: node)
        return """
            mesh: \(quote(plan.mesh))
            cluster: {name: \(quote(cluster.name)), id: \(cluster.id)}
            \(place(of: node, in: cluster))
            underlay: {address: \(quote(node.underlay)), interface: \(LabNetwork.interface)}
            ports: {state: \(Self.statePort), health: \(Self.healthPort), vxlan: \(Self.overlayPort)}
            paths:
              state: \(quote("\(folder)/state"))
              bpf: \(quote("\(bpf)/\(cluster.name)/\(node.name)"))
              cgroup: \(quote(cgroup.endpoints(of: node, in: cluster)))
              run: \(quote(plan.runFolder(of: node)))
              manifests: \(quote(plan.manifestFolder(of: node)))
              peers: \(quote("\(folder)/peers.d"))
              trust: \(quote("\(folder)/trust"))
            health: {profile: default}
            capacity: {file: \(quote(plan.capacityFile(of: node)))}
            \(cluster.certificateSeconds.map { "certificates: {nodeSeconds: \($0)}" } ?? "")
            """
    }

    /// Who the node is, who else there is, and who publishes. An API server knows most of it itself.
    private func place(of node: LabPlan.Node, in cluster: LabPlan.Cluster) -> String {
        if cluster.apiServer {
            return "node: {name: \(quote(node.name))}\n"
                + LabAPIServer(plan: plan, cluster: cluster).configuration(of: node)
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
