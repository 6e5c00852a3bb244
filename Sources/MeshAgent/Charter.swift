// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReplication

/// What other clusters may announce here: addresses inside their charter's prefixes only, so that a
/// compromised cluster can't take another one's traffic.
struct Charter: Sendable {
    private let prefixes: [ClusterID: [Prefix]]

    init(_ peers: [PeerCluster]) {
        prefixes = Dictionary(peers.map { ($0.id, $0.podPrefixes) }) { first, _ in first }
    }

    /// Records that don't decode pass: they are quarantined where they are read.
    @Sendable func judge(_ cluster: ClusterID, _ entry: LedgerEntry) -> RecordDecision {
        guard let allowed = prefixes[cluster], let key = RecordKey(entry.key) else {
            return .accept
        }
        for claimed in Self.claims(of: key, entry.value)
        where !allowed.contains(where: { $0.length <= claimed.length && $0.overlaps(claimed) }) {
            return .refuse("\(key): \(claimed) lies outside the charter of cluster \(cluster)")
        }
        return .accept
    }

    private static func claims(of key: RecordKey, _ value: [UInt8]) -> [Prefix] {
        switch key.kind {
        case .endpoint:
            (try? EndpointRecord(encoded: value))?.addresses.map { Prefix($0) } ?? []
        case .slice:
            (try? SliceRecord(encoded: value))?.endpoints.flatMap(\.addresses).map { Prefix($0) }
                ?? []
        case .node: (try? NodeRecord(encoded: value))?.podPrefixes ?? []
        case .identity, .namespace, .service: []
        }
    }
}
