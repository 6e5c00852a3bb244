// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshTrust

/// Makes one authority a cluster, in its publisher's folder, and a certificate a node.
struct LabTrust {
    /// What other clusters must know of a cluster.
    struct Anchors {
        /// PEM.
        let bundle: String
        /// Base64 of the ledger's public key.
        let ledgerKey: String
    }

    let plan: LabPlan

    func issue(for cluster: LabPlan.Cluster) throws -> Anchors {
        guard let name = ClusterName(rawValue: cluster.name) else {
            throw LabError(.invalidFile, "'\(cluster.name)' is no cluster's name")
        }
        let home = "\(folder(of: cluster.nodes[0]))/authority"
        try LabFolder.make(home, mode: 0o700)
        let authority = try CertificateAuthority.create(
            cluster: name, mesh: plan.mesh, in: home)
        let ledgerKey = try LedgerKey.create(in: home)
        let anchors = Anchors(
            bundle: try authority.bundle.pem(), ledgerKey: ledgerKey.publicKeyBase64)
        for node in cluster.nodes {
            let folder = folder(of: node)
            try NodeCredentials.issue(node: node.name, by: authority).save(in: folder)
            try LabFolder.write(anchors.bundle, to: "\(folder)/ca.pem")
            try LabFolder.write(anchors.ledgerKey + "\n", to: "\(folder)/ledger.pub")
        }
        return anchors
    }

    private func folder(of node: LabPlan.Node) -> String {
        "\(plan.folder(of: node))/trust"
    }
}
