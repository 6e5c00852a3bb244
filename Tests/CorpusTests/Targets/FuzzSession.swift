// SPDX-License-Identifier: Apache-2.0

import MeshModel

@testable import MeshReplication

/// A node that hears what the fuzzer's bytes say, one step after the other: true messages, altered
/// ones, whatever a lying owner signs, and what happens to a node besides.
///
/// What must hold: nothing is taken in the honest owner's name that it didn't sign; positions never
/// go back; nobody is frozen who has one history; the picture that effects paint is the replica's;
/// every replica is proven by its header; an answer is bounded.
struct FuzzSession {
    private static let stepsMaximum = 64
    /// The flow-control window, and what may overshoot it.
    static let answerMaximum =
        Int(ReplicationLimit.unacknowledgedBytes) + 2 * ReplicationLimit.messageBytes
    static let links = [1, 2].map { ReplicationLink(rawValue: $0) }

    let history: FuzzHistory
    var input: ArraySlice<UInt8>
    var node = Synchroniser()
    var effects: [ReplicationEffect] = []
    var now = Instant(nanoseconds: 1_000_000_000)
    /// What the node sent last.
    private var said: [[UInt8]] = []
    /// What the node's effects said of each owner's records.
    private var views: [ClusterID: [String: [UInt8]]] = [:]
    private var positions: [ClusterID: Position] = [:]

    init(_ bytes: [UInt8]) throws {
        history = try FuzzHistory.shared.get()
        input = bytes[...]
        try populate()
    }

    private mutating func populate() throws {
        let rate = ChangeRateLimit(perSecond: 10, burst: 20)
        node = Synchroniser(receiptsOf: history.honest)
        for owner in [history.honest, history.liar, history.own] {
            node.add(
                owner: owner, authority: try history.authority(of: owner),
                rate: owner == history.liar ? rate : nil,
                window: LogWindowLimit(batches: 3, bytes: 4096), into: &effects)
        }
    }

    mutating func run() throws {
        node.open(history.ownLedger, awaitsDurability: true)
        for link in Self.links { node.linkUp(link, into: &effects) }
        try judge()
        for _ in 0..<Self.stepsMaximum {
            guard let step = input.popFirst() else { break }
            try take(step)
            try judge()
        }
        for owner in node.owners { try judgeState(of: owner) }
    }

    /// The next byte of the input, 0 behind its end.
    mutating func byte() -> UInt8 { input.popFirst() ?? 0 }

    mutating func bytes() -> [UInt8] {
        let count = min(Int(byte()), input.count)
        defer { input = input.dropFirst(count) }
        return Array(input.prefix(count))
    }

    var link: ReplicationLink {
        mutating get { Self.links[Int(byte()) % Self.links.count] }
    }

    private mutating func take(_ step: UInt8) throws {
        switch step % 18 {
        case 0, 1: try tell(altered: false)
        case 2, 3: try tell(altered: true)
        case 4: hear(bytes(), from: link)
        case 5: hear([Message.version] + bytes(), from: link)
        case 6: echo()
        case 7, 8: try lie()
        case 9: try offerLies()
        case 10: publish()
        case 11: pass()
        case 12: node.linkUp(link, scope: scope(), into: &effects)
        case 13: node.linkDown(link, into: &effects)
        case 14: want()
        case 15: try restart()
        case 16: read()
        default: readAll()
        }
    }

    mutating func hear(_ bytes: [UInt8], from link: ReplicationLink) {
        node.receive(bytes, from: link, at: now, into: &effects)
    }

    // MARK: Steps

    /// One of the history's messages, with the answers that make a snapshot arrive.
    private mutating func tell(altered: Bool) throws {
        let index = Int(byte()) % history.messages.count
        let link = link
        hear(altered ? alter(history.messages[index]) : history.messages[index], from: link)
        guard let snapshot = history.offers[index] else { return }
        send(snapshot, over: link, altered: altered)
    }

