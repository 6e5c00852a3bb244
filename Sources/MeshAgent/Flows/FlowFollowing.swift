// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// Follows the flows of other nodes for one reader: whom to ask what and when, and what to say of those
/// who can't be asked. Without clock and without links.
struct FlowFollowing {
    /// Between an answer and the next question to the same node ...
    static let interval = Duration.milliseconds(200)
    /// ... and more where so many nodes are asked that questions would exceed this.
    static let questionsPerSecond = 500
    /// Whoever hasn't answered for so long is said to be out of reach, and asked again, each time twice
    /// as much later.
    static let patience = Duration.seconds(2)
    static let patienceMaximum = Duration.seconds(16)
    /// Room for the answers of all nodes together.
    static let answersBytes = 16 << 20
    static let answerBytesMinimum = 4096

    /// What became of an answer.
    struct Heard {
        let node: NodeID
        /// JSON, oldest first.
        let flows: [[UInt8]]
    }

    enum Event: Hashable {
        case unreachable(NodeID, reason: String)
        case reachable(NodeID)
        case lost(NodeID, kernel: UInt64, network: UInt64)
    }

    private struct Node {
        var life: UInt64 = 0
        var position: UInt64 = 0
        var kernelLost: UInt64?
        /// The question that waits for its answer.
        var asked: (id: UInt64, at: Instant)?
        var nextAt = Instant.zero
        var patience = FlowFollowing.patience
        var isSilent = false
        var hasAnswered = false
    }

    private let filter: String
    private let last: UInt16
    private let follows: Bool
    private var interval = Self.interval
    private var bytes = FlowAsk.answerBytesMaximum
    private var order: [NodeID] = []
    private var nodes: [NodeID: Node] = [:]

    /// - Parameter last: so many flows that happened already, of each node.
    init(_ nodes: [NodeID], filter: String, last: Int, follows: Bool) {
        self.filter = filter
        self.last = UInt16(clamping: last)
        self.follows = follows
        setNodes(nodes)
    }

    /// These are the nodes from now on; those that stay go on where they were.
    mutating func setNodes(_ wanted: [NodeID]) {
        let wanted = wanted.sorted()
        guard wanted != order else { return }
        interval = max(Self.interval, .seconds(wanted.count) / Self.questionsPerSecond)
        bytes = UInt32(
            min(
                Int(FlowAsk.answerBytesMaximum),
                max(Self.answerBytesMinimum, Self.answersBytes / max(wanted.count, 1))))
        order = wanted
        nodes = Dictionary(uniqueKeysWithValues: wanted.map { ($0, nodes[$0] ?? Node()) })
    }

    /// Whether everybody has answered or was given up, and nothing is to follow.
    var isDone: Bool { !follows && nodes.values.allSatisfy { $0.hasAnswered || $0.isSilent } }

    /// What is to be asked now, and who doesn't answer.
    ///
    /// - Parameters:
    ///   - isLinked: whether a question would reach a node.
    ///   - nextID: for a question; never used before.
    mutating func look(
        at now: Instant, isLinked: (NodeID) -> Bool, nextID: () -> UInt64,
        asks: inout [(NodeID, FlowAsk)], events: inout [Event]
    ) {
        for id in order {
            guard var node = nodes[id] else { continue }
            defer { nodes[id] = node }
            if !isLinked(id) {
                // An answer won't come any more.
                node.asked = nil
                node.nextAt = now
                if !node.isSilent {
                    node.isSilent = true
                    events.append(.unreachable(id, reason: "no link to it is up"))
                }
                continue
            }
            if let asked = node.asked {
                guard now - asked.at >= node.patience else { continue }
                node.asked = nil
                node.patience = min(node.patience * 2, Self.patienceMaximum)
                if !node.isSilent {
                    node.isSilent = true
                    let seconds = Int((now - asked.at).seconds)
                    events.append(
                        .unreachable(id, reason: "it hasn't answered for \(seconds) s"))
                }
            }
            guard node.nextAt <= now, follows || !node.hasAnswered else { continue }
            let ask = FlowAsk(
                id: nextID(), life: node.life, position: node.position, last: last, bytes: bytes,
                filter: filter)
            node.asked = (ask.id, now)
            asks.append((id, ask))
        }
    }

    /// An answer came.
    ///
    /// - Returns: its flows; nil for one that isn't waited for any more, which is ignored.
    mutating func receive(
        _ answer: FlowAnswer, from id: NodeID, at now: Instant, events: inout [Event]
    ) -> Heard? {
        guard var node = nodes[id], let asked = node.asked, asked.id == answer.id
        else { return nil }
        defer { nodes[id] = node }
        node.asked = nil
        node.patience = Self.patience
        node.nextAt = now + interval
        guard answer.refusal.isEmpty else {
            if !node.isSilent {
                node.isSilent = true
                events.append(.unreachable(id, reason: answer.refusal))
            }
            return nil
        }
        if node.isSilent { events.append(.reachable(id)) }
        node.isSilent = false
        // A new life of its agent begins at its first flow; what the kernel lost goes on.
        let kernel =
            node.kernelLost.map { answer.kernelLost >= $0 ? answer.kernelLost - $0 : 0 } ?? 0
        let network = node.hasAnswered ? answer.lost : 0
        if kernel > 0 || network > 0 { events.append(.lost(id, kernel: kernel, network: network)) }
        node.hasAnswered = true
        node.life = answer.life
        node.position = answer.position
        node.kernelLost = answer.kernelLost
        return Heard(node: id, flows: answer.flows)
    }
}
