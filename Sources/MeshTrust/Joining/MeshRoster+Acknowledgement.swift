// SPDX-License-Identifier: Apache-2.0

public import MeshModel

extension MeshRoster {
    /// The sequence of the newest announcement that is known of each other cluster: what this one
    /// publishes, so that whoever announces something knows who has heard it.
    public var heard: [ClusterName: UInt64] {
        durable.claims.compactMapValues { claims in
            claims.map(\.announcement.content.sequence).max()
        }
    }

    /// Whether this cluster has said that it leaves.
    public var hasLeft: Bool { announcement.content.hasLeft }
}
