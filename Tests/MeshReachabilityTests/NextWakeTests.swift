// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability
import MeshSimulation
import Testing

/// A core that has run and wants to run again at once, or all the time, keeps a processor busy for
/// ever. Here each gets inputs at random, and whatever they were, then wakes when it asks to.
@Suite("No core keeps its shell awake", .tags(.simulation))
struct NextWakeTests {
    /// What a test does to a core, time and chance included.
    struct Shell {
        var now = Instant(nanoseconds: 3_600_000_000_000)
        var generator: SeededGenerator
        let hint: String

        init(_ seed: UInt64) {
            generator = SeededGenerator(seed: seed)
            hint = Replay.hint(seed, filter: "NextWakeTests")
        }

        mutating func pick<Value>(_ values: [Value]) -> Value {
            values[Int(generator.next() % UInt64(values.count))]
        }

        mutating func pass(atMost bound: Duration) {
            now = now + generator.duration(below: bound)
        }

        /// Wakes the core when it asks to for 10 s, in which nothing happens.
        mutating func idle(_ what: String, asking: () -> Instant?, wake: (Instant) -> Void) {
            let end = now + .seconds(10)
            var wakes = 0
            while let next = asking(), next <= end {
                now = max(now, next)
                wake(now)
                wakes += 1
                if let next = asking(), next <= now {
                    Issue.record("\(what) ran and wants to run again at once; \(hint)")
                    return
                }
                if wakes > 1000 {
                    Issue.record("\(what) woke 1,000 times in 10 s; \(hint)")
                    return
                }
            }
            now = end
        }
    }

    static let own = ClusterID(rawValue: 1)!
    static let clusters = (2...4).map { ClusterID(rawValue: $0)! }

    @Test("nodes: dead, returned, contradicted, answered for, claimed dead")
    func liveness() {
        for seed in Replay.seeds(60) {
            var shell = Shell(seed)
            var liveness = NodeLiveness(own: Self.own)
            let mine = ["me", "b", "c"].map { NodeID(cluster: Self.own, name: $0)! }
            let theirs = ["x", "y", "z"].map { NodeID(cluster: Self.clusters[0], name: $0)! }
            for _ in 0..<40 {
                let node = shell.pick(mine + theirs)
                let now = shell.now
                switch shell.generator.next() % 9 {
                case 0: liveness.add(node, at: now)
                case 1:
                    let word = LivenessWord(
                        verdict: shell.pick([.up, .unreachable]), weight: 255, generation: 3)
                    liveness.add(node, restoring: word, at: now)
                case 2: _ = liveness.hear(node, at: now)
                case 3, 4:
                    let belief = shell.pick([NodeLiveness.Belief.live, .suspect, .dead, .left])
                    _ = liveness.believe(node, belief, at: now)
                case 5: _ = liveness.answered(node, at: now)
                case 6: _ = liveness.contradict(node, shell.pick([true, false]), at: now)
                case 7:
                    _ = liveness.setReachable(relays: theirs, of: Self.clusters[0], at: now)
                    _ = liveness.receive(dead: [node], claimedBy: shell.pick(theirs), at: now)
                default: liveness.remove(node)
                }
                if shell.pick([true, false]) { shell.pass(atMost: .seconds(1)) }
                // As the shell does: ask kernels, then judge.
                _ = liveness.takeProbes(at: shell.now)
                _ = liveness.tick(at: shell.now)
                if let next = liveness.nextWake, next <= shell.now {
                    Issue.record("wants to run again at once; \(shell.hint)")
                    return
                }
            }
            shell.idle(
                "node liveness", asking: { liveness.nextWake },
                wake: {
                    _ = liveness.takeProbes(at: $0)
                    _ = liveness.tick(at: $0)
                })
        }
    }

