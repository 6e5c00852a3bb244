// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability
import MeshReplication
import MeshStore
import MeshTransport

// MARK: Which nodes talk to other clusters

extension StateCore {
    /// Without a link to a cluster for so long, a relay dials it though that one should: it may know
    /// none of this cluster's relays any more. Longer than two clusters that start together take.
    static let callBackPatience = Duration.seconds(2)

    /// Of the own cluster, in the order in which they are paired with others'.
    var relays: [String] { relays(of: configuration.cluster) }

    var isRelay: Bool { relays.contains(configuration.node.name) }

    /// As the cluster announces them, by the newest word that is here. Before its first word: the
    /// configured nodes of the highest rank, as they say it themselves.
    func relays(of cluster: ClusterID) -> [String] {
        if let set = tables.relaySets[cluster] { return set.relays }
        guard cluster != configuration.cluster else { return configuredRelays }
        let nodes = tables.relayNodes[cluster, default: []].sorted()
        return RelayChoice.relays(
            among: nodes.map { RelayCandidate(name: $0, zone: "") }, of: cluster,
            count: nodes.count)
    }

    /// The members of the cluster hold one of them for live or for dead.
    mutating func judged(
        _ name: String, isLive: Bool, at now: Instant, into effects: inout [StateEffect]
    ) {
        relayKeeper.note(name, isLive: isLive, at: now)
        keepRelays(at: now, into: &effects)
    }

    /// Announces another set if the publisher is here and the set isn't right.
    mutating func keepRelays(at now: Instant, into effects: inout [StateEffect]) {
        guard isOpen else { return }
        let members = members.map(\.name)
        let nodes = store.read { tables in
            members.compactMap { name in
                NodeID(cluster: configuration.cluster, name: name).flatMap { tables.nodes[$0] }
            }
        }
        let held = tables.relaySets[configuration.cluster]
        // The first word is said when everybody has been heard: until then the configured ones do.
        if held == nil, now - startedAt <= Self.completionPatience,
            nodes.count < members.count || !relayKeeper.knows(members)
        {
            return
        }
        let candidates = nodes.filter { !$0.isDraining }
            .map { RelayCandidate(name: $0.id.name, zone: $0.zone) }
        guard let set = relayKeeper.next(after: held, among: candidates, at: now) else { return }
        effects.append(.note(.relaysChosen(set)))
        publish([.put(set)], into: &effects)
    }

    /// A cluster's heartbeats tell of a set of relays that this node may still have to get.
    mutating func heard(ofRelaySet generation: UInt64, of cluster: ClusterID) {
        guard generation > tables.relaySets[cluster]?.generation ?? 0 else { return }
        relaySetsHeard[cluster] = generation
    }

    /// Says where this node stands to whoever may have a set that was heard of and didn't come: as a
    /// rule it came first.
    mutating func fetchRelaySets(into effects: inout [StateEffect]) {
        guard !relaySetsHeard.isEmpty else { return }
        let missing = relaySetsHeard.filter { cluster, generation in
            generation > tables.relaySets[cluster]?.generation ?? 0
        }
        relaySetsHeard = [:]
        announceHeads(of: missing.keys.sorted(), into: &effects)
    }
}

// MARK: Whom this node dials

extension StateCore {
    /// One side of each pair dials: the node with the lower name, the cluster with the lower ID; an
    /// authority that is no node dials all of them. A
    /// cluster is dialled at its configured addresses, at which it is known before its ledger is, and
    /// at its relays'.
    var linkTargets: [LinkTarget] {
        var targets =
            members
            .filter { $0.name > configuration.node.name || isApart }
            .map {
                LinkTarget(
                    address: $0.address, port: configuration.ports.state,
                    cluster: configuration.clusterName, node: $0.name)
            }
        guard isRelay else { return targets }
        for peer in peers
        where peer.id > configuration.cluster || calledBack.contains(peer.id) {
            targets += peer.addresses.map {
                LinkTarget(address: $0.address, port: $0.port, cluster: peer.name)
            }
            let known = Set(peer.addresses.map(\.address))
            let port = peer.addresses.first?.port ?? configuration.ports.state
            let nodes = relays(of: peer.id).compactMap { NodeID(cluster: peer.id, name: $0) }
            let relays = store.read { tables in
                nodes.compactMap { tables.nodes[$0]?.outerAddresses[0] }
            }
            for address in relays where !known.contains(address) {
                targets.append(LinkTarget(address: address, port: port, cluster: peer.name))
            }
        }
        return targets
    }

    /// Notes whom no relay of this cluster would dial, and who doesn't dial it either.
    mutating func callBack(at now: Instant, into effects: inout [StateEffect]) {
        let linked = Set(links.values.map(\.cluster))
        let isRelay = isRelay
        for peer in peers where !isRelay || linked.contains(peer.id) { linkedAt[peer.id] = now }
        let silent = peers.map(\.id).filter {
            $0 < configuration.cluster
                && now - (linkedAt[$0] ?? startedAt) > Self.callBackPatience
        }
        guard Set(silent) != calledBack else { return }
        calledBack = Set(silent)
        effects.append(.dial)
    }

}
