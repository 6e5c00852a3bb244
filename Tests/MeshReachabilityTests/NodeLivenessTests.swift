// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability
import Testing

@Suite("Which nodes are alive")
struct NodeLivenessTests {
    static let own = ClusterID(rawValue: 1)!
    static let remote = ClusterID(rawValue: 2)!
    static let mine = NodeID(cluster: own, name: "a")!
    static let theirs = NodeID(cluster: remote, name: "x")!
    static let relays = (0..<3).map { NodeID(cluster: remote, name: "r\($0)")! }

    var liveness = NodeLiveness(own: own)
    var now = Instant(nanoseconds: 5_000_000_000)

    init() {
        liveness.add(Self.mine, at: now)
        liveness.add(Self.theirs, at: now)
    }

    /// Ticks as asked until `duration` has passed.
    mutating func wait(_ duration: Duration) -> [NodeChange] {
        let end = now + duration
        var changes: [NodeChange] = []
        while let wake = liveness.nextWake, wake <= end {
            now = wake
            changes += liveness.tick(at: now)
        }
        now = end
        return changes + liveness.tick(at: now)
    }

    func verdict(_ node: NodeID) -> Verdict? { liveness.word(of: node)?.verdict }

    @Test("a node of mine dies 3 s after its last report, and returns with another generation")
    mutating func timeout() {
        #expect(liveness.hear(Self.mine, at: now).map(\.word.verdict) == [.up])
        #expect(wait(.milliseconds(3000)).isEmpty)
        let death = wait(.milliseconds(1))
        #expect(
            death.map(\.word) == [LivenessWord(verdict: .unreachable, weight: 0, generation: 1)])
        #expect(liveness.ownDead == [Self.mine])
        let back = liveness.hear(Self.mine, at: now)
        #expect(back.map(\.word) == [LivenessWord(verdict: .up, weight: 255, generation: 2)])
    }

    @Test("a node never heard is unknown for as long as it takes")
    mutating func unknown() {
        #expect(wait(.seconds(3600)).isEmpty)
        #expect(
            liveness.word(of: Self.mine)
                == LivenessWord(verdict: .unknown, weight: 255, generation: 0))
    }

    @Test("a node that was up before a restart has 3 s to report")
    mutating func restored() {
        let other = NodeID(cluster: Self.own, name: "b")!
        liveness.add(
            other, restoring: LivenessWord(verdict: .up, weight: 255, generation: 7), at: now)
        #expect(wait(.seconds(2)).isEmpty)
        #expect(wait(.seconds(2)).map(\.word.generation) == [8])
    }

    @Test("a node that says it shuts down is out at once")
    mutating func leaving() {
        _ = liveness.hear(Self.mine, at: now)
        #expect(liveness.leave(Self.mine, at: now).map(\.word.verdict) == [.unreachable])
        #expect(liveness.hear(Self.mine, at: now).map(\.word.verdict) == [.up])
    }

    @Test("the time I was held up myself is held against nobody")
    mutating func overslept() {
        _ = liveness.hear(Self.mine, at: now)
        now = now + .seconds(60)
        #expect(liveness.tick(at: now).isEmpty)
        #expect(verdict(Self.mine) == .up)
        #expect(wait(.milliseconds(401)).map(\.word.verdict) == [.unreachable])
    }

    @Test(
        "a remote node is dead when a majority of its cluster's reachable relays say so",
        arguments: [
            (3, 0, Verdict.up), (3, 1, .up), (3, 2, .unreachable), (2, 1, .up),
            (2, 2, .unreachable), (1, 1, .unreachable),
        ])
    mutating func claims(reachable: Int, accusers: Int, expected: Verdict) {
        let relays = Array(Self.relays.prefix(reachable))
        _ = liveness.setReachable(relays: relays, of: Self.remote, at: now)
        for (index, relay) in relays.enumerated() {
            let dead = index < accusers ? [Self.theirs] : []
            _ = liveness.receive(dead: dead, claimedBy: relay, at: now)
        }
        #expect(verdict(Self.theirs) == expected)
    }

    @Test("nobody's claim kills a node whose beats arrive, until they don't")
    mutating func heard() {
        _ = liveness.setReachable(relays: Self.relays, of: Self.remote, at: now)
        _ = liveness.hear(Self.theirs, at: now)
        for relay in Self.relays {
            _ = liveness.receive(dead: [Self.theirs], claimedBy: relay, at: now)
        }
        #expect(verdict(Self.theirs) == .up)
        #expect(wait(.milliseconds(3001)).map(\.word.verdict) == [.unreachable])
    }

    @Test("no cluster can kill another one's node")
    mutating func foreign() {
        let liar = NodeID(cluster: ClusterID(rawValue: 3)!, name: "r")!
        _ = liveness.hear(Self.mine, at: now)
        _ = liveness.setReachable(relays: [liar], of: Self.remote, at: now)
        #expect(liveness.receive(dead: [Self.theirs, Self.mine], claimedBy: liar, at: now).isEmpty)
        #expect(verdict(Self.theirs) == .unknown)
        #expect(verdict(Self.mine) == .up)
    }
}
