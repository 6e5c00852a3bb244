// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

@testable import MeshAgent

@Suite("Following the flows of other nodes")
struct FlowFollowingTests {
    /// A reader and the nodes it follows, at one point in time.
    private struct Reading {
        var following: FlowFollowing
        var now = Instant.zero + .seconds(100)
        var linked: Set<NodeID>
        var nextID: UInt64 = 0
        var asks: [NodeID: FlowAsk] = [:]
        var events: [FlowFollowing.Event] = []

        init(_ nodes: [NodeID], last: Int = 10, follows: Bool = true) {
            following = FlowFollowing(nodes, filter: "port=80", last: last, follows: follows)
            linked = Set(nodes)
        }

        mutating func look(after pause: Duration = .zero) {
            now = now + pause
            var asked: [(NodeID, FlowAsk)] = []
            let linked = linked
            var id = nextID
            following.look(
                at: now, isLinked: linked.contains,
                nextID: {
                    id += 1
                    return id
                }, asks: &asked, events: &events)
            nextID = id
            for (node, ask) in asked { asks[node] = ask }
        }

        mutating func answer(
            _ node: NodeID, life: UInt64 = 5, position: UInt64 = 3, lost: UInt64 = 0,
            kernelLost: UInt64 = 0, refusal: String = ""
        ) -> FlowFollowing.Heard? {
            guard let ask = asks.removeValue(forKey: node) else { return nil }
            return following.receive(
                FlowAnswer(
                    id: ask.id, life: life, position: position, lost: lost,
                    kernelLost: kernelLost, flows: [[1]], refusal: refusal), from: node, at: now,
                events: &events)
        }
    }

    private let nodes = ["b", "c"].map { NodeID(cluster: cluster(1), name: $0)! }

    @Test("each node is asked once at a time, at its own pace, from where it was")
    func pace() throws {
        var reading = Reading(nodes)
        reading.look()
        #expect(reading.asks.count == 2)
        let first = try #require(reading.asks[nodes[0]])
        #expect(first.life == 0 && first.last == 10 && first.filter == "port=80")
        #expect(first.bytes == FlowAsk.answerBytesMaximum)
        #expect(reading.answer(nodes[0])?.flows == [[1]])
        reading.asks = [:]
        reading.look(after: .milliseconds(199))
        #expect(reading.asks.isEmpty)
        reading.look(after: .milliseconds(1))
        // The other one still has its question.
        #expect(reading.asks.map(\.key) == [nodes[0]])
        #expect(reading.asks[nodes[0]]?.life == 5 && reading.asks[nodes[0]]?.position == 3)
        #expect(reading.events.isEmpty)
    }

    @Test("many nodes are asked less often, for less")
    func many() {
        let nodes = (0..<1000).map { NodeID(cluster: cluster(1), name: "n\($0)")! }
        var reading = Reading(nodes)
        reading.look()
        #expect(reading.asks.count == 1000)
        #expect(reading.asks[nodes[0]]?.bytes == UInt32(FlowFollowing.answersBytes / 1000))
        for node in nodes { _ = reading.answer(node) }
        reading.look(after: .milliseconds(1999))
        #expect(reading.asks.isEmpty)
        reading.look(after: .milliseconds(1))
        #expect(reading.asks.count == 1000)
    }

    @Test(
        "one that doesn't answer is named once, asked again ever later, and named when it is back")
    func silence() {
        var reading = Reading([nodes[1]])
        reading.look()
        let stale = reading.asks[nodes[1]]
        reading.look(after: .milliseconds(1999))
        #expect(reading.events.isEmpty)
        reading.look(after: .milliseconds(1))
        #expect(
            reading.events == [.unreachable(nodes[1], reason: "it hasn't answered for 2 s")])
        #expect(reading.asks[nodes[1]] != stale)
        let second = reading.asks[nodes[1]]
        reading.look(after: .milliseconds(3999))
        #expect(reading.asks[nodes[1]] == second)
        reading.look(after: .milliseconds(1))
        #expect(reading.asks[nodes[1]] != second && reading.events.count == 1)
        // What was asked first is answered at last: its flows may come again with the next answer.
        let next = reading.asks[nodes[1]]
        reading.asks[nodes[1]] = stale
        #expect(reading.answer(nodes[1]) == nil)
        reading.asks[nodes[1]] = next
        #expect(reading.answer(nodes[1]) != nil)
        #expect(reading.events.last == .reachable(nodes[1]))
    }

    @Test("one without a link is named at once, and asked when it has one again")
    func links() {
        var reading = Reading(nodes)
        reading.linked = [nodes[0]]
        reading.look()
        #expect(reading.events == [.unreachable(nodes[1], reason: "no link to it is up")])
        #expect(reading.asks.map(\.key) == [nodes[0]])
        reading.look(after: .seconds(1))
        #expect(reading.events.count == 1)
        reading.linked = Set(nodes)
        reading.look()
        #expect(reading.answer(nodes[1]) != nil)
        #expect(reading.events.last == .reachable(nodes[1]))
    }

    @Test("what was lost is told once; what was gone before the first answer isn't missed")
    func losses() {
        var reading = Reading([nodes[0]])
        for (lost, kernelLost) in [(9, 7), (0, 7), (3, 9), (0, 9)] as [(UInt64, UInt64)] {
            reading.look(after: .seconds(1))
            _ = reading.answer(nodes[0], lost: lost, kernelLost: kernelLost)
        }
        #expect(reading.events == [.lost(nodes[0], kernel: 2, network: 3)])
    }

    @Test("a node that refuses is named with its reason")
    func refusal() {
        var reading = Reading([nodes[0]])
        reading.look()
        #expect(reading.answer(nodes[0], refusal: "flows have no 'x'") == nil)
        #expect(reading.events == [.unreachable(nodes[0], reason: "flows have no 'x'")])
    }

    @Test("what doesn't follow is done when everybody has answered, or was given up")
    func end() {
        var reading = Reading(nodes, follows: false)
        reading.look()
        _ = reading.answer(nodes[0])
        #expect(!reading.following.isDone)
        reading.look(after: .seconds(2))
        #expect(reading.following.isDone)
        #expect(reading.events.count == 1)
    }
}
