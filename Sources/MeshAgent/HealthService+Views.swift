// SPDX-License-Identifier: Apache-2.0

import MeshMembership
import MeshModel
import MeshReachability

// MARK: What there is to see

extension HealthService {
    /// Nodes of the own cluster that are dead, as this relay tells other clusters.
    var ownDead: [NodeID] { liveness.ownDead }

    /// What clusters last said of their capacity, and the share of full weight that it leaves them.
    var capacities: [ClusterID: (workload: Workload, share: Double)] {
        verdicts.clusters.reduce(into: [:]) { $0[$1] = verdicts.capacity(of: $1) }
    }

    var membershipCounters: MembershipCounters { membership.counters }

    /// How the nodes of the own cluster hold each other, this one included.
    var members: [MemberStatus] { membership.statuses }
}
