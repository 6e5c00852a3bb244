// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability
import Testing

@Suite("A path that the plan lacks from now on")
struct RetiredPathTests {
    static let cluster = ClusterID(rawValue: 2)!
    static func path(_ remote: String) -> PathID {
        PathID(local: "a", remote: NodeID(cluster: cluster, name: remote)!)
    }

    var monitor = PathMonitor(cluster: ClusterID(rawValue: 1)!, node: "a", instance: 11)
    var effects = PathEffects()
    var now = Instant(nanoseconds: 5_000_000_000)
    var sequence: UInt64 = 0

    init() {
        plan("old")
        run(for: .seconds(3), hearing: ["old"])
        effects = PathEffects()
    }

    mutating func plan(_ remotes: String..., wasUp: Bool = false) {
        monitor.configure(
            remotes.map {
                PathPlan(path: Self.path($0), isInUse: true, isSingle: false, wasUp: wasUp)
            }, at: now, into: &effects)
    }

    /// Every 200 ms a beat of each of `remotes`, which have heard all of mine.
    mutating func run(
        for duration: Duration, hearing remotes: [String], isPlanned: Bool = true
    ) {
        let end = now + duration
        while now < end {
            now = now + .milliseconds(200)
            monitor.tick(at: now, into: &effects)
            for remote in remotes {
                sequence += 1
                let mine = effects.beats.last { $0.path == Self.path(remote) }?.beat
                let beat = Heartbeat(
                    cluster: Self.cluster, instance: 22, sequence: sequence,
                    sentAt: now - .milliseconds(40), interval: .milliseconds(200),
                    wanted: .milliseconds(200), isPlanned: isPlanned,
                    echo: mine.map { HeartbeatEcho(sequence: $0.sequence, hold: now - $0.sentAt) },
                    drain: .never, head: .origin, rollup: .zero, relaySetGeneration: 1)
                monitor.receive(beat, on: Self.path(remote), at: now, into: &effects)
            }
        }
    }

    var reported: [String: PathState] {
        Dictionary(
            uniqueKeysWithValues: monitor.statuses(at: now).map { ($0.remote.name, $0.state) })
    }

    @Test("goes on for five seconds beside the one in its place, and says that it isn't planned")
    mutating func handover() {
        plan("new")
        run(for: .seconds(4), hearing: ["old"], isPlanned: false)
        #expect(reported == ["old": .up, "new": .unknown])
        let beats = effects.beats.filter { $0.path == Self.path("old") }
        #expect(beats.count >= 19)
        #expect(beats.allSatisfy { !$0.beat.isPlanned })
        #expect(effects.beats.contains { $0.path == Self.path("new") && $0.beat.isPlanned })
        run(for: .seconds(2), hearing: ["old"], isPlanned: false)
        #expect(reported == ["new": .unknown])
        #expect(monitor.pathIDs == [Self.path("new")])
    }

    @Test("goes on for as long as the peer plans it, and ends when that doesn't")
    mutating func answer() {
        plan()
        run(for: .seconds(60), hearing: ["old"])
        #expect(reported == ["old": .up])
        run(for: .milliseconds(200), hearing: ["old"], isPlanned: false)
        #expect(monitor.pathIDs.isEmpty)
        #expect(effects.report?.paths.isEmpty == true, "its cluster hears of that")
    }

    @Test("is reported as up or not at all: its silence is no evidence, and ends it")
    mutating func silence() {
        plan("new")
        run(for: .milliseconds(200), hearing: ["old"])
        var states: Set<PathState> = []
        for _ in 0..<10 {
            run(for: .milliseconds(200), hearing: [])
            if let state = reported["old"] { states.insert(state) }
        }
        #expect(states == [.up])
        #expect(monitor.pathIDs == [Self.path("new")])
    }

    @Test("that was silent already goes at once")
    mutating func dead() {
        run(for: .seconds(2), hearing: [])
        #expect(reported == ["old": .down])
        plan("new")
        #expect(monitor.pathIDs == [Self.path("new")])
    }

    @Test("keeps all it knows if the plan has it again")
    mutating func again() {
        plan("new")
        run(for: .seconds(1), hearing: ["old"])
        plan("old")
        run(for: .seconds(20), hearing: ["old"], isPlanned: false)
        #expect(reported == ["old": .up])
        #expect(effects.beats.last?.beat.isPlanned == true)
    }

    @Test(
        "leaves its place unknown, though the cluster was up before this process started some time ago"
    )
    mutating func past() {
        plan("new", wasUp: true)
        #expect(reported["new"] == .up)
        run(for: .seconds(3), hearing: ["old"])
        plan("newer", wasUp: true)
        #expect(reported["newer"] == .unknown)
    }

    @Test("is dropped for a later one when a peer changes its relays without end")
    mutating func bound() {
        let names = (0..<10).map { "n\($0)" }
        for name in names {
            plan(name)
            run(for: .milliseconds(400), hearing: names + ["old"])
        }
        #expect(Set(reported.keys) == Set(names.suffix(7)))
    }
}
