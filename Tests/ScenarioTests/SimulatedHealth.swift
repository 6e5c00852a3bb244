// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability

@testable import MeshAgent

/// The health cores of one node, as ``HealthService`` drives them: paths and verdicts. What members of
/// a cluster hold each other for is ``World``'s to say.
struct SimulatedHealth {
    private let own: NodeID
    private var monitor: PathMonitor
    private var verdicts = VerdictEngine()
    private(set) var plan = HealthService.Plan()
    /// Every word stored in this life.
    private(set) var changes: [LivenessChange] = []
    private(set) var hearsay: [ClusterID: Hearsay] = [:]

    /// What leaves the node.
    struct Outcome {
        var beats: [OutgoingBeat] = []
        var report: RelayReport?
        var sets: [(cluster: ClusterID, generation: UInt64)] = []
        var words: [LivenessChange] = []
    }

    init(of own: NodeID, peers: [ClusterID], instance: UInt64, at now: Instant) {
        self.own = own
        monitor = PathMonitor(cluster: own.cluster, node: own.name, instance: instance)
        for peer in peers { verdicts.add(peer, at: now) }
    }

    mutating func take(_ input: HealthInput, at now: Instant) -> Outcome {
        act(at: now) { health, paths, verdicts in
            switch input {
            case .follow(let plan):
                health.plan = plan
                health.monitor.configure(plan.paths, at: now, into: &paths)
                // As if services everywhere had backends everywhere.
                health.verdicts.use(plan.clusters, at: now, into: &verdicts)
            case .relayReport(let report):
                health.verdicts.receive(report, at: now, into: &verdicts)
            case .announce(let relaySet, let head, let rollup):
                health.monitor.announce(head: head, rollup: rollup, relaySetGeneration: relaySet)
            case .workload(let workload): health.monitor.announce(workload)
            case .heardSay(let hearsay, let cluster): health.hearsay[cluster] = hearsay
            case .claim, .moved, .declare, .departure: break
            }
        }
    }

    mutating func receive(_ beat: Heartbeat, from remote: NodeID, at now: Instant) -> Outcome {
        act(at: now) { health, paths, _ in
            let path = PathID(local: health.own.name, remote: remote)
            health.monitor.receive(beat, on: path, at: now, into: &paths)
        }
    }

    mutating func tick(at now: Instant) -> Outcome? {
        guard
            [monitor.nextWake, verdicts.nextWake].contains(where: { $0.map { $0 <= now } == true })
        else { return nil }
        return act(at: now) { health, paths, verdicts in
            health.monitor.tick(at: now, into: &paths)
            health.verdicts.tick(at: now, into: &verdicts)
        }
    }

    private mutating func act(
        at now: Instant,
        _ body: (inout SimulatedHealth, inout PathEffects, inout VerdictEffects) -> Void
    ) -> Outcome {
        var paths = PathEffects()
        var effects = VerdictEffects()
        body(&self, &paths, &effects)
        if let report = paths.report { verdicts.receive(report, at: now, into: &effects) }
        changes += effects.words
        var outcome = Outcome(beats: paths.beats, report: paths.report, words: effects.words)
        for case .relaySetChanged(let path, let generation) in paths.events {
            outcome.sets.append((path.cluster, generation))
        }
        return outcome
    }

    /// On which it sends heartbeats.
    var beatingPaths: Int { monitor.pathIDs.count }

    func verdict(of cluster: ClusterID) -> Verdict? { verdicts.word(of: cluster)?.verdict }

    /// Relays of a cluster that this one hears, and that hear it.
    func pathsUp(to cluster: ClusterID, at now: Instant) -> [String] {
        monitor.statuses(at: now).filter { $0.state == .up && $0.remote.cluster == cluster }
            .map(\.remote.name)
    }
}
