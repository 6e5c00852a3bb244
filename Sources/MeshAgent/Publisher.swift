// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes
import MeshModel
import MeshReplication

/// Turns the reports of a cluster's nodes into changes of its ledger. Lives on the publisher.
struct Publisher {
    private let clusterName: ClusterName
    private var merger = ReportMerger()
    private var identities: IdentityAllocator
    /// Identities in the ledger, and how many endpoints use each.
    private var users: [Identity: Int] = [:]
    private var identityOf: [RecordKey: Identity] = [:]

    init(cluster: ClusterID, name: ClusterName) {
        clusterName = name
        identities = IdentityAllocator(cluster: cluster)
    }

    var conflicts: [String] { merger.conflicts.map(\.description) }

    /// - Parameter node: who reported; a node speaks for its own endpoints and its own record only.
    /// - Returns: what the ledger has to change, in the order of the keys.
    mutating func apply(
        _ keys: some Sequence<RecordKey>, of node: String, from book: ReportBook
    ) -> [LedgerChange] {
        keys.sorted().flatMap { key -> [LedgerChange] in
            let put = book.reports[node]?[key]
            guard
                let change = merger.update(
                    node: node, key: key, value: put?.value, revision: put?.since ?? 0)
            else { return [] }
            switch key.kind {
            case .endpoint: return endpoint(key, change.value)
            case .identity: return []
            case .namespace, .node, .service, .slice:
                return [change.value.map { .put(key, $0) } ?? .delete(key)]
            }
        }
    }

    /// An endpoint goes into the ledger with a number in place of its labels.
    private mutating func endpoint(_ key: RecordKey, _ value: [UInt8]?) -> [LedgerChange] {
        let former = identityOf[key]
        var changes: [LedgerChange] = []
        var identity: Identity?
        if let value, let record = try? EndpointRecord(encoded: value) {
            let labels = identityLabels(of: record, cluster: clusterName)
            identity = identities.identity(for: labels, claimed: record.identity)
            if let identity, users[identity] == nil {
                changes.append(.put(IdentityRecord(identity: identity, labels: labels)))
            }
            changes.append(
                .put(
                    EndpointRecord(
                        object: record.object, node: record.node, addresses: record.addresses,
                        identity: identity ?? Identity(rawValue: 0), labels: [:])))
        } else {
            // Undecodable reads as gone: a node never sends what it can't read itself.
            changes.append(.delete(key))
        }
        identityOf[key] = identity
        if let identity { users[identity, default: 0] += 1 }
        if let former {
            users[former, default: 1] -= 1
            if users[former] == 0 {
                users[former] = nil
                changes.append(.delete(RecordKey(kind: .identity, name: String(former.rawValue))))
            }
        }
        return changes
    }
}

// MARK: After a restart

extension Publisher {
    /// Numbers given out before stay with their labels.
    mutating func adopt(_ view: some Sequence<LedgerEntry>) {
        for entry in view {
            guard RecordKey(entry.key)?.kind == .identity,
                let record = try? IdentityRecord(encoded: entry.value)
            else { continue }
            _ = identities.identity(for: record.labels, claimed: record.identity)
        }
    }

    /// What the ledger still holds from before and nobody says any more. An endpoint stays until its
    /// node has reported; everything else until all members have.
    func stale(
        in view: some Sequence<LedgerEntry>, reporters: Set<String>, members: Set<String>
    ) -> [LedgerChange] {
        let values = merger.values
        let isComplete = reporters.isSuperset(of: members)
        return view.compactMap { entry -> LedgerChange? in
            guard let key = RecordKey(entry.key), values[key] == nil else { return nil }
            switch key.kind {
            case .endpoint:
                let node = (try? EndpointRecord(encoded: entry.value))?.node
                let mayGo = node.map { reporters.contains($0) || !members.contains($0) } ?? true
                return mayGo ? .delete(key) : nil
            case .identity:
                let isUsed =
                    UInt32(key.name).map { users[Identity(rawValue: $0)] != nil } ?? false
                return isComplete && !isUsed ? .delete(key) : nil
            case .namespace, .node, .service, .slice:
                return isComplete ? .delete(key) : nil
            }
        }
    }
}
