// SPDX-License-Identifier: Apache-2.0

import MeshLease
import MeshModel
import MeshStore

// MARK: This node leaves its cluster

extension StateCore {
    /// Goes on where the last life of this agent was.
    mutating func resume(_ departure: NodeDeparture, into effects: inout [StateEffect]) {
        self.departure = departure
        effects.append(.health(.departure(departure.phase)))
    }

    mutating func leave(
        within timeout: Duration, at now: Instant, into effects: inout [StateEffect]
    ) {
        guard departure.leave(within: timeout, at: now) else { return }
        departureChanged(into: &effects)
    }

    mutating func stayAfterAll(into effects: inout [StateEffect]) {
        guard departure.stayAfterAll() else { return }
        departureChanged(into: &effects)
    }

    /// Call every second while this node drains.
    ///
    /// - Parameters:
    ///   - connections: that others opened to this node's endpoints.
    ///   - paths: on which this node sends heartbeats.
    mutating func stepDeparture(
        connections: Int, paths: Int, at now: Instant, into effects: inout [StateEffect]
    ) {
        let burden = NodeDeparture.Burden(
            isUnannounced: !isKnownToLeave || !publisherAnswers, isRelay: isRelay, paths: paths,
            connections: connections,
            publishing: !isOpen ? .no : successors.isEmpty ? .untilStopped : .untilSucceeded)
        guard departure.step(burden, at: now) else { return }
        departureChanged(into: &effects)
    }

    private var isKnownToLeave: Bool {
        store.read { [configuration] tables in
            tables.nodes[configuration.node]?.isDraining == true
        }
    }

    /// Others that may publish, are linked and stay.
    private var successors: [String] {
        let linked = Set(links.values.filter { $0.cluster == configuration.cluster }.map(\.name))
        return configuration.publisher.candidates.filter { name in
            guard name != configuration.node.name, linked.contains(name),
                let node = NodeID(cluster: configuration.cluster, name: name)
            else { return false }
            return store.read { $0.nodes[node]?.isDraining == false }
        }
    }

    /// Who leaves hands the lease to those who stay, as soon as its own word is in the ledger, and
    /// takes it again if they go.
    mutating func judgeCandidacy(at now: Instant, into effects: inout [StateEffect]) {
        guard let candidacy else { return }
        let yields =
            departure.phase != .serving && !successors.isEmpty && (!isOpen || isKnownToLeave)
        if yields, !candidacy.hasYielded {
            self.candidacy?.hasYielded = true
            resign(at: now, into: &effects)
        } else if !yields, candidacy.hasYielded, candidacy.keeper.isWithdrawn {
            self.candidacy?.hasYielded = false
            reinstate(at: now, into: &effects)
        }
    }

    /// First what lasts, then what is told, then what this node does.
    private func departureChanged(into effects: inout [StateEffect]) {
        effects.append(.persistDeparture(departure))
        effects.append(.tellOwnNode)
        effects.append(.health(.departure(departure.phase)))
        effects.append(.note(.departure(departure.phase, waitsFor: departure.burden.sentences)))
    }
}
