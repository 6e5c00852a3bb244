// SPDX-License-Identifier: Apache-2.0

import Crypto
import MeshModel
import MeshSimulation
import OrderedCollections

@testable import MeshReplication

/// Clusters of nodes, the streams between them, their disks and clocks: a world in which everything
/// goes wrong that may, the same for the same seed.
struct Mesh {
    enum Event {
        case tick
        case arrival(pipe: UInt64)
        /// A transaction of the own ledger is on the disk.
        case written(Position)
        case publish
        case fault
        case restart(Int)
        case connect(Pair)
        case elect(ClusterID)
        /// From the publisher of a later version.
        case newer([UInt8])
    }

    /// Two nodes that talk to each other.
    struct Pair: Hashable {
        let low: Int
        let high: Int

        init(_ left: Int, _ right: Int) {
            low = min(left, right)
            high = max(left, right)
        }

        func has(_ node: Int) -> Bool { low == node || high == node }
        func other(than node: Int) -> Int { low == node ? high : low }
    }

    struct Connection {
        let pair: Pair
        /// Something between the two that alters what passes.
        let isMangled: Bool
    }

    /// Where events go that are no node's own.
    static let fate = -1

    let plan: StoryPlan
    let owners: [ClusterID]
    /// Who talks to whom when nothing is broken.
    let pairs: [Pair]
    var simulation: Simulation<Int, Event>
    var nodes: [MeshNode]
    var truth = Truth()
    var newer: NewerPublisher?
    /// What the simulator found: the story ends with the first.
    var failures: [String] = []
    /// Publishers have stopped, faults are over.
    var isHealed = false
    var latencies: [Pair: Duration] = [:]
    var cuts: [Int: Set<Int>] = [:]
    var epochs: [ClusterID: UInt32] = [:]
    var writers: UInt8 = 0
    /// Owners of whom two histories were signed.
    var forkedEpochs: [ClusterID: UInt32] = [:]
    var connections: [ReplicationLink: Connection] = [:]
    var links: [Pair: ReplicationLink] = [:]
    private var pipes: [UInt64: SimulatedPipe<[UInt8]>] = [:]
    private var nextLink: UInt64 = 1
    private var memory: [[UInt8]] = []

    init(_ plan: StoryPlan) {
        self.plan = plan
        owners = plan.owners
        pairs = plan.pairs
        nodes = plan.nodes.map { MeshNode(cluster: $0, isLiar: false) }
        if plan.has(.liar) { nodes.append(MeshNode(cluster: plan.nodes[0], isLiar: true)) }
        simulation = Simulation(
            seed: plan.seed, start: .zero + .seconds(1000),
            network: Network { _, _ in Link(latency: .zero) })
    }

    var now: Instant { simulation.now }

    mutating func fail(_ sentence: String) {
        failures.append("at \(now - (.zero + .seconds(1000))): \(sentence)")
    }

    /// What happened, for whoever replays one seed.
    func note(_ sentence: @autoclosure () -> String) {
        if plan.isTold { print("\(now - (.zero + .seconds(1000))): \(sentence())") }
    }

    func name(_ node: Int) -> String {
        nodes[node].isLiar ? "the liar" : "node \(node) of cluster \(nodes[node].cluster)"
    }
}

// MARK: Streams

extension Mesh {
    mutating func connect(_ pair: Pair) {
        guard links[pair] == nil, !nodes[pair.low].isDown, !nodes[pair.high].isDown else { return }
        let link = ReplicationLink(rawValue: nextLink)
        nextLink += 1
        links[pair] = link
        note("\(pair.low) and \(pair.high) connect over \(link.rawValue)")
        let isMangled =
            !isHealed && plan.has(.mangledLinks) && simulation.generator.chance(0.2)
        connections[link] = Connection(pair: pair, isMangled: isMangled)
        for from in [pair.low, pair.high] {
            var pipe = SimulatedPipe<[UInt8]>(latency: latencies[pair] ?? plan.latency)
            pipe.isCut = cuts[from]?.contains(pair.other(than: from)) == true
            pipes[pipeID(link, from: from, pair)] = pipe
        }
        for node in [pair.low, pair.high] {
            perform(at: node) { $0.linkUp(link, into: &$1) }
        }
    }

    /// The stream breaks with everything under way.
    mutating func disconnect(_ pair: Pair) {
        guard let link = links.removeValue(forKey: pair) else { return }
        note("\(link.rawValue) breaks")
        connections[link] = nil
        for node in [pair.low, pair.high] {
            pipes[pipeID(link, from: node, pair)] = nil
            if !nodes[node].isDown { perform(at: node) { $0.linkDown(link, into: &$1) } }
        }
    }

