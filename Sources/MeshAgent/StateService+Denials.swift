// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReplication
import MeshTransport

extension StateService {
    /// As the clusters' ledgers have them, unverified.
    var denyLists: [ClusterID: [UInt8]] { core.tables.denyLists }

    /// A node's certificate isn't believed any more: nothing that it sends counts before its next link.
    func distrust(_ node: NodeID) {
        socket.remove(node)
        step { core, effects in core.distrust(node, into: &effects) }
    }

    /// Who vouches for the clusters' ledgers from now on.
    func trust(_ authorities: [ClusterID: LedgerAuthority]) {
        step { core, effects in core.trust(authorities, into: &effects) }
    }

    /// On the home of the cluster's authority: this is its deny list, as part of the node's report.
    func tell(_ record: DenyListRecord) {
        core.denyList = record.encoded
        endpointsChanged()
    }
}
