// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability
import Testing

@Suite("A relay watches its paths")
struct PathMonitorTests {
    static let own = ClusterID(rawValue: 1)!
    static let remote = NodeID(cluster: ClusterID(rawValue: 2)!, name: "b")!
    static let path = PathID(local: "a", remote: remote)
    static let start = Instant(nanoseconds: 5_000_000_000)

    var monitor = PathMonitor(cluster: own, node: "a", instance: 11)
    var effects = PathEffects()
    var now = start

    init() { configure(isInUse: true) }

    mutating func configure(isInUse: Bool, wasUp: Bool = false) {
        monitor.configure(
            [PathPlan(path: Self.path, isInUse: isInUse, isSingle: false, wasUp: wasUp)],
            at: now, into: &effects)
    }

    /// Ticks whenever the monitor asks to, and takes a beat of the peer each `interval` if `hears`.
    mutating func run(
        for duration: Duration, hears: Bool = true, from sequence: inout UInt64
    ) {
        let end = now + duration
        var nextBeat = now
        while now < end {
            let wake = min(monitor.nextWake ?? end, end)
            now = hears ? min(wake, max(nextBeat, now)) : max(wake, now)
            if hears, now >= nextBeat {
                sequence += 1
                receive(beat(sequence))
                nextBeat = now + .milliseconds(200)
            } else {
                monitor.tick(at: now, into: &effects)
            }
        }
    }

    mutating func receive(_ beat: Heartbeat) {
        monitor.receive(beat, on: Self.path, at: now, into: &effects)
    }

    /// A beat of the peer that has just heard mine.
    func beat(_ sequence: UInt64, instance: UInt64 = 22, cluster: UInt16 = 2) -> Heartbeat {
        let mine = effects.beats.last?.beat
        return Heartbeat(
            cluster: ClusterID(rawValue: cluster)!, instance: instance, sequence: sequence,
            sentAt: now - .milliseconds(40), interval: .milliseconds(200),
            wanted: .milliseconds(200),
            echo: mine.map {
                HeartbeatEcho(sequence: $0.sequence, hold: now - $0.sentAt)
            },
            drain: .never, head: .origin, rollup: .zero, relaySetGeneration: 1)
    }

    var state: PathState { monitor.statuses(at: now)[0].state }

    @Test("a path never heard stays unknown: that is not dead")
    mutating func unknown() {
        var sequence: UInt64 = 0
        run(for: .seconds(30), hears: false, from: &sequence)
        #expect(state == .unknown)
        #expect(effects.beats.count >= 149, "it goes on calling, five times a second")
    }

    @Test("one that was up before a restart is down when it stays silent beyond the grace")
    mutating func wasUp() {
        monitor = PathMonitor(cluster: Self.own, node: "a", instance: 12)
        configure(isInUse: true, wasUp: true)
        var sequence: UInt64 = 0
        run(for: .seconds(5), hears: false, from: &sequence)
        #expect(state == .up)
        run(for: .seconds(1), hears: false, from: &sequence)
        #expect(state == .down)
    }

    @Test("the second missing beat makes it suspect, the third down, one beat up again")
    mutating func deadline() {
        var sequence: UInt64 = 0
        run(for: .seconds(5), from: &sequence)
        #expect(state == .up)
        let lastBeat = now
        run(for: .milliseconds(1000), hears: false, from: &sequence)
        let changes = effects.events.compactMap { event -> (PathState, Int)? in
            guard case .stateChanged(_, _, let to, let missed) = event else { return nil }
            return (to, missed)
        }
        #expect(changes.map(\.0) == [.up, .suspect, .down])
        #expect(changes.map(\.1) == [0, 2, 3])
        #expect(now - lastBeat == .milliseconds(1000))
        sequence += 1
        receive(beat(sequence))
        #expect(state == .up)
        #expect(monitor.statuses(at: now)[0].beats == 1, "and its count begins anew")
    }

