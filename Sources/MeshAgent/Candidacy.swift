// SPDX-License-Identifier: Apache-2.0

import MeshLease
import MeshModel
import MeshReplication

/// What a node has that may publish its cluster's ledger: a claim to the lease, and the CA.
struct Candidacy: Sendable {
    /// How long a delegation lasts, seconds. The publisher opens its next epoch when a third is left.
    static let delegationSeconds: UInt64 = 30 * 86_400

    var keeper: LeaseKeeper
    /// Seconds since 1970 after which nothing counts that the CA delegates now.
    let authorityEnds: @Sendable () -> UInt64
    /// The root below which the CA delegates now, by its key identifier.
    let root: @Sendable () -> String
    /// The one below which it delegated this node's epoch.
    var openedUnder: String?
    /// Makes the ledger of an epoch: a new key, delegated by the cluster's CA.
    let delegate: @Sendable (_ epoch: UInt32) throws -> Ledger
    var generator: SplitMix64
    /// The epoch that this node asked the lease store for.
    var asked: UInt32?
    /// Identity numbers below this were taken when this node asked for its epoch.
    var mark: UInt32 = 0
    /// The identity mark that this node asked it for.
    var reserving: UInt32 = 0
    /// Whether this node leaves the lease to others, for it leaves its cluster.
    var hasYielded = false
    /// Why the CA didn't delegate; tried again with the next epoch.
    var fault: String?

    init(
        keeper: LeaseKeeper, seed: UInt64,
        authorityEnds: @escaping @Sendable () -> UInt64 = { .max },
        root: @escaping @Sendable () -> String = { "" },
        delegate: @escaping @Sendable (_ epoch: UInt32) throws -> Ledger
    ) {
        self.keeper = keeper
        self.authorityEnds = authorityEnds
        self.root = root
        self.delegate = delegate
        generator = SplitMix64(seed: seed)
    }
}
