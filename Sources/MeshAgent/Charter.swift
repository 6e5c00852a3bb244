// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReplication

/// What other clusters may announce here: addresses inside their charter's prefixes and identities of
/// their own only, so that a compromised cluster can't take another one's traffic or name.
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
        if let identity = Self.identity(of: key, entry.value), identity.cluster != cluster {
            return .refuse("\(key): identity \(identity) is not one of cluster \(cluster)")
        }
        return .accept
    }

    /// Nil for none, and for an endpoint that has none yet.
    private static func identity(of key: RecordKey, _ value: [UInt8]) -> Identity? {
        let identity: Identity? =
            switch key.kind {
            case .endpoint: (try? EndpointRecord(encoded: value))?.identity
            case .identity: (try? IdentityRecord(encoded: value))?.identity
            case .namespace, .node, .service, .slice: nil
            }
        return identity?.rawValue == 0 ? nil : identity
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
