// SPDX-License-Identifier: Apache-2.0

import MeshLease
import MeshModel
import MeshReplication
import MeshTransport

extension StateService {
    /// As the clusters' ledgers have them, unverified.
    var denyLists: [ClusterID: [UInt8]] { core.tables.denyLists }

    /// The clusters in force.
    var peers: [PeerCluster] { core.peers }

    var trustView: TrustView { TrustView(core, at: .bootNow) }

    /// What this cluster's home says of its authority.
    var authorityRecord: AuthorityRecord? { core.tables.authority }

    /// A node's certificate isn't believed any more: nothing that it sends counts before its next link.
    func distrust(_ node: NodeID) {
        socket.remove(node)
        step { core, effects in core.distrust(node, into: &effects) }
    }

    /// This node has got what it takes to publish.
    func stand(_ candidacy: Candidacy) {
        step { core, _ in core.candidacy = core.candidacy ?? candidacy }
    }

    /// Who vouches for the clusters' ledgers from now on.
    func trust(_ authorities: [ClusterID: LedgerAuthority]) {
        step { core, effects in core.trust(authorities, into: &effects) }
    }
}
