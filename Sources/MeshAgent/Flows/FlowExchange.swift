// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshTransport
import Synchronization

/// Questions about flows and their answers, between the links and those who read.
final class FlowExchange: Sendable {
    /// Questions of other nodes that wait; more are dropped, and asked again.
    static let asksMaximum = 64

    struct Asked: Sendable {
        let ask: FlowAsk
        let link: LinkID
    }

    private struct State {
        var links: [NodeID: LinkID] = [:]
        var nextID: UInt64
        var readers: [UInt64: Reader] = [:]
        var lost: UInt64 = 0
    }

    private struct Reader {
        /// The last question to each node, while it waits for its answer.
        var asked: [NodeID: UInt64] = [:]
        var answers: [(node: NodeID, answer: FlowAnswer)] = []
    }

    /// One reader.
    let asks: AsyncStream<Asked>
    private let asking: AsyncStream<Asked>.Continuation
    private let state: Mutex<State>
    private let send: @Sendable ([UInt8], LinkID) -> Void

    /// - Parameter seed: so that answers to an earlier life of the agent are nobody's.
    init(seed: UInt64, send: @escaping @Sendable ([UInt8], LinkID) -> Void) {
        (asks, asking) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(Self.asksMaximum))
        state = Mutex(State(nextID: seed))
        self.send = send
    }

    /// Flows that were gone before other nodes asked for them.
    var lost: UInt64 { state.withLock { $0.lost } }

    func noteLost(_ count: UInt64) { state.withLock { $0.lost += count } }

    // MARK: Of the links

    func linkUp(_ link: LinkID, to node: NodeID) { state.withLock { $0.links[node] = link } }

    func linkDown(_ link: LinkID, to node: NodeID) {
        state.withLock { state in
            if state.links[node] == link { state.links[node] = nil }
        }
    }

    func receive(_ ask: FlowAsk, over link: LinkID) { asking.yield(Asked(ask: ask, link: link)) }

    func receive(_ answer: FlowAnswer, from node: NodeID) {
        state.withLock { state in
            // Each question has one answer at most.
            let asker = state.readers.first { $0.value.asked[node] == answer.id }?.key
            guard let asker else { return }
            state.readers[asker]?.asked[node] = nil
            state.readers[asker]?.answers.append((node, answer))
        }
    }

    func answer(_ answer: FlowAnswer, over link: LinkID) {
        send(Message.flowsAnswer(answer).encoded, link)
    }

    // MARK: Of one reader

    func open() -> UInt64 {
        state.withLock { state in
            state.nextID += 1
            state.readers[state.nextID] = Reader()
            return state.nextID
        }
    }

    func close(_ reader: UInt64) { state.withLock { $0.readers[reader] = nil } }

    func link(to node: NodeID) -> LinkID? { state.withLock { $0.links[node] } }

    func isLinked(_ node: NodeID) -> Bool { link(to: node) != nil }

    func nextID() -> UInt64 {
        state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
    }

    func ask(_ node: NodeID, _ ask: FlowAsk, for reader: UInt64) {
        let link = state.withLock { state in
            state.readers[reader]?.asked[node] = ask.id
            return state.links[node]
        }
        if let link { send(Message.flowsAsk(ask).encoded, link) }
    }

    func answers(for reader: UInt64) -> [(node: NodeID, answer: FlowAnswer)] {
        state.withLock { state in
            defer { state.readers[reader]?.answers = [] }
            return state.readers[reader]?.answers ?? []
        }
    }
}
