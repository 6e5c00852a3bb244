// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability
import MeshSimulation
import Testing

@Suite("Ways back", .tags(.simulation))
struct RecoverySimulationTests {
    @Test("a partition that heals in time is undone by the next heartbeats", arguments: [1, 2, 3])
    func quickHeal(size: Int) {
        for seed in Replay.seeds(12) {
            var world = World(seed: seed, sizes: [size, size, size])
            world.run(for: .seconds(3))
            world.simulation.network.partition(world.nodes(of: 1), world.nodes(of: 2))
            while !world.verdicts(of: 2, seenBy: 1).contains(.suspect) {
                world.run(for: .milliseconds(5))
            }
            world.simulation.network.partition(world.nodes(of: 1), world.nodes(of: 2), isCut: false)
            let healed = world.now
            // One beat is up to 200 ms away, and it or its answer takes a round trip of 90 ms.
            world.run(for: .milliseconds(300))
            for node in world.nodes(of: 1) {
                let word = world.word(of: 2, seenBy: node)
                #expect(
                    word == LivenessWord(verdict: .up, weight: 255, generation: 0),
                    "\(world.hint())")
            }
            let given = world.changes(to: .unreachable, since: healed)
                .filter { $0.observer.cluster == world.clusters[0] }
            #expect(given.isEmpty, "\(world.hint())")
        }
    }

    @Test("a cluster comes back after ten beats and 5 s, at 10 %, and grows for 30 s")
    func ramp() throws {
        var world = World(seed: 3, sizes: [2, 2, 2])
        world.run(for: .seconds(3))
        world.kill(cluster: 2)
        world.run(for: .seconds(2))
        world.revive(cluster: 2)
        let revived = world.now
        world.run(for: .seconds(45))

        let observer = world.nodes(of: 1)[0]
        let words = world.changes.filter {
            $0.observer == observer && $0.change.cluster == world.clusters[1] && $0.time > revived
        }
        let first = try #require(words.first)
        #expect(first.change.word.verdict == .probation)
        #expect(first.change.word.weight == 25)
        #expect((6.5...8).contains((first.time - revived).seconds))

        let last = try #require(words.last)
        // One generation for the death, one for the return.
        #expect(last.change.word == LivenessWord(verdict: .up, weight: 255, generation: 2))
        #expect((29.9...30.6).contains((last.time - first.time).seconds))

        let weights = words.map(\.change.word.weight)
        #expect(weights == weights.sorted(), "never down again: \(weights)")
        for (step, next) in zip(words, words.dropFirst()) where next.change.word.verdict != .up {
            #expect((next.time - step.time) >= .milliseconds(500))
        }
        let half = try #require(words.last { ($0.time - first.time) < .seconds(15) })
        #expect((120...127).contains(half.change.word.weight))
    }

    @Test("a cluster whose state isn't here yet takes no flow")
    func behind() {
        var world = World(seed: 4, sizes: [2, 2, 2])
        world.run(for: .seconds(3))
        world.kill(cluster: 2)
        world.run(for: .seconds(2))
        let observer = world.nodes(of: 1)[0]
        world.setCaughtUp(false, 2, at: observer)
        world.revive(cluster: 2)
        world.run(for: .seconds(20))
        #expect(world.word(of: 2, seenBy: observer).verdict == .unreachable)
        world.setCaughtUp(true, 2, at: observer)
        world.run(for: .milliseconds(4900))
        #expect(world.word(of: 2, seenBy: observer).verdict == .unreachable)
        world.run(for: .milliseconds(300))
        #expect(world.word(of: 2, seenBy: observer).verdict == .probation)
    }

    @Test("a cluster that keeps dying is kept out after the third time, until it has been quiet")
    func damping() throws {
        var world = World(seed: 5, sizes: [2, 2, 2])
        world.run(for: .seconds(3))
        for _ in 1...3 {
            world.kill(cluster: 2)
            world.run(for: .seconds(2))
            world.revive(cluster: 2)
            world.run(for: .seconds(9))
        }
        let observer = world.nodes(of: 1)[0]
        let revived = world.now
        let suppressed = world.events.contains {
            guard case .suppressed = $0.event else { return false }
            return $0.node == observer
        }
        #expect(suppressed)
        world.run(for: .seconds(60))
        #expect(world.word(of: 2, seenBy: observer).verdict == .unreachable)
        // 2,7xx halves to 750 in a little less than two half-lives.
        world.run(for: .seconds(65))
        #expect(world.word(of: 2, seenBy: observer).weight > 0)
        let back = try #require(
            world.changes(to: .probation, of: 2, since: revived).first { $0.observer == observer })
        #expect((90...120).contains((back.time - revived).seconds))
    }

    @Test(
        "a declared drain is obeyed within 300 ms even when 10 % is lost, and its end is a ramp",
        arguments: [[2, 2, 2], [3, 3, 3], [1, 1]])
    func drain(sizes: [Int]) {
        for seed in Replay.seeds(12) {
            var world = World(seed: seed, sizes: sizes, loss: 0.1)
            world.run(for: .seconds(3))
            world.drain(cluster: 2, generation: 1, true)
            world.run(for: .milliseconds(300))
            for observer in world.others(than: 2) {
                let word = world.word(of: 2, seenBy: observer)
                #expect(word.weight == 0, "\(word.rawValue) at \(observer); \(world.hint())")
            }
            world.run(for: .seconds(3))
            #expect(
                !world.changes(to: .up, of: 2).contains { $0.change.previous.verdict == .draining },
                "\(world.hint())")
            world.drain(cluster: 2, generation: 2, false)
            world.run(for: .milliseconds(300))
            #expect(
                world.changes(to: .probation, of: 2).count >= world.others(than: 2).count,
                "\(world.hint())")
        }
    }
}
