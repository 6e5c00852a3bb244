// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability

// MARK: What the own cluster's nodes verify with

extension StateCore {
    /// By the nodes' names, as each said last; a node that never did is missing.
    var receipts: [String: ReceiptRecord] {
        book.reports.compactMapValues { report in
            report.first { $0.key.kind == .receipt }
                .flatMap { try? ReceiptRecord(encoded: $0.value.value) }
        }
    }

    /// Whether the roots that hash to `digest` are in force for a cluster at every node that isn't
    /// dead. One that is dead hears of them when it returns, from this cluster's others.
    func liveNodesHold(_ digest: UInt64, of cluster: ClusterID) -> Bool {
        let receipts = receipts
        return configuration.members.allSatisfy {
            relayKeeper.isDead($0.name) || receipts[$0.name]?.bundles[cluster] == digest
        }
    }

    /// Nodes of the own cluster that don't hold these roots of it, dead or not: without them a node
    /// can't come back.
    func nodesWithout(_ digest: UInt64) -> [String] {
        let receipts = receipts
        return configuration.members.map(\.name).filter {
            receipts[$0]?.bundles[configuration.cluster] != digest
        }
    }

    /// Nodes of the own cluster whose certificate, or the authority they hold, doesn't rest on the key
    /// with this identifier.
    func nodesNot(under key: [UInt8], root: [UInt8]) -> [String] {
        let receipts = receipts
        return configuration.members.map(\.name).filter { name in
            guard let receipt = receipts[name], receipt.issuers.contains(key) else { return true }
            return !receipt.authority.isEmpty && receipt.authority != root
        }
    }
}