    @Test("beats without a fresh echo of mine are no path")
    mutating func echo() {
        for sequence in UInt64(1)...20 {
            var deaf = beat(sequence)
            deaf.echo = nil
            receive(deaf)
            now = now + .milliseconds(100)
            monitor.tick(at: now, into: &effects)
        }
        #expect(state == .unknown)
    }

    @Test("replayed, overtaken, foreign and unknown beats change nothing and say why")
    mutating func ignored() {
        receive(beat(5))
        receive(beat(5))
        receive(beat(4))
        receive(beat(6, cluster: 3))
        let stranger = PathID(local: "a", remote: NodeID(cluster: Self.remote.cluster, name: "x")!)
        monitor.receive(beat(7), on: stranger, at: now, into: &effects)
        receive(beat(1, instance: 23))
        receive(beat(8, instance: 22))
        let reasons = effects.events.compactMap { event -> IgnoredBeat? in
            guard case .ignored(_, let reason) = event else { return nil }
            return reason
        }
        #expect(
            reasons == [
                .oldSequence, .oldSequence, .foreignCluster, .unknownPath, .retiredInstance,
            ])
    }

    @Test("a peer that restarts counts from one and stays up")
    mutating func restart() {
        var sequence: UInt64 = 0
        run(for: .seconds(3), from: &sequence)
        for next in UInt64(1)...10 {
            now = now + .milliseconds(50)
            monitor.tick(at: now, into: &effects)
            var beat = beat(next, instance: 99)
            if next < 3 { beat.echo = nil }
            receive(beat)
            #expect(state == .up)
        }
    }

    @Test("slower beats are announced by five fast ones, faster ones at once")
    mutating func pace() {
        var sequence: UInt64 = 0
        run(for: .seconds(2), hears: false, from: &sequence)
        effects = PathEffects()
        configure(isInUse: false)
        run(for: .seconds(4), hears: false, from: &sequence)
        let slow = effects.beats.map(\.beat)
        #expect(slow.allSatisfy { $0.interval == .seconds(1) && $0.wanted == .seconds(1) })
        let gaps = zip(slow, slow.dropFirst()).map { $1.sentAt - $0.sentAt }
        #expect(gaps.prefix(4).allSatisfy { $0 <= .milliseconds(201) })
        #expect(gaps.dropFirst(4).allSatisfy { $0 >= .milliseconds(999) })

        effects = PathEffects()
        configure(isInUse: true)
        #expect(effects.beats.first?.beat.interval == .milliseconds(200))
        #expect(effects.beats.first?.beat.sentAt == now)
    }

    @Test("a peer that wants more beats gets them, but never more than 20 a second")
    mutating func wanted() {
        configure(isInUse: false)
        var greedy = beat(1)
        greedy.wanted = .milliseconds(1)
        receive(greedy)
        effects = PathEffects()
        var sequence: UInt64 = 1
        run(for: .seconds(1), hears: false, from: &sequence)
        #expect((19...21).contains(effects.beats.count))
    }

    @Test("a drain goes out at once and three times more; an older one is not news")
    mutating func drain() {
        effects = PathEffects()
        let drain = DrainDeclaration(generation: 2, isDraining: true)
        monitor.declare(drain, at: now, into: &effects)
        #expect(effects.beats.count == 1)
        monitor.declare(
            DrainDeclaration(generation: 1, isDraining: false), at: now, into: &effects)
        var sequence: UInt64 = 0
        run(for: .milliseconds(90), hears: false, from: &sequence)
        #expect((4...5).contains(effects.beats.count))
        #expect(effects.beats.allSatisfy { $0.beat.drain == drain })
    }

    @Test("having overslept it abstains, and is counted again after 400 ms on time")
    mutating func late() {
        var sequence: UInt64 = 0
        run(for: .seconds(3), from: &sequence)
        now = now + .seconds(10)
        monitor.tick(at: now, into: &effects)
        #expect(monitor.isAbstaining)
        #expect(effects.report?.isAbstaining == true)
        #expect(state == .up, "the time it slept is no evidence")
        run(for: .milliseconds(401), from: &sequence)
        #expect(!monitor.isAbstaining)
        #expect(effects.report?.isAbstaining == false)
    }
}
