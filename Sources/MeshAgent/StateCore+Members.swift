// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability

// MARK: Nodes of the own cluster that come and go

extension StateCore {
    /// These are the own cluster's nodes from now on.
    ///
    /// Who isn't listed any more is dialled no longer, and waited for by nobody. What it said counts
    /// until its link ends: then it is gone from the ledger, and with it from everybody's tables.
    mutating func setMembers(
        _ wanted: [AgentConfiguration.Member], at now: Instant, into effects: inout [StateEffect]
    ) {
        guard wanted != members else { return }
        members = wanted
        configuredRelays = Self.relays(among: wanted, of: configuration.cluster)
        planBasis = nil  // Links and paths may be others although no row is.
        settle(into: &effects)
        forgetStrangers(at: now, into: &effects)
    }

    static func relays(
        among members: [AgentConfiguration.Member], of cluster: ClusterID
    ) -> [String] {
        RelayChoice.relays(
            among: members.map { RelayCandidate(name: $0.name, zone: "") }, of: cluster)
    }

    /// Lets go of the reports of nodes that are neither listed nor linked.
    mutating func forgetStrangers(at now: Instant, into effects: inout [StateEffect]) {
        let linked = links.values.filter { $0.cluster == configuration.cluster }.map(\.name)
        let known = Set(members.map(\.name) + linked + [configuration.node.name])
        let strangers = Set(book.reports.keys).subtracting(known).sorted()
        for name in strangers {
            let keys = book.forget(name)
            applyOwn(view.forget(name), into: &effects)
            guard isOpen else { continue }
            publish(
                publisher?.apply(keys, of: name, from: book, at: now) ?? [], into: &effects)
        }
        if !strangers.isEmpty, isOpen { sweep(at: now, into: &effects) }
    }
}
