// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshSimulation
import Testing

@testable import MeshReachability

@Suite("Which nodes are alive")
struct NodeLivenessTests {
    static let own = ClusterID(rawValue: 1)!
    static let remote = ClusterID(rawValue: 2)!
    static let mine = NodeID(cluster: own, name: "a")!
    static let theirs = NodeID(cluster: remote, name: "x")!
    static let relays = (0..<3).map { NodeID(cluster: remote, name: "r\($0)")! }

    var liveness = NodeLiveness(own: own)
    var now = Instant(nanoseconds: 5_000_000_000)
    /// Whose kernels were asked during the last wait.
    var probed: [NodeID] = []

    init() {
        liveness.add(Self.mine, at: now)
        liveness.add(Self.theirs, at: now)
    }

    /// Ticks as asked until `duration` has passed.
    mutating func wait(_ duration: Duration) -> [NodeChange] {
        let end = now + duration
        var changes: [NodeChange] = []
        probed = []
        while let wake = liveness.nextWake, wake <= end {
            now = max(now, wake)
            changes += liveness.tick(at: now)
            probed += liveness.takeProbes(at: now)
        }
        now = end
        return changes + liveness.tick(at: now)
    }

    func verdict(_ node: NodeID) -> Verdict? { liveness.word(of: node)?.verdict }

