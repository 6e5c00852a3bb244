// SPDX-License-Identifier: Apache-2.0

import Logging
import MeshMembership
import MeshModel
import MeshReachability
import MeshTransport

// MARK: What comes in from other nodes and from the datapath

extension HealthService {
    func receive(_ arrival: HeartbeatArrival) {
        let path = PathID(local: own.name, remote: arrival.peer)
        let beat: Heartbeat
        do {
            beat = try Heartbeat(encoded: arrival.plaintext)
        } catch {
            log.debug(
                "A heartbeat can't be read",
                metadata: ["peer.node": "\(arrival.peer)", "error": "\(error)"])
            return
        }
        apply(liveness.hear(arrival.peer, at: arrival.arrival))
        let words = beat.testimonies.compactMap { testimony in
            names[testimony.nameHash].map { ($0, testimony.isHeard) }
        }
        gossip { effects in
            // None is a word, too: of whom it no longer speaks, it no longer vouches for.
            membership.testify(
                Dictionary(words) { $0 || $1 }, by: arrival.peer, at: .monotonicNow, into: &effects)
        }
        act { effects, _ in
            monitor.receive(
                beat, on: path, isInside: arrival.isInside, at: .monotonicNow, into: &effects)
        }
    }

    func receive(_ arrival: GossipArrival) {
        let now = Instant.monotonicNow
        gossip(at: now) { effects in
            membership.receive(
                arrival.plaintext, from: arrival.peer.name, at: now, into: &effects)
        }
        schedule()
    }

    /// Connections to many backends of a node or a cluster got no answer: said so, and a node's kernel
    /// is no longer taken at its word; a cluster's paths need one less to suspect it. Never proof by
    /// itself.
    func take(_ suspicion: Suspicion) {
        let now = Instant.monotonicNow
        let text =
            suspicion.isRaised
            ? "connections to \(suspicion.silent) of \(suspicion.known) of its backends get no answer"
            : "connections to its backends are answered again"
        switch suspicion.subject {
        case .node(let node):
            history.note(node.cluster, node: node.name, at: now, text)
            apply(liveness.contradict(node, suspicion.isRaised, at: now))
            schedule()
        case .cluster(let cluster):
            history.note(cluster, at: now, text)
            act(at: now) { _, effects in
                verdicts.contradict(cluster, suspicion.isRaised, at: now, into: &effects)
            }
        }
    }

    func receive(_ answer: ResponderAnswer) {
        if vouched.insert(answer.peer).inserted {
            history.note(
                answer.peer.cluster, node: answer.peer.name, at: answer.arrival,
                "its kernel answers: only its agent is silent, for ten seconds at most")
        }
        apply(liveness.answered(answer.peer, at: answer.arrival))
        schedule()
    }
}