    mutating func setCut(from: Int, to: Int, _ isCut: Bool) {
        if isCut {
            cuts[from, default: []].insert(to)
        } else {
            cuts[from, default: []].remove(to)
        }
        let pair = Pair(from, to)
        guard let link = links[pair] else { return }
        let id = pipeID(link, from: from, pair)
        pipes[id]?.isCut = isCut
        for _ in 0..<(isCut ? 0 : pipes[id]?.count ?? 0) {
            simulation.schedule(.arrival(pipe: id), for: to, at: now)
        }
    }

    /// No link is slow any more.
    mutating func hasten() {
        latencies = [:]
        for id in pipes.keys { pipes[id]?.latency = plan.latency }
    }

    private func pipeID(_ link: ReplicationLink, from node: Int, _ pair: Pair) -> UInt64 {
        link.rawValue * 2 + (node == pair.high ? 1 : 0)
    }

    private mutating func send(_ bytes: [UInt8], over link: ReplicationLink, from node: Int) {
        if link == NewerPublisher.link {
            for answer in newer?.answer(to: bytes) ?? [] { hear(newer: answer) }
        }
        guard let connection = connections[link] else { return }
        let id = pipeID(link, from: node, connection.pair)
        let isAltered = nodes[node].isLiar || connection.isMangled
        for message in isAltered ? altered(tainted(bytes, by: node)) : [bytes] {
            let now = now
            guard let arrival = pipes[id]?.send(message, at: now) else { return }
            simulation.schedule(
                .arrival(pipe: id), for: connection.pair.other(than: node), at: arrival)
        }
    }

    mutating func hear(newer message: [UInt8]) {
        simulation.schedule(.newer(message), for: 0, at: now + plan.latency)
    }

    mutating func deliver(pipe id: UInt64, to node: Int) {
        let link = ReplicationLink(rawValue: id / 2)
        let now = now
        guard let (message, sent) = pipes[id]?.receive(at: now) else { return }
        let bytes = aged(message, by: now - sent)
        let local = clock(node)
        perform(at: node) { $0.receive(bytes, from: link, at: local, into: &$1) }
    }

    /// The time under way is not in a message; what travels here is charged with it, so that ages
    /// can be compared with the truth.
    private func aged(_ bytes: [UInt8], by transit: Duration) -> [UInt8] {
        guard plan.checksAges, case .ages(let ages)? = try? Message(decoding: bytes)
        else { return bytes }
        let milliseconds = UInt32(transit.nanoseconds / 1_000_000 + 1)
        return Message.ages(
            ages.map {
                Message.OwnerAge(
                    owner: $0.owner, position: $0.position,
                    milliseconds: $0.milliseconds + milliseconds)
            }
        ).encoded
    }

    /// A batch with a body that the reader didn't ask for, and that is false: whoever doesn't look
    /// passes it on.
    private mutating func tainted(_ bytes: [UInt8], by node: Int) -> [UInt8] {
        guard nodes[node].isLiar, case .batch(let batch)? = try? Message(decoding: bytes),
            let log = nodes[node].synchroniser.replicas[batch.owner]?.log,
            let whole = log.message(at: batch.position),
            case .batch(let full)? = try? Message(decoding: whole),
            let victim = full.present.subtracting(batch.present).shards.first,
            simulation.generator.chance(0.5)
        else { return bytes }
        return Message.batch(
            Batch(
                signed: full.signed, delegation: full.delegation,
                bodies: full.bodies.map {
                    $0.shard == victim ? Batch.Body(shard: victim, bytes: $0.bytes + [0]) : $0
                })
        ).encoded
    }

    /// What a liar, or a fault on the way, makes of a message.
    private mutating func altered(_ bytes: [UInt8]) -> [[UInt8]] {
        if memory.count < 64 {
            memory.append(bytes)
        } else {
            memory[Int.random(in: 0..<64, using: &simulation.generator)] = bytes
        }
        switch Int.random(in: 0..<12, using: &simulation.generator) {
        case 0:
            var flipped = bytes
            let bit = Int.random(in: 0..<bytes.count * 8, using: &simulation.generator)
            flipped[bit / 8] ^= 1 << UInt8(bit % 8)
            return [flipped]
        case 1: return []
        case 2: return [bytes, bytes]
        case 3: return [memory.randomElement(using: &simulation.generator) ?? bytes, bytes]
        case 4:
            let count = Int.random(in: 0..<bytes.count, using: &simulation.generator)
            return [Array(bytes.prefix(count))]
        default: return [bytes]
        }
    }
}

// MARK: What cores want