    @Test("clusters: suspect, gone, held, ramping, draining, suppressed, behind, restored")
    func verdicts() {
        for seed in Replay.seeds(60) {
            var shell = Shell(seed)
            var engine = VerdictEngine()
            var effects = VerdictEffects()
            for cluster in Self.clusters {
                let verdict = shell.pick(Verdict.allCases)
                let word = LivenessWord(verdict: verdict, weight: 100, generation: 1)
                engine.add(cluster, restoring: shell.pick([nil, word]), at: shell.now)
            }
            engine.use(Self.clusters, at: shell.now, into: &effects)
            for step in 1...60 {
                let cluster = shell.pick(Self.clusters)
                switch shell.generator.next() % 8 {
                case 0:
                    engine.declare(
                        DrainDeclaration(
                            generation: UInt64(step), isDraining: shell.pick([true, false])),
                        by: cluster, at: shell.now, into: &effects)
                case 1:
                    engine.setCaughtUp(
                        shell.pick([true, false]), cluster, at: shell.now, into: &effects)
                default:
                    // A whole cluster at a time, so that verdicts are taken often.
                    let missed = shell.pick([0, 0, 2, 4])
                    for relay in 0..<3 {
                        let report = Self.report(
                            relay, UInt64(step), of: cluster, missed: missed,
                            isAbstaining: shell.generator.chance(0.1))
                        engine.receive(report, at: shell.now, into: &effects)
                    }
                }
                shell.pass(atMost: shell.pick([.milliseconds(300), .seconds(8)]))
                engine.tick(at: shell.now, into: &effects)
                if let next = engine.nextWake, next <= shell.now {
                    Issue.record("wants to run again at once; \(shell.hint)")
                    return
                }
            }
            shell.idle(
                "the verdict engine", asking: { engine.nextWake },
                wake: { engine.tick(at: $0, into: &effects) })
        }
    }

    static func report(
        _ relay: Int, _ sequence: UInt64, of cluster: ClusterID, missed: Int, isAbstaining: Bool
    ) -> RelayReport {
        let status = PathStatus(
            remote: NodeID(cluster: cluster, name: "r\(relay)")!,
            state: missed >= 3 ? .down : missed >= 2 ? .suspect : .up, missed: UInt8(missed),
            beats: missed == 0 ? 20 : 0, silence: .milliseconds(200 * missed), roundTrip: nil,
            drain: .never, head: .origin, relaySetGeneration: 0)
        return RelayReport(
            relay: "\(cluster)-\(relay)", sequence: sequence, instance: 1,
            isAbstaining: isAbstaining, paths: [status])
    }

    @Test("paths: heard, lost, insisting on a drain, held up, gone from the plan")
    func paths() {
        for seed in Replay.seeds(60) {
            var shell = Shell(seed)
            var monitor = PathMonitor(cluster: Self.own, node: "a", instance: 11)
            var effects = PathEffects()
            let paths = Self.clusters.map {
                PathID(local: "a", remote: NodeID(cluster: $0, name: "b")!)
            }
            for step in UInt64(1)...60 {
                switch shell.generator.next() % 6 {
                case 0:
                    let plans = paths.filter { _ in shell.generator.chance(0.8) }.map {
                        PathPlan(
                            path: $0, isInUse: shell.generator.chance(0.5),
                            isSingle: shell.generator.chance(0.5),
                            wasUp: shell.generator.chance(0.5))
                    }
                    monitor.configure(plans, at: shell.now, into: &effects)
                case 1:
                    monitor.declare(
                        DrainDeclaration(generation: step, isDraining: shell.pick([true, false])),
                        at: shell.now, into: &effects)
                default:
                    let path = shell.pick(paths)
                    let beat = Heartbeat(
                        cluster: path.cluster, instance: shell.pick([22, 22, 22, 23]),
                        sequence: step, sentAt: shell.now,
                        interval: shell.pick([.milliseconds(1), .milliseconds(200), .seconds(60)]),
                        wanted: shell.pick([.milliseconds(1), .milliseconds(200), .seconds(60)]),
                        isScheduled: shell.pick([true, false]),
                        echo: HeartbeatEcho(sequence: step, hold: .milliseconds(10)),
                        drain: .never, head: .origin, rollup: .zero, relaySetGeneration: 1)
                    monitor.receive(beat, on: path, at: shell.now, into: &effects)
                }
                shell.pass(atMost: shell.pick([.milliseconds(50), .seconds(2)]))
                monitor.tick(at: shell.now, into: &effects)
                if let next = monitor.nextWake, next <= shell.now {
                    Issue.record("wants to run again at once; \(shell.hint)")
                    return
                }
            }
            shell.idle(
                "the path monitor", asking: { monitor.nextWake },
                wake: { monitor.tick(at: $0, into: &effects) })
        }
    }
}
