// SPDX-License-Identifier: Apache-2.0

import Crypto
import MeshModel
import MeshSimulation
import Testing

@testable import MeshReplication

/// Nodes, ordered links between them, and the truth to compare them with.
///
/// Every state that an owner ever signed is kept, by the hash of its header; whenever a node's view
/// changes it must be the one that was signed at its position.
struct World {
    struct Node {
        var synchroniser: Synchroniser
        /// The sum of all updates, per owner.
        var views: [ClusterID: Records] = [:]
        var positions: [ClusterID: Position] = [:]
        var rejections: [RejectionReason] = []
        var frozen: [ClusterID] = []
        /// Bytes sent since the start.
        var sent = 0
    }

    /// One direction of a link: messages under way, in order.
    struct Pipe: Hashable {
        let from: Int
        let to: Int
    }

    let owners: [ClusterID]
    let window: LogWindowLimit
    let rate: ChangeRateLimit?
    private var interests: [ShardSet]
    private(set) var nodes: [Node] = []
    private var pipes: [Pipe: [[UInt8]]] = [:]
    private var links: [Pipe: ReplicationLink] = [:]
    private var nextLink: UInt64 = 1
    private var now = Instant.zero
    private var history: [LedgerDigest: Records] = [.zero: [:]]
    /// Stands between a node and its links, if it lies: what it really sends for each message.
    var lie: (_ message: [UInt8], _ from: Int) -> [[UInt8]] = { message, _ in [message] }

    /// - Parameter interests: of each node; all of them everything if there are none.
    init(
        owners: Int, nodes: Int, interests: [ShardSet] = [], rate: ChangeRateLimit? = nil,
        window: LogWindowLimit = .standard
    ) throws {
        self.rate = rate
        self.interests = interests.isEmpty ? Array(repeating: .all, count: nodes) : interests
        self.owners = try (1...UInt16(owners)).map { try owner($0) }
        self.window = window
        for _ in 0..<nodes {
            self.nodes.append(Node(synchroniser: Synchroniser()))
        }
        for node in 0..<nodes { try restart(node) }
    }

    // MARK: What happens

    /// A node starts with nothing.
    mutating func restart(_ node: Int) throws {
        for other in nodes.indices where other != node { disconnect(node, other) }
        var fresh = Node(synchroniser: Synchroniser())
        var effects: [ReplicationEffect] = []
        for id in owners {
            fresh.synchroniser.add(
                owner: id, authority: try authority(id.rawValue), interest: interests[node],
                rate: rate, window: window, into: &effects)
        }
        fresh.rejections = nodes[node].rejections
        nodes[node] = fresh
        perform(effects, at: node)
    }

    mutating func openLedger(of id: ClusterID, at node: Int, epoch: UInt32) throws {
        // Two nodes that open the same epoch are two writers.
        nodes[node].synchroniser.open(
            try ledger(of: id.rawValue, epoch: epoch, writer: UInt8(node)))
    }

    mutating func publish(_ changes: [LedgerChange], of id: ClusterID, at node: Int) throws {
        let before = nodes[node].synchroniser.head(of: id) ?? .origin
        var state = try #require(history[before.hash])
        for change in changes { state[change.key] = change.value }
        var effects: [ReplicationEffect] = []
        try nodes[node].synchroniser.publish(changes, into: &effects)
        let after = try #require(nodes[node].synchroniser.head(of: id))
        history[after.hash] = state
        // Larger commits pass through states between; they are read back from the batches.
        try recordSteps(from: before, of: id, at: node)
        perform(effects, at: node)
    }

