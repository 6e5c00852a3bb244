// SPDX-License-Identifier: Apache-2.0

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
        let isKnown = store.read { [configuration] tables in
            tables.nodes[configuration.node]?.isDraining == true
        }
        let burden = NodeDeparture.Burden(
            isUnannounced: !isKnown || !publisherAnswers, isRelay: isRelay, paths: paths,
            connections: connections)
        guard departure.step(burden, at: now) else { return }
        departureChanged(into: &effects)
    }

    /// First what lasts, then what is told, then what this node does.
    private func departureChanged(into effects: inout [StateEffect]) {
        effects.append(.persistDeparture(departure))
        effects.append(.tellOwnNode)
        effects.append(.health(.departure(departure.phase)))
        effects.append(.note(.departure(departure.phase, waitsFor: departure.burden.sentences)))
    }
}