    /// What the node asks of a snapshot that it accepted.
    mutating func send(_ snapshot: OutgoingSnapshot, over link: ReplicationLink, altered: Bool) {
        let accepted = effects.compactMap { effect -> SnapshotAcceptance? in
            guard case .send(let bytes, over: link) = effect,
                case .accept(let acceptance)? = try? Message(decoding: bytes)
            else { return nil }
            return acceptance
        }
        guard let acceptance = accepted.last, acceptance.position == snapshot.offer.position
        else { return }
        var sending = snapshot.accepting(acceptance.buckets)
        while let chunk = sending.nextChunk() {
            let bytes = Message.chunk(chunk).encoded
            hear(altered ? alter(bytes) : bytes, from: link)
        }
    }

    private mutating func alter(_ message: [UInt8]) -> [UInt8] {
        var message = message
        for _ in 0..<byte() % 4 {
            guard !message.isEmpty else { break }
            let place = (Int(byte()) << 8 | Int(byte())) % message.count
            switch byte() % 4 {
            case 0: message[place] ^= max(byte(), 1)
            case 1: message.removeSubrange(place...)
            case 2: message.insert(contentsOf: bytes(), at: place)
            default:
                let other = history.messages[Int(byte()) % history.messages.count]
                message.replaceSubrange(place..., with: other.dropFirst(place))
            }
        }
        return message
    }

    /// A peer that sends back what it was told.
    private mutating func echo() {
        let link = link
        for bytes in said.prefix(8) { hear(bytes, from: link) }
    }

    /// One of the history's batches, from a shared store; whatever is refused there is refused.
    private mutating func read() {
        let message = history.messages[Int(byte()) % history.messages.count]
        _ = try? node.absorb(byte() < 128 ? message : alter(message), into: &effects)
    }

    /// All that a shared store has, rightly or not.
    private mutating func readAll() {
        let replica = history.replicas[Int(byte()) % history.replicas.count]
        guard let last = replica.last else { return }
        var writer = ByteWriter()
        LedgerProof(signed: last, delegation: replica.delegation).encode(into: &writer)
        let choice = byte()
        let proof = choice < 192 ? writer.bytes : alter(writer.bytes)
        var entries = replica.entries
        if choice >= 128, let entry = entries.popLast() {
            entries.append(LedgerEntry(key: entry.key, value: bytes()))
        }
        try? node.adopt(proof, entries: entries, of: history.honest, into: &effects)
    }

    private mutating func publish() {
        let keys = FuzzHistory.keys
        let changes = bytes().prefix(8).map { choice in
            let key = FuzzHistory.key(keys[Int(choice) % keys.count])
            return choice < 128 ? LedgerChange.put(key, [choice]) : .delete(key)
        }
        // Refusals are part of the game: another writer may have taken over.
        guard (try? node.publish(changes, into: &effects)) != nil, byte() < 128,
            let head = node.head(of: history.own)
        else { return }
        node.release(through: head.position, into: &effects)
    }

    private mutating func pass() {
        now = now + .milliseconds(Int(byte()) * 100)
        // Around the end of all delegations.
        let clock: [UInt64] = [0, 1_900_000_000, FuzzHistory.notAfter + 301, .max]
        node.tick(at: now, realTime: clock[Int(byte()) % clock.count], into: &effects)
    }

    private mutating func scope() -> OwnerScope {
        switch byte() % 4 {
        case 0: .only([history.honest])
        case 1: .allBut(history.own)
        default: .all
        }
    }

    private mutating func want() {
        let owner = byte() < 128 ? history.honest : history.liar
        node.setInterest(
            ShardSet(rawValue: UInt16(byte()) << 8 | UInt16(byte())), in: owner, into: &effects)
    }