    @Test("a node of mine is what the members hold it for, and returns with another generation")
    mutating func belief() {
        #expect(liveness.believe(Self.mine, .live, at: now).map(\.word.verdict) == [.up])
        #expect(liveness.believe(Self.mine, .suspect, at: now).isEmpty)
        #expect(
            liveness.believe(Self.mine, .dead, at: now).map(\.word)
                == [LivenessWord(verdict: .unreachable, weight: 0, generation: 1)])
        #expect(liveness.ownDead == [Self.mine])
        #expect(liveness.believe(Self.mine, .live, at: now).isEmpty)
        #expect(wait(.milliseconds(2999)).isEmpty, "it has to stay")
        #expect(
            wait(.milliseconds(1)).map(\.word)
                == [LivenessWord(verdict: .up, weight: 255, generation: 2)])
        #expect(wait(.seconds(3600)).isEmpty)
    }

    @Test("a node that dies and returns every two seconds stays out until it stays")
    mutating func flapping() {
        _ = liveness.believe(Self.mine, .live, at: now)
        #expect(liveness.believe(Self.mine, .dead, at: now).count == 1)
        for _ in 0..<10 {
            #expect(liveness.believe(Self.mine, .live, at: now).isEmpty)
            #expect(wait(.seconds(2)).isEmpty)
            #expect(liveness.believe(Self.mine, .dead, at: now).isEmpty)
        }
        #expect(liveness.believe(Self.mine, .live, at: now).isEmpty)
        #expect(wait(.seconds(3)).map(\.word.verdict) == [.up])
    }

    @Test("a node whose kernel answers is not dead, until it has been silent for 650 ms")
    mutating func answers() {
        _ = liveness.believe(Self.mine, .live, at: now)
        #expect(liveness.takeProbes(at: now).isEmpty, "nobody doubts it")
        _ = liveness.believe(Self.mine, .suspect, at: now)
        #expect(liveness.takeProbes(at: now) == [Self.mine])
        #expect(liveness.takeProbes(at: now).isEmpty, "200 ms have not passed")
        #expect(wait(.milliseconds(200)).isEmpty && probed == [Self.mine])
        #expect(liveness.answered(Self.mine, at: now).isEmpty)
        #expect(liveness.believe(Self.mine, .dead, at: now).isEmpty)
        #expect(wait(.milliseconds(500)).isEmpty && probed.count == 3)
        #expect(liveness.answered(Self.mine, at: now).isEmpty)
        #expect(wait(.milliseconds(650)).isEmpty)
        #expect(wait(.milliseconds(1)).map(\.word.verdict) == [.unreachable])
        #expect(wait(.seconds(5)).isEmpty && probed.isEmpty, "nobody asks the dead")
    }

    @Test("a kernel that answers is not believed while connections to its node get no answer")
    mutating func contradicted() {
        _ = liveness.believe(Self.mine, .live, at: now)
        _ = liveness.answered(Self.mine, at: now)
        #expect(liveness.contradict(Self.mine, true, at: now).isEmpty, "no proof by itself")
        #expect(liveness.believe(Self.mine, .suspect, at: now).isEmpty)
        #expect(
            liveness.believe(Self.mine, .dead, at: now).map(\.word.verdict) == [.unreachable])
    }

    @Test("an accused node that contradicts is asked no more, and nothing has changed")
    mutating func contradiction() {
        _ = liveness.believe(Self.mine, .live, at: now)
        _ = liveness.believe(Self.mine, .suspect, at: now)
        #expect(liveness.believe(Self.mine, .live, at: now).isEmpty)
        #expect(wait(.seconds(5)).isEmpty && probed.isEmpty)
    }

    @Test("a node never heard is unknown for as long as it takes")
    mutating func unknown() {
        #expect(wait(.seconds(3600)).isEmpty)
        #expect(
            liveness.word(of: Self.mine)
                == LivenessWord(verdict: .unknown, weight: 255, generation: 0))
    }

    @Test("what the kernel holds from before a restart stands until somebody knows better")
    mutating func restored() {
        for (name, verdict) in [("b", Verdict.up), ("c", .unreachable)] {
            let node = NodeID(cluster: Self.own, name: name)!
            let word = LivenessWord(
                verdict: verdict, weight: verdict == .up ? 255 : 0, generation: 7)
            liveness.add(node, restoring: word, at: now)
            #expect(wait(.seconds(60)).isEmpty && liveness.word(of: node) == word)
        }
        let other = NodeID(cluster: Self.remote, name: "y")!
        liveness.add(
            other, restoring: LivenessWord(verdict: .up, weight: 255, generation: 7), at: now)
        _ = liveness.setReachable(relays: [Self.relays[0]], of: Self.remote, at: now)
        _ = liveness.receive(dead: [other], claimedBy: Self.relays[0], at: now)
        #expect(wait(.seconds(1)).isEmpty)
        #expect(wait(.seconds(1)).map(\.word.generation) == [8])
    }

    @Test("a node that says it goes takes nothing new at once, and no open flow is ended")
    mutating func leaving() {
        let leaving = LivenessWord(verdict: .draining, weight: 0, generation: 0)
        _ = liveness.believe(Self.mine, .live, at: now)
        #expect(liveness.setDraining([Self.mine], at: now).map(\.word) == [leaving])
        #expect(liveness.believe(Self.mine, .suspect, at: now).isEmpty)
        #expect(liveness.believe(Self.mine, .live, at: now).isEmpty)
        #expect(liveness.believe(Self.mine, .left, at: now).isEmpty)
        #expect(wait(.seconds(3600)).isEmpty && probed.isEmpty, "it may be off by now")
        #expect(liveness.ownDead.isEmpty)
        #expect(liveness.believe(Self.mine, .live, at: now).isEmpty, "its record still says so")
        #expect(
            liveness.setDraining([], at: now).map(\.word)
                == [LivenessWord(verdict: .up, weight: 255, generation: 0)])
        // The word of the gossip may be here first.
        #expect(liveness.believe(Self.mine, .left, at: now).map(\.word) == [leaving])
    }

    @Test("a node that dies while it drains is dead, and drains again when it is back")
    mutating func deathOfALeaver() {
        _ = liveness.believe(Self.mine, .live, at: now)
        _ = liveness.setDraining([Self.mine], at: now)
        #expect(
            liveness.believe(Self.mine, .dead, at: now).map(\.word)
                == [LivenessWord(verdict: .unreachable, weight: 0, generation: 1)])
        #expect(liveness.setDraining([], at: now).isEmpty, "a wish brings nobody back")
        #expect(liveness.setDraining([Self.mine], at: now).isEmpty)
        _ = liveness.believe(Self.mine, .live, at: now)
        #expect(
            wait(.seconds(3)).map(\.word)
                == [LivenessWord(verdict: .draining, weight: 0, generation: 2)])
    }

    @Test("a remote node that leaves is out whoever hears it, until it is claimed dead")
    mutating func remoteLeaving() {
        _ = liveness.setReachable(relays: Self.relays, of: Self.remote, at: now)
        _ = liveness.hear(Self.theirs, at: now)
        for relay in Self.relays { _ = liveness.receive(dead: [], claimedBy: relay, at: now) }
        #expect(liveness.setDraining([Self.theirs], at: now).map(\.word.verdict) == [.draining])
        #expect(wait(.seconds(3600)).isEmpty)
        for relay in Self.relays {
            _ = liveness.receive(dead: [Self.theirs], claimedBy: relay, at: now)
        }
        #expect(verdict(Self.theirs) == .unreachable)
    }

    @Test("the time I was held up myself is held against nobody")
    mutating func overslept() {
        _ = liveness.setReachable(relays: [Self.relays[0]], of: Self.remote, at: now)
        _ = liveness.hear(Self.theirs, at: now)
        _ = liveness.receive(dead: [Self.theirs], claimedBy: Self.relays[0], at: now)
        now = now + .seconds(60)
        #expect(liveness.tick(at: now).isEmpty)
        #expect(verdict(Self.theirs) == .up)
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
        #expect(wait(.milliseconds(1501)).map(\.word.verdict) == [.unreachable])
    }

    @Test("no cluster can kill another one's node")
    mutating func foreign() {
        let liar = NodeID(cluster: ClusterID(rawValue: 3)!, name: "r")!
        _ = liveness.believe(Self.mine, .live, at: now)
        _ = liveness.setReachable(relays: [liar], of: Self.remote, at: now)
        #expect(liveness.receive(dead: [Self.theirs, Self.mine], claimedBy: liar, at: now).isEmpty)
        #expect(verdict(Self.theirs) == .unknown)
        #expect(verdict(Self.mine) == .up)
    }

    @Test("a heartbeat costs a look at its node, not one at all; a silent node's time isn't missed")
    mutating func manyNodes() {
        let many = (0..<1000).map { NodeID(cluster: Self.remote, name: "n\($0)")! }
        for node in many { liveness.add(node, at: now) }
        _ = liveness.setReachable(relays: [Self.relays[0]], of: Self.remote, at: now)
        for node in many { _ = liveness.hear(node, at: now) }
        _ = liveness.receive(dead: [many[0]], claimedBy: Self.relays[0], at: now)
        #expect(verdict(many[0]) == .up, "it is heard")
        let before = liveness.judgements
        var verdicts: [Verdict?] = []
        for _ in 0..<50 {
            for node in many.dropFirst() { _ = liveness.hear(node, at: now) }
            _ = wait(.milliseconds(200))
            verdicts.append(verdict(many[0]))
        }
        #expect(verdicts.prefix(7).allSatisfy { $0 == .up }, "for 1.4 s")
        #expect(verdicts.dropFirst(7).allSatisfy { $0 == .unreachable })
        // A node's time is 1.5 s, its beats are 0.2 s apart: all are looked at after 1.3 s or more.
        #expect(liveness.judgements - before <= 50 * 999 + 10 * 1002)
    }

    @Test("who looks when it is time sees what somebody does who looks at all each millisecond")
    func equivalence() {
        for seed in Replay.seeds(6) {
            var generator = SeededGenerator(seed: seed)
            var now = Instant(nanoseconds: 3_600_000_000_000)
            var patient = NodeLiveness(own: Self.own)
            var eager = patient
            let own = (0..<3).map { NodeID(cluster: Self.own, name: "o\($0)")! }
            let others = (0..<6).map { NodeID(cluster: Self.remote, name: "x\($0)")! }
            func both<Value>(_ body: (inout NodeLiveness) -> Value) {
                _ = body(&patient)
                _ = body(&eager)
            }
            for node in own + others { both { $0.add(node, at: now) } }
            both { $0.setReachable(relays: Self.relays, of: Self.remote, at: now) }
            var silentUntil: [NodeID: Instant] = [:]
            var differences = 0
            for _ in 0..<20_000 {
                for node in others {
                    if generator.chance(0.0002) { silentUntil[node] = now + .seconds(4) }
                    guard (silentUntil[node] ?? .zero) <= now, generator.chance(0.005) else {
                        continue
                    }
                    both { $0.hear(node, at: now) }
                }
                if generator.chance(0.001) {
                    let dead = others.filter { _ in generator.chance(0.3) }
                    for relay in Self.relays {
                        both { $0.receive(dead: dead, claimedBy: relay, at: now) }
                    }
                }
                for node in own where generator.chance(0.0005) {
                    let beliefs: [NodeLiveness.Belief] = [.live, .suspect, .dead, .left]
                    let belief = beliefs[Int(generator.next() % 4)]
                    both { $0.believe(node, belief, at: now) }
                    if generator.chance(0.5) { both { $0.answered(node, at: now) } }
                }
                // Judges all.
                _ = eager.setDraining([], at: now)
                _ = eager.takeProbes(at: now)
                if let wake = patient.nextWake, wake <= now {
                    if generator.chance(0.5) { _ = patient.takeProbes(at: now) }
                    _ = patient.tick(at: now)
                    _ = patient.takeProbes(at: now)
                }
                for node in own + others where patient.word(of: node) != eager.word(of: node) {
                    differences += 1
                }
                now = now + .milliseconds(1)
            }
            #expect(differences == 0, "\(Replay.hint(seed, filter: "NodeLivenessTests"))")
        }
    }
}
