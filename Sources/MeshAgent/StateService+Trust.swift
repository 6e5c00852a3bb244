// SPDX-License-Identifier: Apache-2.0

import MeshLease
import MeshModel
import MeshReplication
import MeshTransport

extension StateService {
    /// As the clusters' ledgers have them, unverified.
    var denyLists: [ClusterID: [UInt8]] { core.tables.denyLists }

    var trustView: TrustView { TrustView(core, at: .bootNow) }

    /// What this cluster's home says of its authority.
    var authorityRecord: AuthorityRecord? { core.tables.authority }

    /// A node's certificate isn't believed any more: nothing that it sends counts before its next link.
    func distrust(_ node: NodeID) {
        socket.remove(node)
        step { core, effects in core.distrust(node, into: &effects) }
    }

    /// Who vouches for the clusters' ledgers from now on.
    func trust(_ authorities: [ClusterID: LedgerAuthority]) {
        step { core, effects in core.trust(authorities, into: &effects) }
    }
}
