// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

@testable import MeshMembership

@Suite("Witnesses outside the cluster")
struct WitnessTests {
    /// Of two members, the other one falls silent; witnesses, who heard it until then, say `isHeard` of
    /// it every 200 ms.
    /// - Returns: from the first suspicion to the death.
    static func suspicion(
        isHeard: (NodeID) -> Bool?
    ) -> (state: MemberState?, lasted: Duration?) {
        var desk = ProbingTests.settled(["a"], witnesses: witnesses)
        for witness in witnesses { desk.testify(["me": true, "a": true], by: witness) }
        desk.answering = []
        for _ in 0..<30 {
            for witness in witnesses {
                // Of me they always speak: I'm not cut off.
                var words = ["me": true]
                words["a"] = isHeard(witness)
                desk.testify(words, by: witness)
            }
            if desk.state("a") != .dead { desk.wait(.milliseconds(200)) }
        }
        let since = desk.core.status(of: "a")?.since
        let probes = desk.sent.filter { $0.to == "a" }.map(\.time)
        return (desk.state("a"), since.flatMap { end in probes.first.map { end - $0 } })
    }

    @Test("they shorten the suspicion of one they don't hear, either, from 2.4 s to 0.6 s")
    func confirm() throws {
        let confirmed = Self.suspicion { _ in false }
        #expect(confirmed.state == .dead)
        #expect(try #require(confirmed.lasted) < .milliseconds(1100))
        let alone = Self.suspicion { _ in nil }
        #expect(alone.state == .dead)
        #expect(try #require(alone.lasted) > .milliseconds(2400))
    }

    @Test("one they hear isn't dead for a path of mine")
    func vouch() { #expect(Self.suspicion { _ in true }.state == .suspect) }

    @Test("one of whom they speak no more isn't vouched for by what they said before")
    func fallSilent() throws {
        // As after its cluster replaced a dead relay: who no longer beats to it can't say more.
        let doubted = Self.suspicion { $0 == witnesses[0] ? false : nil }
        #expect(doubted.state == .dead)
        #expect(try #require(doubted.lasted) < .milliseconds(1100))
    }

    @Test("they alone kill nobody")
    func neverSole() {
        var desk = ProbingTests.settled(["a"], witnesses: witnesses)
        for _ in 0..<50 {
            for witness in witnesses { desk.testify(["a": false], by: witness) }
            desk.wait(.milliseconds(200))
        }
        #expect(desk.state("a") == .alive)
        #expect(desk.changes.isEmpty)
    }

    @Test("hearing neither members nor witnesses, it accuses nobody, and says that it is isolated")
    func isolated() {
        var desk = ProbingTests.settled(["a", "b"], witnesses: witnesses)
        for witness in witnesses { desk.testify(["me": true], by: witness) }
        desk.answering = []
        desk.wait(.seconds(600))
        #expect(desk.core.isIsolated)
        #expect(desk.events.contains(.isolated(true)))
        #expect(desk.state("a") != .dead && desk.state("b") != .dead)
        // Back: those accused before it knew have their time to say so.
        desk.testify(["me": true], by: witnesses[0])
        #expect(desk.events.last == .isolated(false))
        desk.answering = ["a", "b"]
        desk.wait(.seconds(10))
        #expect(desk.state("a") == .alive && desk.state("b") == .alive)
    }

    @Test("testimony of others than the configured, or about strangers, is counted and ignored")
    func strange() {
        var desk = ProbingTests.settled(["a"], witnesses: Array(witnesses.prefix(1)))
        desk.testify(["a": false], by: witnesses[1])
        desk.testify(["mallory": false], by: witnesses[0])
        #expect(desk.core.counters.strangeTestimonies == 2)
    }
}