extension Mesh {
    typealias Body = (inout Synchroniser, inout [ReplicationEffect]) -> Void

    /// Lets a node's core do something, performs what it asks for, and looks whether all is well.
    ///
    /// - Parameter signing: whose batches the node signs thereby, and over which.
    mutating func perform(
        at node: Int, signing: (owner: ClusterID, head: LedgerHead)? = nil, _ body: Body
    ) {
        var effects: [ReplicationEffect] = []
        body(&nodes[node].synchroniser, &effects)
        if let signing { note(effects, over: signing.head) }
        var touched: Set<ClusterID> = []
        for effect in effects {
            if plan.isTold { tellOf(effect, at: node) }
            switch effect {
            case .send(let bytes, let link): send(bytes, over: link, from: node)
            case .changed(let update):
                touched.insert(update.owner)
                show(update, at: node)
            case .append(let owner, let position, let message):
                append(owner, position, message, at: node)
            case .replaced(let owner): save(owner, at: node)
            case .rejected(let reason, let link): judge(reason, from: link, at: node)
            case .frozen(let owner, _): nodes[node].frozen.insert(owner)
            case .thawed(let owner, _): nodes[node].frozen.remove(owner)
            }
        }
        check(node, touched)
    }

    private func tellOf(_ effect: ReplicationEffect, at node: Int) {
        switch effect {
        case .send(let bytes, let link):
            guard let message = try? Message(decoding: bytes) else { return }
            note("\(node) sends over \(link.rawValue): \(message.summary)")
        case .changed(let update):
            note("\(node) shows \(update.owner) at \(update.position), \(update.changes.count)")
        case .append(let owner, let position, _): note("\(node) appends \(owner) \(position)")
        default: note("\(node): \(effect)")
        }
    }

    private mutating func note(_ effects: [ReplicationEffect], over head: LedgerHead) {
        var before = head
        for case .append(_, _, let message) in effects {
            guard case .batch(let batch)? = try? Message(decoding: message),
                (try? truth.note(batch, over: before)) != nil
            else { return fail("a publisher signed what nobody can read") }
            before = batch.signed.head
        }
    }

    private mutating func show(_ update: LedgerUpdate, at node: Int) {
        guard !nodes[node].isLiar else { return }
        for change in update.changes {
            if nodes[node].views[update.owner]?[change.key] != change.former {
                fail("\(name(node)) names a former value of \(change.key) that it hadn't told")
            }
            if plan.flaws.contains(.tablesKeepRecords), change.value == nil { continue }
            nodes[node].views[update.owner, default: [:]][change.key] = change.value
        }
    }

    private mutating func judge(
        _ reason: RejectionReason, from link: ReplicationLink, at node: Int
    ) {
        switch reason {
        case .malformedBody, .stateMismatch:
            // Whatever a peer does: what an honest owner signed leads to what it signed.
            if !nodes[node].isLiar { fail("\(name(node)) accuses an honest owner of \(reason)") }
        default: break
        }
        guard reason.isViolation else { return }
        guard let connection = connections[link] else {
            fail("\(name(node)) blames a later version for \(reason)")
            return
        }
        let peer = connection.pair.other(than: node)
        guard connection.isMangled || nodes[node].isLiar || nodes[peer].isLiar else {
            fail("\(name(node)) blames the honest \(name(peer)) for \(reason)")
            return
        }
        // A shell closes such a link, and tries again later.
        guard simulation.generator.chance(0.3) else { return }
        simulation.schedule(.connect(connection.pair), for: Self.fate, at: now + .seconds(1))
        disconnect(connection.pair)
    }
}

extension Message {
    /// A line for whoever replays a story.
    fileprivate var summary: String {
        switch self {
        case .heads(let heads):
            heads.map { "\($0.owner) at \($0.head.position) \($0.head.hash.bytes[0])" }
                .joined(separator: ", ")
        case .batch(let batch):
            "batch \(batch.owner) \(batch.position) \(batch.signed.hash.bytes[0])"
        case .evidence(let proof):
            "evidence \(proof.owner) \(proof.position) \(proof.signed.hash.bytes[0])"
        case .offer(let offer):
            "offer \(offer.owner) \(offer.position) \(offer.signed.hash.bytes[0])"
        case .accept(let acceptance): "accept \(acceptance.owner) \(acceptance.position)"
        case .chunk(let chunk): "chunk \(chunk.owner) \(chunk.position) \(chunk.bucket)"
        case .requestSnapshot(let owner): "request \(owner)"
        case .acknowledge(let count): "acknowledge \(count)"
        case .ages(let ages): "ages of \(ages.count)"
        case .holds(let owner, let position): "holds \(owner) \(position)"
        }
    }
}
