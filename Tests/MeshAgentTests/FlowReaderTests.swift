// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import MeshDatapath
import MeshModel
import MeshTransport
import Synchronization
import Testing

@testable import MeshAgent

@Suite("A reader of flows")
struct FlowReaderTests {
    /// A node's history of flows, numbered by the source's port, beside nodes that may be asked.
    private final class Node: FlowSource {
        let hub = FlowHub<FlowEvent>()
        let exchange: FlowExchange
        let readerLosses = FlowLosses()
        let others = Mutex<[NodeID]>([])
        /// Links that questions went over.
        let asked = Asked()
        private let published = Mutex(0)

        final class Asked: Sendable { let links = Mutex<Set<LinkID>>([]) }

        init() {
            exchange = FlowExchange(seed: 1) { [asked] _, link in
                asked.links.withLock { _ = $0.insert(link) }
            }
        }

        let nodeName = "east/a"
        let flowsLostByKernel: UInt64 = 0
        func name(of node: NodeID) -> String { "east/\(node.name)" }
        func otherNodes() async -> [NodeID] { others.withLock { $0 } }

        func flow(_ event: FlowEvent, _ names: inout FlowNames) async -> Flow {
            Flow(
                timeUnixMilliseconds: 1, type: .opened, verdict: .forwarded, transport: "TCP",
                source: FlowPeer(address: "10.1.0.5", port: event.source.at.port, identity: 0),
                destination: FlowPeer(address: "10.2.1.5", port: 80, identity: 0), packets: 0,
                bytes: 0)
        }

        func publish(_ count: Int) {
            let first = published.withLock { published in
                defer { published += count }
                return published
            }
            func side(_ port: Int) -> FlowSide {
                FlowSide(
                    at: FlowAddress(address: Address("10.1.0.5")!, port: UInt16(port)),
                    identity: Identity(rawValue: 0))
            }
            hub.publish(
                (first..<first + count).map {
                    FlowEvent(
                        kind: .opened, nanoseconds: 0, transport: 6, source: side($0),
                        destination: side(80), frontend: nil, cluster: nil, reason: nil, packets: 0,
                        bytes: 0, interface: 0)
                })
        }
    }

    private func read(_ count: Int, by reader: FlowReader) async -> [FlowLine] {
        var lines: [FlowLine] = []
        while lines.count < count, let line = await reader.next() { lines.append(line) }
        return lines
    }

    private func ports(_ lines: some Sequence<FlowLine>) -> [Int] {
        lines.compactMap { if case .flow(let flow) = $0 { Int(flow.source.port) } else { nil } }
    }

    @Test(
        "too slow a one loses the oldest, is told how many, and they are counted; others lose none")
    func slow() async throws {
        let node = Node()
        let question = FlowQuestion(follow: true)
        let (slow, quick) = (FlowReader(node, question), FlowReader(node, question))
        node.publish(1)
        #expect(ports(await read(1, by: slow)) == [0])
        #expect(ports(await read(1, by: quick)) == [0])
        let history = FlowHub<FlowEvent>.historyMaximum
        let rounds = 5
        for round in 0..<rounds {
            node.publish(1000)
            let lines = await read(1000, by: quick)
            #expect(ports(lines) == Array(round * 1000 + 1...round * 1000 + 1000))
        }
        #expect(node.readerLosses.count == 0)
        let lost = rounds * 1000 - history
        let lines = await read(history + 1, by: slow)
        #expect(
            lines.first
                == .lost(FlowLoss(node: "east/a", stage: .reader, records: UInt64(lost))))
        #expect(ports(lines) == Array(lost + 1...rounds * 1000))
        #expect(node.readerLosses.count == UInt64(lost))
    }

    @Test("a node that comes while somebody follows is asked, one that goes isn't any more")
    func members() async throws {
        let node = Node()
        let (b, c) = (
            NodeID(cluster: cluster(1), name: "b")!, NodeID(cluster: cluster(1), name: "c")!
        )
        let links = [LinkID(rawValue: 1), LinkID(rawValue: 2)]
        for (other, link) in zip([b, c], links) { node.exchange.linkUp(link, to: other) }
        node.others.withLock { $0 = [b] }
        let reader = FlowReader(node, FlowQuestion(last: 0, follow: true, allNodes: true))
        let reading = Task { while await reader.next() != nil {} }
        try await eventually { node.asked.links.withLock { $0 } == [links[0]] }
        node.others.withLock { $0 = [c] }
        try await eventually { node.asked.links.withLock { $0 } == Set(links) }
        reading.cancel()
        await reading.value
    }
}

extension FlowFollowingTests {
    @Test("who goes is asked no more, who comes is asked at once, who stays goes on")
    func changes() {
        let nodes = ["b", "c", "d"].map { NodeID(cluster: cluster(1), name: $0)! }
        var following = FlowFollowing(
            Array(nodes[...1]), filter: "", last: 0, follows: true)
        var now = Instant.zero + .seconds(100)
        var id: UInt64 = 0
        func look() -> [NodeID: FlowAsk] {
            var asks: [(NodeID, FlowAsk)] = []
            var events: [FlowFollowing.Event] = []
            following.look(
                at: now, isLinked: { _ in true },
                nextID: {
                    id += 1
                    return id
                }, asks: &asks, events: &events)
            for (node, ask) in asks {
                _ = following.receive(
                    FlowAnswer(
                        id: ask.id, life: 5, position: 3, lost: 0, kernelLost: 0, flows: []),
                    from: node, at: now, events: &events)
            }
            return Dictionary(uniqueKeysWithValues: asks)
        }
        #expect(Set(look().keys) == Set(nodes[...1]))
        following.setNodes(Array(nodes[1...]))
        #expect(Array(look().keys) == [nodes[2]])
        now = now + FlowFollowing.interval
        let asks = look()
        #expect(Set(asks.keys) == Set(nodes[1...]))
        #expect(asks[nodes[1]]?.life == 5 && asks[nodes[1]]?.position == 3)
    }
}
