// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReplication

// MARK: Who isn't believed any more

extension StateCore {
    /// A node's certificate isn't believed any more: no gossip of it counts before its next link.
    mutating func distrust(_ node: NodeID, into effects: inout [StateEffect]) {
        guard distrusted.insert(node).inserted else { return }
        settle(into: &effects)
    }

    /// CAs have other keys, or some of theirs are denied: what they delegated before stays in force
    /// where it is known, and a publisher whose own delegation nobody new would believe opens an
    /// epoch with another one.
    mutating func trust(
        _ authorities: [ClusterID: LedgerAuthority], into effects: inout [StateEffect]
    ) {
        perform(&effects) { core, replication -> Void in
            for (owner, authority) in authorities.sorted(by: { $0.key < $1.key }) {
                core.synchroniser.trust(authority, of: owner, into: &replication)
            }
        }
        delegationIsRefused =
            isOpen && synchroniser.replica(of: configuration.cluster)?.isDelegated == false
    }
}
