// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability

// MARK: Nodes of the own cluster that come and go

extension StateCore {
    /// These are the configured nodes of the own cluster from now on; those that the API server has stand
    /// beside them.
    ///
    /// Who isn't listed any more is dialled no longer, and waited for by nobody. What it said counts
    /// until its link ends: then it is gone from the ledger, and with it from everybody's tables.
    mutating func setMembers(
        _ wanted: [AgentConfiguration.Member], at now: Instant, into effects: inout [StateEffect]
    ) {
        guard wanted != configuredMembers else { return }
        configuredMembers = wanted
        resolveMembers(into: &effects)
        settle(into: &effects)
        forgetStrangers(at: now, into: &effects)
    }

    /// What the API server says of the cluster's nodes, for as long as no ledger does.
    mutating func setSeeds(
        _ nodes: [String: MemberRecord], into effects: inout [StateEffect]
    ) {
        seeds = nodes
        settle(into: &effects)
    }

    /// Whether somebody said which nodes there are beside this one.
    var knowsMembers: Bool {
        configuration.listsNodes || seeds != nil || !tables.listedNodes.isEmpty
    }

    /// Whether this node shall ask the API server for the cluster's nodes: it knows nobody to ask.
    var wantsNodes: Bool {
        configuration.kubernetes != nil && !configuration.listsNodes && tables.listedNodes.isEmpty
    }

    /// Takes up what the ledger, or the API server itself, says of nodes.
    mutating func followListedNodes(into effects: inout [StateEffect]) {
        guard configuration.kubernetes != nil else { return }
        let listed = tables.listedNodes.isEmpty ? seeds ?? [:] : tables.listedNodes
        guard listed != membersBasis else { return }
        membersBasis = listed
        resolveMembers(into: &effects)
    }

    private mutating func resolveMembers(into effects: inout [StateEffect]) {
        let wanted = Self.members(
            configured: configuredMembers, listed: membersBasis, own: configuration)
        guard wanted != members else { return }
        members = wanted
        membersHaveMoved = true
        planBasis = nil  // Links and paths may be others although no row is.
        let relays = Self.relays(among: wanted, of: configuration.cluster)
        guard relays != configuredRelays else { return }
        configuredRelays = relays
        effects.append(.tellOwnNode)
    }

    /// A configured node's address is the configuration's; of the others the first one of the underlay's
    /// family. An address that is configured is no second node's.
    private static func members(
        configured: [AgentConfiguration.Member], listed: [String: MemberRecord],
        own: AgentConfiguration
    ) -> [AgentConfiguration.Member] {
        var taken = Set(configured.map(\.address))
        let names = Set(configured.map(\.name) + [own.kubernetes?.nodeName ?? own.node.name])
        var result = configured
        for (name, record) in listed.sorted(by: { $0.key < $1.key }) where !names.contains(name) {
            guard
                let address = record.addresses.first(where: {
                    $0.isIPv4 == own.underlay.isIPv4
                }), taken.insert(address).inserted
            else { continue }
            result.append(AgentConfiguration.Member(name: name, address: address))
        }
        return result.sorted { $0.name < $1.name }
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
        // Of one that was never heard here there is nothing but what the ledger inherited.
        if !strangers.isEmpty || membersHaveMoved, isOpen { sweep(at: now, into: &effects) }
        membersHaveMoved = false
    }
}