    private mutating func recordSteps(
        from before: LedgerHead, of id: ClusterID, at node: Int
    ) throws {
        let replica = try #require(nodes[node].synchroniser.replica(of: id))
        guard var state = history[before.hash] else { return }
        var head = before
        while let entry = replica.log.entry(after: head) {
            guard case .batch(let batch) = try Message(decoding: entry.message) else { return }
            for change in try batch.changes() { state[change.key] = change.value }
            if let known = history[entry.head.hash] { #expect(known == state) }
            history[entry.head.hash] = state
            head = entry.head
        }
    }

    mutating func connect(_ left: Int, _ right: Int) {
        guard links[Pipe(from: left, to: right)] == nil else { return }
        let link = ReplicationLink(rawValue: nextLink)
        nextLink += 1
        for pipe in [Pipe(from: left, to: right), Pipe(from: right, to: left)] {
            links[pipe] = link
            pipes[pipe] = []
        }
        for node in [left, right] {
            var effects: [ReplicationEffect] = []
            nodes[node].synchroniser.linkUp(link, into: &effects)
            perform(effects, at: node)
        }
    }

    /// The link breaks; what was under way on it is lost.
    mutating func disconnect(_ left: Int, _ right: Int) {
        guard let link = links[Pipe(from: left, to: right)] else { return }
        for pipe in [Pipe(from: left, to: right), Pipe(from: right, to: left)] {
            links[pipe] = nil
            pipes[pipe] = nil
        }
        for node in [left, right] {
            var effects: [ReplicationEffect] = []
            nodes[node].synchroniser.linkDown(link, into: &effects)
            perform(effects, at: node)
        }
    }

    mutating func advance(to now: Instant) { self.now = now }

    func age(of id: ClusterID, at node: Int) -> Duration? {
        nodes[node].synchroniser.age(of: id, at: now)
    }

    /// Delivers the oldest message of one pipe.
    ///
    /// - Returns: whether anything was under way.
    mutating func deliver(using random: inout SeededGenerator) -> Bool {
        let busy = pipes.filter { !$0.value.isEmpty }.keys
            .sorted { ($0.from, $0.to) < ($1.from, $1.to) }
        guard let pipe = busy.randomElement(using: &random), let link = links[pipe],
            let message = pipes[pipe]?.removeFirst()
        else { return false }
        var effects: [ReplicationEffect] = []
        nodes[pipe.to].synchroniser.receive(message, from: link, at: now, into: &effects)
        perform(effects, at: pipe.to)
        return true
    }

    mutating func tick(at now: Instant) {
        self.now = now
        for node in nodes.indices {
            var effects: [ReplicationEffect] = []
            nodes[node].synchroniser.tick(at: now, into: &effects)
            perform(effects, at: node)
        }
    }

    /// Delivers until nothing is under way.
    mutating func settle(using random: inout SeededGenerator) {
        var budget = 200_000
        while deliver(using: &random) {
            budget -= 1
            guard budget > 0 else {
                Issue.record("messages never end")
                return
            }
        }
    }

    mutating func setInterest(_ interest: ShardSet, in id: ClusterID, at node: Int) {
        var effects: [ReplicationEffect] = []
        interests[node] = interest
        nodes[node].synchroniser.setInterest(interest, in: id, into: &effects)
        perform(effects, at: node)
    }

    // MARK: What is checked

    private mutating func perform(_ effects: [ReplicationEffect], at node: Int) {
        for effect in effects {
            switch effect {
            case .send(let bytes, let link):
                guard let pipe = links.first(where: { $0.key.from == node && $0.value == link })
                else { continue }
                nodes[node].sent += bytes.count
                pipes[pipe.key]?.append(contentsOf: lie(bytes, node))
            case .changed(let update): check(update, at: node)
            case .append, .replaced: break
            case .rejected(let reason, _): nodes[node].rejections.append(reason)
            case .frozen(let id, _): nodes[node].frozen.append(id)
            case .thawed(let id, _): nodes[node].frozen.removeAll { $0 == id }
            }
        }
    }

    private mutating func check(_ update: LedgerUpdate, at node: Int) {
        for change in update.changes {
            let former = nodes[node].views[update.owner]?[change.key]
            #expect(former == change.former, "\(change.key) was something else before")
            nodes[node].views[update.owner, default: [:]][change.key] = change.value
        }
        let before = nodes[node].positions[update.owner] ?? .origin
        #expect(before <= update.position, "a position went back")
        nodes[node].positions[update.owner] = update.position
    }

    /// Compares every view with what was signed at its position.
    func checkViews() {
        for (index, node) in nodes.enumerated() {
            for id in owners {
                guard let replica = node.synchroniser.replica(of: id) else { continue }
                let head = replica.head
                #expect(
                    node.views[id] ?? [:] == history[head.hash]?.restricted(to: replica.held),
                    "node \(index) doesn't hold owner \(id) at \(head.position)")
            }
        }
    }

    func head(of id: ClusterID, at node: Int) -> LedgerHead {
        nodes[node].synchroniser.head(of: id) ?? .origin
    }
}