    /// The node dies, and starts from what it wrote down or from something like it.
    private mutating func restart() throws {
        let isDamaged = byte() < 64
        let checkpoints = node.owners.compactMap { node.takeCheckpoint(of: $0, whole: true) }
        try judge()
        try populate()
        effects = []
        views = [:]
        for saved in checkpoints {
            let header = isDamaged ? alter(saved.header) : saved.header
            do throws(RestoreFault) {
                try node.restore(
                    saved.owner, header: header, buckets: saved.buckets, log: [], at: now,
                    into: &effects)
            } catch {
                try demand(isDamaged, "\(saved.owner) can't be restored: \(error)")
                positions[saved.owner] = nil
            }
        }
        for owner in node.owners where (node.head(of: owner) ?? .origin) == .origin {
            positions[owner] = nil
        }
    }
}

// MARK: Judging

extension FuzzSession {
    /// After every step.
    private mutating func judge() throws {
        var sent: [[UInt8]] = []
        for effect in effects {
            switch effect {
            case .send(let bytes, over: _):
                sent.append(bytes)
                try judgeMessage(bytes)
            case .changed(let update): try paint(update)
            case .append(let owner, let position, message: _):
                try demand(
                    position > positions[owner] ?? .origin,
                    "\(owner) at \(position) again, after \(positions[owner] ?? .origin)")
            case .frozen(let owner, let position):
                try demand(
                    owner != history.honest || position.epoch == history.forkedEpoch,
                    "\(owner) is frozen at \(position), where it has one history")
            case .replaced, .rejected, .thawed: break
            }
        }
        let answer = sent.reduce(0) { $0 + $1.count }
        try demand(answer <= Self.answerMaximum, "\(answer) bytes in answer to one step")
        if !sent.isEmpty { said = sent }
        effects = []
        for owner in node.owners {
            guard let position = node.head(of: owner)?.position else { continue }
            let former = positions[owner] ?? .origin
            try demand(position >= former, "\(owner) went back from \(former) to \(position)")
            if position != former { try judgeState(of: owner) }
            positions[owner] = position
        }
    }

    /// What is passed on is whole, also what nobody here wants of it.
    private func judgeMessage(_ bytes: [UInt8]) throws {
        guard case .batch(let batch) = try Message(decoding: bytes) else { return }
        for body in batch.bodies {
            let expected = batch.signed.header.shards.first { $0.shard == body.shard }?.body
            try demand(
                expected == LedgerDigest(of: body.bytes),
                "passes on another body of shard \(body.shard) at \(batch.position)")
        }
    }

    private mutating func paint(_ update: LedgerUpdate) throws {
        for change in update.changes {
            let former = views[update.owner]?[change.key]
            try demand(
                former == change.former,
                "\(change.key) was \(String(describing: former)), not \(change)")
            views[update.owner, default: [:]][change.key] = change.value
        }
    }

    private func judgeState(of owner: ClusterID) throws {
        guard let replica = node.replica(of: owner) else { return }
        if let last = replica.last {
            try demand(
                replica.contents.root == last.header.stateRoot, "\(owner) at \(replica.position)")
        }
        for (index, bucket) in replica.contents.buckets.enumerated() where bucket.count > 0 {
            let again = try Bucket(validating: bucket.bytes, index: index)
            try demand(again.hash == bucket.hash && again.count == bucket.count, "bucket \(index)")
        }
        if owner == history.honest {
            guard let state = history.states[replica.head]
            else { throw BrokenProperty("\(replica.head) was never signed") }
            for index in state.buckets.indices {
                let isHeld = replica.held.contains(shard: Placement.shard(ofBucket: index))
                try demand(
                    replica.contents.buckets[index].bytes
                        == (isHeld ? state.buckets[index].bytes : []),
                    "bucket \(index) at \(replica.position) isn't what was signed")
            }
        }
        let records = Dictionary(uniqueKeysWithValues: replica.entries.map { ($0.key, $0.value) })
        // What is published here is told when it is durable.
        guard owner != history.own else { return }
        try demand(
            records == views[owner] ?? [:],
            "\(owner) at \(replica.position) has \(records), told \(views[owner] ?? [:])")
    }
}
