// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability

/// What the own cluster's nodes said last that their trust rests on.
struct TrustReceipts {
    /// Every node of the cluster, and what it said; nil: nothing that can be read.
    private let receipts: [(node: String, receipt: ReceiptRecord?)]
    private let dead: Set<String>

    init(_ core: StateCore) {
        let names = core.members.map(\.name)
        receipts = names.map { ($0, core.book.receipts[$0]) }
        dead = Set(names.filter { core.relayKeeper.isDead($0) })
    }

    /// Whether the roots that hash to `digest` are in force for a cluster at every node that isn't
    /// dead. One that is dead hears of them when it returns, from this cluster's others.
    func liveNodesHold(_ digest: UInt64, of cluster: ClusterID) -> Bool {
        receipts.allSatisfy { node, receipt in
            dead.contains(node) || receipt?.bundles[cluster] == digest
        }
    }

    /// Whether every node, dead or not, holds these roots of its own cluster: without them it can't
    /// come back.
    func allHold(_ digest: UInt64, ofOwn cluster: ClusterID) -> Bool {
        receipts.allSatisfy { $0.receipt?.bundles[cluster] == digest }
    }

    /// Nodes whose certificate doesn't rest on the key with this identifier, or which sign below another
    /// root.
    func nodesNot(under key: [UInt8], root: [UInt8]) -> [String] {
        receipts.filter { _, receipt in
            guard let receipt, receipt.issuers.contains(key) else { return true }
            return !receipt.authority.isEmpty && receipt.authority != root
        }.map(\.node)
    }
}
