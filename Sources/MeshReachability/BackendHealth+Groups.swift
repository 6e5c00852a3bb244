// SPDX-License-Identifier: Apache-2.0

import MeshModel
import OrderedCollections

/// Silence of many backends at once.
extension BackendHealth {
    /// A silent backend, in quarantine or not yet.
    private struct Silence {
        let address: Address
        let node: NodeID
        let since: Instant
    }

    /// Raises what is new, keeps what goes on, and clears what is over.
    mutating func suspectGroups(
        _ topology: BackendTopology, into effects: inout BackendHealthEffects
    ) {
        for (subject, suspicion) in suspected { forgive(subject, since: suspicion.since) }
        let silences = silences(topology)
        var current: OrderedDictionary<Suspicion.Subject, Suspicion> = [:]
        let clusters = topology.addressesInCluster.keys.sorted().filter { $0 != own.cluster }
        for cluster in clusters {
            let there = silences.filter { $0.node.cluster == cluster }
            guard Set(there.map(\.node)).count > 1 else { continue }
            current[.cluster(cluster)] = suspicion(
                of: .cluster(cluster), there, topology.addressesInCluster[cluster]?.count ?? 0)
        }
        // This node is here: its own backends are silent one by one.
        for node in topology.addressesOnNode.keys.sorted() where node != own {
            guard current[.cluster(node.cluster)] == nil else { continue }
            current[.node(node)] = suspicion(
                of: .node(node), silences.filter { $0.node == node },
                topology.addressesOnNode[node]?.count ?? 0)
        }
        for (subject, suspicion) in suspected where current[subject] == nil {
            effects.suspicions.append(suspicion.over)
        }
        for (subject, suspicion) in current where suspected[subject] == nil {
            effects.suspicions.append(suspicion)
        }
        suspected = current
    }

    /// Something there answers again: silence from before says no more of single backends.
    private mutating func forgive(_ subject: Suspicion.Subject, since: Instant) {
        let sign = signs.filter { subject.contains($0.key) && $0.value >= since }.values.max()
        guard let sign else { return }
        episodes.removeAll { _, episode in
            episode.lastFailure == .silent && episode.last <= sign
                && episode.node.map(subject.contains) == true
        }
    }

    /// Open episodes count from their first failure on, quarantines while they last: the backends of
    /// one node cross the threshold one after the other.
    private func silences(_ topology: BackendTopology) -> [Silence] {
        var silences: [Silence] = []
        for (backend, episode) in episodes where episode.lastFailure == .silent {
            guard let node = topology.node(of: backend) else { continue }
            silences.append(
                Silence(address: backend.address, node: node, since: episode.first))
        }
        for quarantine in quarantines where quarantine.failure == .silent {
            silences.append(
                Silence(
                    address: quarantine.backend.address, node: quarantine.node,
                    since: quarantine.since))
        }
        return silences
    }

    /// Nil unless most of what is `known` there is silent, and nothing there has answered since.
    private func suspicion(
        of subject: Suspicion.Subject, _ silences: [Silence], _ known: Int
    ) -> Suspicion? {
        let addresses = Set(silences.map(\.address))
        guard addresses.count >= parameters.groupMinimum, addresses.count * 2 > known,
            let since = silences.map(\.since).min()
        else { return nil }
        guard !signs.contains(where: { subject.contains($0.key) && $0.value >= since })
        else { return nil }
        return Suspicion(
            subject: subject, isRaised: true, silent: addresses.count, known: known,
            since: suspected[subject]?.since ?? since)
    }

    /// Whether silence on a node is another's to judge: for a while the node's, as long as it lasts the
    /// cluster's.
    func isLeftToOthers(_ node: NodeID, at now: Instant) -> Bool {
        if suspected[.cluster(node.cluster)] != nil { return true }
        guard let suspicion = suspected[.node(node)] else { return false }
        return now - suspicion.since <= parameters.groupPatience
    }
}

extension Suspicion.Subject {
    fileprivate func contains(_ node: NodeID) -> Bool {
        switch self {
        case .node(let own): own == node
        case .cluster(let cluster): cluster == node.cluster
        }
    }
}

extension Suspicion {
    fileprivate var over: Suspicion {
        Suspicion(subject: subject, isRaised: false, silent: silent, known: known, since: since)
    }
}
