// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshSimulation

@testable import MeshReplication

/// One agent of the simulated mesh: the shipping core, and around it what the shipping shell does.
struct MeshNode {
    typealias Disk = SimulatedDisk<StoredLedgers, StoredLedgers.Transaction>

    let cluster: ClusterID
    /// Passes on something else than it should. Its own state is of no interest.
    let isLiar: Bool
    var synchroniser = Synchroniser()
    var interests: [ClusterID: ShardSet] = [:]
    /// The sum of all updates: what tables would show.
    var views: [ClusterID: Records] = [:]
    var heads: [ClusterID: LedgerHead] = [:]
    var frozen: Set<ClusterID> = []
    /// The own cluster's ledger: acknowledged once it is flushed.
    var ledgerDisk = MeshNode.emptyDisk
    /// Replicas of others: written behind.
    var replicaDisk = MeshNode.emptyDisk
    /// Owners of whom something couldn't be written: a whole checkpoint is due.
    var unsaved: Set<ClusterID> = []
    /// The newest own revision that was durable here and released, to be found after every crash.
    var acknowledged = LedgerHead.origin
    var isDown = false
    /// How much less than true time this node's monotonic clock has seen.
    var stalled = Duration.zero
    private var lastTime = Instant.zero
    /// Seconds that its real-time clock is ahead.
    var realTimeError: Int64 = 0

    static var emptyDisk: Disk { Disk(StoredLedgers()) { $0.apply($1) } }

    init(cluster: ClusterID, isLiar: Bool = false) {
        self.cluster = cluster
        self.isLiar = isLiar
    }

    /// Never goes back: a clock that lost time stands still until then.
    mutating func clock(at now: Instant) -> Instant {
        lastTime = max(lastTime, now - stalled)
        return lastTime
    }

    /// A clock that stands still goes on from where it is.
    mutating func wakeClock(at now: Instant) { stalled = now - clock(at: now) }
}
