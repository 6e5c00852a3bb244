// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshAdmin
import MeshDatapath
import MeshModel
import MeshTransport

/// What one reader of flows gets, of this node and, where that is wished, of the others of its cluster.
/// Lines are made when they are asked for: a slow reader costs no memory and loses what leaves the
/// history meanwhile.
actor FlowReader {
    /// Events are taken from the kernel as often.
    static let interval = FlowService.interval
    /// What the kernel lost is looked at this often.
    private static let lossInterval = Duration.seconds(1)
    /// Who is there to be asked is looked at this often.
    private static let nodesInterval = Duration.seconds(1)

    private let source: any FlowSource
    private let question: FlowQuestion
    private let seat: UInt64?
    private let node: String
    private var following: FlowFollowing?
    private var names: FlowNames
    private var position: UInt64?
    private var hasLooked = false
    private var kernelLost: UInt64?
    private var nextLossLook = Instant.zero
    private var nextNodesLook = Instant.zero
    /// Of several nodes, until all have answered, where nothing is to follow: then they are in order.
    private var gathered: [Flow] = []
    private var lines: ArraySlice<FlowLine> = []

    init(_ source: any FlowSource, _ question: FlowQuestion) {
        self.source = source
        self.question = question
        node = source.nodeName
        names = FlowNames()
        following =
            question.allNodes
            ? FlowFollowing(
                [], filter: question.filter.expression, last: question.last,
                follows: question.follow) : nil
        seat = question.allNodes ? source.exchange.open() : nil
    }

    deinit { if let seat { source.exchange.close(seat) } }

    /// Nil at the end, and when the reader is gone.
    func next() async -> FlowLine? {
        while lines.isEmpty {
            if hasLooked, !question.follow, following?.isDone ?? true { return nil }
            if hasLooked {
                do { try await Task.sleep(for: Self.interval) } catch { return nil }
            }
            await look()
        }
        return lines.popFirst()
    }

    private func look() async {
        var flows: [Flow] = []
        var notices: [FlowLine] = []
        if !hasLooked || question.follow {
            await lookHere(&flows, &notices)
            await lookAround()
        }
        lookThere(&flows, &notices)
        hasLooked = true
        if let following {
            flows = gathered + flows
            gathered = []
            if !question.follow, !following.isDone { swap(&flows, &gathered) }
            flows.sort { $0.timeUnixMilliseconds < $1.timeUnixMilliseconds }
            if !question.follow { flows = flows.suffix(question.last) }
        }
        lines = (notices + flows.map(FlowLine.flow))[...]
    }

    private func lookHere(_ flows: inout [Flow], _ notices: inout [FlowLine]) async {
        if position == nil, question.last == 0 { position = source.hub.position }
        let news = source.hub.news(after: position)
        // One reader asks at a time.
        var names = names
        for event in news.flows {
            let flow = await source.flow(event, &names)
            if question.filter.matches(flow) { flows.append(flow) }
        }
        self.names = names
        if position == nil, flows.count > question.last {
            flows.removeFirst(flows.count - question.last)
        }
        position = news.position
        if news.lost > 0 {
            source.readerLosses.add(news.lost)
            notices.append(.lost(FlowLoss(node: node, stage: .reader, records: news.lost)))
        }
        guard Instant.monotonicNow >= nextLossLook else { return }
        nextLossLook = .monotonicNow + Self.lossInterval
        let lost = source.flowsLostByKernel
        if let former = kernelLost, lost > former {
            notices.append(.lost(FlowLoss(node: node, stage: .kernel, records: lost - former)))
        }
        kernelLost = lost
    }

    /// Nodes come and go while somebody follows.
    private func lookAround() async {
        guard following != nil, Instant.monotonicNow >= nextNodesLook else { return }
        nextNodesLook = .monotonicNow + Self.nodesInterval
        let nodes = await source.otherNodes()
        following?.setNodes(nodes)
    }

    private func lookThere(_ flows: inout [Flow], _ notices: inout [FlowLine]) {
        guard var following, let seat else { return }
        let exchange = source.exchange
        let now = Instant.monotonicNow
        var events: [FlowFollowing.Event] = []
        for (node, answer) in exchange.answers(for: seat) {
            guard
                let heard = following.receive(answer, from: node, at: now, events: &events)
            else { continue }
            for bytes in heard.flows {
                // What doesn't read is an agent's of another version.
                guard var flow = try? JSONDecoder().decode(Flow.self, from: Data(bytes))
                else { continue }
                // Whose word it is, whatever it says.
                flow.node = source.name(of: heard.node)
                flows.append(flow)
            }
        }
        var asks: [(NodeID, FlowAsk)] = []
        following.look(
            at: now, isLinked: exchange.isLinked, nextID: exchange.nextID,
            asks: &asks, events: &events)
        for (node, ask) in asks { exchange.ask(node, ask, for: seat) }
        for event in events {
            switch event {
            case .unreachable(let node, let reason):
                notices.append(
                    .node(
                        FlowNodeNotice(
                            node: source.name(of: node), state: .unreachable, reason: reason)))
            case .reachable(let node):
                notices.append(
                    .node(FlowNodeNotice(node: source.name(of: node), state: .reachable)))
            case .lost(let node, let kernel, let network):
                for (stage, count) in [(FlowLoss.Stage.kernel, kernel), (.network, network)]
                where count > 0 {
                    notices.append(
                        .lost(
                            FlowLoss(node: source.name(of: node), stage: stage, records: count)))
                }
            }
        }
        self.following = following
    }
}
