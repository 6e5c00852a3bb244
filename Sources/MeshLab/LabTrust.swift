// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshTrust

/// Makes one authority a cluster, in its home's folder, and a certificate a node. Others that may
/// publish ask the home for intermediates of their own.
struct LabTrust {
    let plan: LabPlan

    /// - Returns: the bundle that other clusters must know, PEM.
    func issue(for cluster: LabPlan.Cluster) throws -> String {
        guard let name = ClusterName(rawValue: cluster.name) else {
            throw LabError(.invalidFile, "'\(cluster.name)' is no cluster's name")
        }
        let home = authority(of: cluster.publishers[0])
        try LabFolder.make(home, mode: 0o700)
        var authority = try CertificateAuthority.create(
            cluster: name, mesh: plan.mesh, in: home)
        if let seconds = cluster.certificateSeconds {
            authority.nodeLifetimeSeconds = Double(seconds)
        }
        let bundle = try authority.bundle.pem()
        for node in cluster.nodes {
            let folder = folder(of: node)
            try NodeCredentials.issue(node: node.name, by: authority).save(in: folder)
            try LabFolder.write(bundle, to: "\(folder)/ca.pem")
        }
        return bundle
    }

    func authority(of node: LabPlan.Node) -> String { "\(folder(of: node))/authority" }

    private func folder(of node: LabPlan.Node) -> String {
        "\(plan.folder(of: node))/trust"
    }
}
