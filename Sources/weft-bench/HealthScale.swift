// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshModel
import MeshReachability
import MeshSimulation

/// What a relay's cores cost with many clusters, of which few are in use: processor time of the path monitor and
/// the verdict engine alone, and the bytes of its beats. ``RelayCost`` measures a whole agent.
struct HealthScale {
    private enum Event {
        case wake
        case beat(Heartbeat, from: NodeID)
        case report(RelayReport)
    }

    /// Simulated; what comes before is the start's.
    private static let measured = Duration.seconds(20)
    private static let inUse = 20
    /// Besides the one measured.
    private static let siblings = ["n1", "n2"]
    /// Of an IPv4 and a UDP header and of what sealing adds: key, counter and tag.
    private static let envelope = 28 + 40

    let clusters: Int

    private var simulation: Simulation<NodeID, Event>
    private var relay: PathMonitor
    private var engine = VerdictEngine(own: ClusterID(rawValue: 1))
    private var peers: [NodeID: PathMonitor] = [:]
    private let own: NodeID
    private var processorNanoseconds: UInt64 = 0
    private var sentBytes = 0
    private var beats = 0
    private var wakes: [NodeID: Instant] = [:]

    init(clusters: Int) {
        self.clusters = clusters
        own = Self.node(1)
        let link = Link(latency: .milliseconds(40), jitter: .milliseconds(5))
        simulation = Simulation(
            seed: 1, start: Instant(nanoseconds: 3_600_000_000_000),
            network: Network { _, _ in link })
        relay = PathMonitor(cluster: own.cluster, node: own.name, instance: 1)
    }

    private static func node(_ cluster: Int) -> NodeID {
        guard let id = ClusterID(rawValue: UInt16(cluster)),
            let node = NodeID(cluster: id, name: "n0")
        else { preconditionFailure("cluster \(cluster)") }
        return node
    }

    mutating func run() {
        let now = simulation.now
        var verdicts = VerdictEffects()
        var plans: [PathPlan] = []
        for number in 2...clusters + 1 {
            let id = Self.node(number)
            let isInUse = number < 2 + Self.inUse
            engine.add(id.cluster, at: now)
            plans.append(
                PathPlan(
                    path: PathID(local: own.name, remote: id), isInUse: isInUse, isSingle: false))
            var peer = PathMonitor(cluster: id.cluster, node: id.name, instance: UInt64(number))
            var effects = PathEffects()
            peer.configure(
                [
                    PathPlan(
                        path: PathID(local: id.name, remote: own), isInUse: isInUse, isSingle: false
                    )
                ], at: now, into: &effects)
            peers[id] = peer
            perform(effects, of: id)
        }
        engine.use(plans.filter(\.isInUse).map(\.path.remote.cluster), at: now, into: &verdicts)
        var effects = PathEffects()
        relay.configure(plans, at: now, into: &effects)
        perform(effects, of: own)
        advance(by: .seconds(10))
        (processorNanoseconds, sentBytes, beats) = (0, 0, 0)
        advance(by: Self.measured)
        let seconds = Double(Self.measured.components.seconds)
        let name = "health.scale.\(clusters)"
        Figure("\(name).processor", Double(processorNanoseconds) / seconds / 1e7, "% of a core")
            .report()
        Figure("\(name).sent", Double(sentBytes) / seconds, "bytes/s").report()
        Figure("\(name).beats", Double(beats) / seconds, "1/s").report()
        let up = plans.count { engine.word(of: $0.path.remote.cluster)?.verdict == .up }
        Figure("\(name).up", Double(up), "clusters", goal: "value>=\(clusters)").report()
    }

    private mutating func advance(by duration: Duration) {
        let end = simulation.now + duration
        while let (node, event) = simulation.next(until: end) {
            node == own ? handle(event) : handle(event, at: node)
        }
    }

    /// At the relay.
    private mutating func handle(_ event: Event) {
        let now = simulation.now
        var paths = PathEffects()
        var verdicts = VerdictEffects()
        let begin = Self.processorTime()
        switch event {
        case .wake:
            guard wakes[own].map({ $0 <= now }) ?? false else { return }
            wakes[own] = nil
            if let due = relay.nextWake, due <= now { relay.tick(at: now, into: &paths) }
            if let due = engine.nextWake, due <= now { engine.tick(at: now, into: &verdicts) }
        case .beat(let beat, let sender):
            relay.receive(
                beat, on: PathID(local: own.name, remote: sender), at: now, into: &paths)
        case .report(let report): engine.receive(report, at: now, into: &verdicts)
        }
        if let report = paths.report { engine.receive(report, at: now, into: &verdicts) }
        processorNanoseconds += Self.processorTime() - begin
        perform(paths, of: own)
    }

    private mutating func handle(_ event: Event, at id: NodeID) {
        let now = simulation.now
        var paths = PathEffects()
        switch event {
        case .wake:
            guard wakes[id].map({ $0 <= now }) ?? false else { return }
            wakes[id] = nil
            if let due = peers[id]?.nextWake, due <= now { peers[id]?.tick(at: now, into: &paths) }
        case .beat(let beat, let sender):
            peers[id]?.receive(
                beat, on: PathID(local: id.name, remote: sender), at: now, into: &paths)
        case .report: break
        }
        perform(paths, of: id)
    }

    private mutating func perform(_ effects: PathEffects, of id: NodeID) {
        for out in effects.beats {
            if id == own {
                sentBytes += out.beat.encoded.count + Self.envelope
                beats += 1
            }
            simulation.send(.beat(out.beat, from: id), from: id, to: out.path.remote)
        }
        if id == own, let report = effects.report {
            // The siblings hear the same, and say so as often.
            for sibling in Self.siblings {
                simulation.schedule(
                    .report(
                        RelayReport(
                            relay: sibling, sequence: report.sequence, instance: report.instance,
                            isAbstaining: report.isAbstaining, workload: report.workload,
                            paths: report.paths)), for: own,
                    at: simulation.now + .milliseconds(1))
            }
        }
        let asked = id == own ? [relay.nextWake, engine.nextWake] : [peers[id]?.nextWake]
        guard let wake = asked.compactMap({ $0 }).min(), wakes[id].map({ wake < $0 }) ?? true
        else { return }
        wakes[id] = wake
        simulation.schedule(.wake, for: id, at: max(wake, simulation.now))
    }

    private static func processorTime() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
