// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshSimulation
import Testing

@testable import MeshReachability

@Suite("A path monitor's queue", .tags(.simulation)) struct PathQueueTests {
    private static let own = ClusterID(rawValue: 1)!
    private static let paths = (2...9).map {
        PathID(local: "a", remote: NodeID(cluster: ClusterID(rawValue: $0)!, name: "b")!)
    }

    /// What somebody outside sees, to the millisecond at which it was looked.
    private struct Seen: Equatable {
        let beats: [OutgoingBeat]
        let events: [PathEvent]
        let reported: [PathStatus]?
    }

    private static func seen(_ effects: PathEffects) -> Seen {
        Seen(
            beats: effects.beats.sorted {
                ($0.path, $0.beat.sequence) < ($1.path, $1.beat.sequence)
            },
            events: effects.events.sorted { "\($0)" < "\($1)" }, reported: effects.report?.paths)
    }

    @Test("who looks at the paths that are due sees what somebody does who always looks at all")
    func equivalence() {
        for seed in Replay.seeds(12) {
            var generator = SeededGenerator(seed: seed)
            var now = Instant(nanoseconds: 3_600_000_000_000)
            var queued = PathMonitor(cluster: Self.own, node: "a", instance: 11)
            var eager = queued
            var next: [PathID: (due: Instant, sequence: UInt64, echo: HeartbeatEcho?)] = [:]
            for path in Self.paths { next[path] = (now, 1, nil) }
            var silentUntil: [PathID: Instant] = [:]
            for step in 0..<30_000 {
                var mine = PathEffects()
                var others = PathEffects()
                func both(_ body: (inout PathMonitor, inout PathEffects) -> Void) {
                    body(&queued, &mine)
                    body(&eager, &others)
                }
                if step == 0 || generator.chance(0.0002) {
                    let plans = Self.paths.filter { _ in generator.chance(0.9) }.map {
                        PathPlan(
                            path: $0, isInUse: generator.chance(0.5),
                            isSingle: generator.chance(0.5),
                            wasUp: generator.chance(0.5))
                    }
                    both { $0.configure(plans, at: now, into: &$1) }
                }
                if generator.chance(0.0001) {
                    let drain = DrainDeclaration(
                        generation: UInt64(step + 1), isDraining: generator.chance(0.5))
                    both { $0.declare(drain, at: now, into: &$1) }
                }
                for path in Self.paths {
                    if generator.chance(0.00005) { silentUntil[path] = now + .seconds(3) }
                    guard let beat = next[path], beat.due <= now else { continue }
                    next[path] = (now + .milliseconds(200), beat.sequence + 1, beat.echo)
                    guard (silentUntil[path] ?? .zero) <= now, generator.chance(0.97) else {
                        continue
                    }
                    let heartbeat = Heartbeat(
                        cluster: path.cluster, instance: 22, sequence: beat.sequence, sentAt: now,
                        interval: .milliseconds(200), wanted: .milliseconds(200), isScheduled: true,
                        echo: beat.echo, drain: .never, head: .origin, rollup: .zero,
                        relaySetGeneration: 1)
                    both { $0.receive(heartbeat, on: path, at: now, into: &$1) }
                }
                if let due = queued.nextWake, due <= now { queued.tick(at: now, into: &mine) }
                eager.tick(at: now, into: &others)
                eager.lookAtAll(at: now, into: &others)
                for out in mine.beats {
                    next[out.path]?.echo = HeartbeatEcho(
                        sequence: out.beat.sequence, hold: .milliseconds(1))
                }
                guard Self.seen(mine) == Self.seen(others) else {
                    Issue.record(
                        "at step \(step): \(Self.seen(mine)) is not \(Self.seen(others)); \(Replay.hint(seed, filter: "PathQueueTests"))"
                    )
                    return
                }
                now = now + .milliseconds(1)
            }
        }
    }
}
