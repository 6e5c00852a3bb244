// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReplication
import MeshStore

/// What ledgers and reports say about trust, at a moment. Whoever waits for something holds this, not
/// the core: a second holder of its tables would make every change copy them.
struct TrustView: Sendable {
    /// A node whose picture of its own ledger is older than this takes no peer away.
    private static let ageLimit = Duration.seconds(10)

    let peers: [PeerCluster]
    /// See ``RecordTables``.
    let statements: [ClusterID: [String: [UInt8]]]
    let members: [String: [UInt8]]
    let authority: AuthorityRecord?
    let revision: UInt64
    /// Whether the own ledger, as it is here, lacks no peer. A publisher that starts may have to hear
    /// from its home first.
    let isComplete: Bool
    let linked: Set<ClusterID>
    let receipts: TrustReceipts
    let configuredRelays: [String]
    let store: MeshStore

    init(_ core: StateCore, at now: Instant) {
        peers = core.peers
        statements = core.tables.statements
        members = core.tables.members
        authority = core.tables.authority
        revision = core.tables.trustRevision
        if core.isOpen {
            isComplete = core.book.isComplete(of: core.configuration.home)
        } else {
            isComplete =
                core.synchroniser.age(of: core.configuration.cluster, at: now)
                .map { $0 < Self.ageLimit } ?? false
        }
        linked = Set(core.links.values.map(\.cluster))
        receipts = TrustReceipts(core)
        configuredRelays = core.configuredRelays
        store = core.store
    }
}
