// SPDX-License-Identifier: Apache-2.0

import MeshLease
public import MeshModel

/// Where a cluster's state is kept. Everything stands below `/weft/<cluster>/`, so that roles can be
/// granted by prefix: nodes read all of it; authorities write it.
public struct EtcdKeys: Hashable, Sendable {
    public let prefix: String

    public init(cluster: ClusterName) { prefix = "/weft/\(cluster)/" }

    /// ``LeaseRecord``, rewritten with every renewal.
    public var lease: String { prefix + "lease" }

    /// Token and holder: what a ledger transaction is conditional on. By its value, for renewals and
    /// reservations write the lease in the middle of a tenure, and must not disturb a batch.
    public var tenure: String { prefix + "tenure" }

    /// The header of the last batch.
    public var head: String { prefix + "head" }

    /// The last batch. Each transaction writes it, so that whoever watches this one key gets every
    /// batch, in order.
    public var batch: String { prefix + "batch" }

    /// Before the key of a record.
    public var records: String { prefix + "record/" }

    static func tenureText(token: UInt64, holder: LeaseHolder?) -> [UInt8] {
        Array("\(token) \(holder?.description ?? "-")".utf8)
    }
}
