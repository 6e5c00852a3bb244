// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import MeshModel

/// How the source's node sees what its programs go by, in the place of how this one does.
extension FlowScene {
    mutating func adopt(_ account: FlowAccount) {
        for known in account.clusters {
            guard let index = clusters.firstIndex(where: { $0.id == known.cluster.rawValue })
            else { continue }
            clusters[index].verdict = VerdictName(known.word.verdict)
            clusters[index].sinceSeconds = known.word.sinceSeconds
            clusters[index].weight = known.word.weight
        }
        for known in account.nodes {
            let index = nodes.firstIndex {
                $0.cluster.id == known.node.cluster.rawValue && $0.name == known.node.name
            }
            guard let index else { continue }
            nodes[index].verdict = VerdictName(known.word.verdict)
            nodes[index].sinceSeconds = known.word.sinceSeconds
            nodes[index].weight = known.word.weight
        }
        if account.endpointMTU > 0 { endpointMTU = account.endpointMTU }
    }
}

extension ServiceStatus {
    mutating func adopt(_ account: FlowAccount) {
        if !account.lag.isEmpty {
            state = .error
            reason = account.lag
        } else {
            state = .done
            reason = nil
        }
        let clusters = Dictionary(account.clusters.map { ($0.cluster.rawValue, $0.word) }) { $1 }
        let nodes = Dictionary(account.nodes.map { ($0.node, $0.word) }) { $1 }
        let quarantines = Dictionary(account.quarantines.map { ($0.backend, $0) }) { $1 }
        for slice in slices.indices {
            let id = slices[slice].cluster.id
            if let word = clusters[id] { slices[slice].isLive = word.weight > 0 }
            for index in slices[slice].backends.indices {
                slices[slice].backends[index].adopt(nodes, quarantines, in: id)
            }
        }
    }
}

extension BackendStatus {
    fileprivate mutating func adopt(
        _ nodes: [NodeID: FlowAccount.Word],
        _ quarantines: [AccountAsk.Target: FlowAccount.Quarantine], in cluster: UInt16
    ) {
        if let id = ClusterID(rawValue: cluster), let holder = NodeID(cluster: id, name: node),
            let word = nodes[holder]
        {
            isLive = word.weight > 0
        }
        quarantine = Address(address).flatMap {
            quarantines[AccountAsk.Target(address: $0, port: port)]
        }.map {
            QuarantineStatus(
                sinceSeconds: Double($0.sinceMilliseconds) / 1000, reason: $0.reason)
        }
    }
}

extension FlowAccount.Word {
    fileprivate var sinceSeconds: Double { Double(sinceMilliseconds) / 1000 }
}
