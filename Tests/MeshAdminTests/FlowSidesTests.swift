// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MeshAdmin

@Suite("What the nodes at both ends of a flow say of it")
struct FlowSidesTests {
    /// The client is on n2, the backends on n1, which is asked, and on n2.
    private func fixture(_ source: FlowStory.Side.State) -> FlowFixture {
        var fixture = FlowFixture()
        fixture.source.node = "n2"
        fixture.source.isHere = false
        fixture.sides = [
            FlowStory.Side(
                node: "east/n2", roles: [.source, .destination], state: source,
                reason: source == .answered ? nil : "no link to it is up"),
            FlowStory.Side(node: "east/n1", roles: [.destination], state: .answered),
        ]
        return fixture
    }

    private func step(_ stage: FlowStory.Stage, _ story: FlowStory) throws -> FlowStory.Step {
        try #require(story.steps.first { $0.stage == stage }, "\(story.steps)")
    }

    @Test("the source's node speaks for all that it decides, each destination's for itself")
    func speakers() throws {
        let story = fixture(.answered).story
        let source = try step(.source, story)
        #expect(source.mark == .fine && source.sentence.contains("east/n2, which answers for it"))
        #expect(!source.details.contains { $0.contains("weft why") })
        for stage in [FlowStory.Stage.source, .service, .egress, .path] {
            #expect(try step(stage, story).saidBy == ["east/n2"], "\(stage)")
        }
        #expect(try step(.ingress, story).saidBy == ["east/n1", "east/n2"])
        #expect(story.sides.map(\.state) == [.answered, .answered])
    }

    @Test("for a node that says nothing the asked one speaks, and says why and where to ask")
    func silence() throws {
        let story = fixture(.silent).story
        let source = try step(.source, story)
        #expect(source.mark == .note)
        #expect(source.details.contains("east/n2 says nothing: no link to it is up"))
        #expect(source.details.contains("there: weft why shop/client shop/web:80"))
        #expect(story.steps.allSatisfy { $0.saidBy == ["east/n1"] })
        let ingress = try step(.ingress, story)
        #expect(ingress.mark == .note)
        #expect(
            ingress.details == [
                "east/n2 doesn't answer, no link to it is up: judged here, by its cluster's ledger"
            ])
        #expect(story.outcome == .works)
    }

    @Test("an agent that answers is alive, whatever this node still holds its node for")
    func alive() {
        var fixture = fixture(.answered)
        fixture.set(node: 2, of: 0, .unreachable)
        #expect(fixture.story.stoppedAt != .source)
        fixture.sides[0].state = .silent
        #expect(fixture.story.stoppedAt == .source)
    }

    @Test("an end that isn't in place on its own node stops the flow to it")
    func problem() throws {
        var fixture = fixture(.answered)
        fixture.problems["10.1.2.8"] = "no room"
        let some = fixture.story
        #expect(some.outcome == .partly && some.conclusion.contains("isn't in place on its node"))
        fixture.problems["10.1.1.8"] = "no room"
        let all = fixture.story
        #expect(all.stoppedAt == .path)
        #expect(
            all.conclusion
                == "stops at the path: 10.1.1.8:8080 on east/n1 isn't in place on its node: no room"
        )
        #expect(try step(.path, all).mark == .stop)
    }

    @Test("a destination that holds the source's node for dead may not bring its answers back")
    func wayBack() throws {
        var fixture = fixture(.answered)
        fixture.sides[1].sourceVerdict = .up
        fixture.sides[1].sourceVerdictSeconds = 4
        #expect(try step(.path, fixture.story).mark == .fine)
        fixture.sides[1].sourceVerdict = .unreachable
        let path = try step(.path, fixture.story)
        #expect(path.mark == .note)
        #expect(
            path.details.last
                == "this node holds east/n2 for unreachable since 4.0s: what is answered may not come back"
        )
    }

    @Test("what each node refused is told as its own, with its policies")
    func evidence() throws {
        func flow(_ node: String?, _ policy: String, ago: Int64) -> Flow {
            Flow(
                timeUnixMilliseconds: FlowFixture.now - ago, node: node, type: .denied,
                verdict: .denied, transport: "TCP",
                source: FlowPeer(address: "10.1.1.5", port: 4711, identity: 0),
                destination: FlowPeer(address: "10.1.2.8", port: 8080, identity: 0),
                reason: "policy_denied", policy: policy, packets: 0, bytes: 0)
        }
        var fixture = fixture(.answered)
        fixture.refused = [
            flow("east/n2", "one", ago: 5000), flow("east/n1", "two", ago: 4000),
            flow("east/n2", "three", ago: 3000),
        ]
        let steps = fixture.story.steps.filter { $0.stage == .evidence }
        #expect(
            steps.map(\.sentence) == [
                "east/n2 refused such flows lately (policy_denied), the last one 3.0s ago",
                "this node refused such flows lately (policy_denied), the last one 4.0s ago",
            ])
        #expect(steps.map(\.details) == [["one", "three"], ["two"]])
        #expect(steps.map(\.saidBy) == [["east/n2"], ["east/n1"]])
    }

    @Test("what left the source and isn't in the destination's kernel is lost on the way")
    func lost() throws {
        var fixture = fixture(.answered)
        fixture.service.slices[0].backends.removeLast()
        fixture.sides[0].connections = 2
        fixture.sides[0].newest = [
            FlowStory.Connection(
                state: .opening, source: "10.1.1.5:4711", destination: "10.1.1.8:8080",
                ageSeconds: 3, idleSeconds: 1, packetsSent: 3, packetsBack: 0)
        ]
        func sentences(_ fixture: FlowFixture) -> [String] {
            fixture.story.steps.filter { $0.stage == .evidence }.map(\.sentence)
        }
        #expect(
            sentences(fixture) == [
                "the kernel of east/n2 has 2 such flows, the newest opening, idle for 1.0s",
                "what east/n2 sends to 10.1.1.8:8080 on east/n1 doesn't get there: that node's kernel "
                    + "has nothing of it",
            ])
        // An answer came; it is long ago; it got there; nobody can say whether it did.
        var answered = fixture
        answered.sides[0].newest[0].state = .established
        var old = fixture
        old.sides[0].newest[0].idleSeconds = 31
        var there = fixture
        there.sides[1].connections = 1
        var silent = fixture
        silent.sides[1].state = .silent
        for story in [answered, old, there, silent] {
            #expect(!sentences(story).contains { $0.contains("doesn't get there") })
        }
        #expect(
            sentences(there).contains("the kernel of this node has 1 such flow"))
    }
}
