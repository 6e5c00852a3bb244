// SPDX-License-Identifier: Apache-2.0

import MeshModel
import OrderedCollections
import Testing

@testable import MeshReplication

@Suite("What is published is told once it is durable")
struct PublicationTests {
    /// A publisher with one peer that lacks everything.
    struct Node {
        let id: ClusterID
        let link = ReplicationLink(rawValue: 1)
        var core = Synchroniser()
        var effects: [ReplicationEffect] = []

        init(epoch: UInt32 = 1) throws {
            id = try owner(7)
            core.add(owner: id, authority: try authority(7), into: &effects)
            core.linkUp(link, into: &effects)
            core.open(try ledger(of: 7, epoch: epoch), awaitsDurability: true)
            hear(.heads([.init(owner: id, head: .origin, interest: .all)]))
        }

        mutating func publish(_ changes: LedgerChange...) throws {
            effects = []
            try core.publish(changes, into: &effects)
        }

        mutating func release(_ epoch: UInt32, _ revision: UInt64) {
            effects = []
            core.release(
                through: Position(epoch: epoch, revision: revision), into: &effects)
        }

        mutating func hear(_ message: Message, at now: Instant = .zero) {
            effects = []
            core.receive(message.encoded, from: link, at: now, into: &effects)
        }

        /// Positions of the batches sent.
        var sent: [String] {
            get throws {
                try effects.sent(over: link).compactMap {
                    if case .batch(let batch) = $0 { batch.position.description } else { nil }
                }
            }
        }

        var shown: [String] { effects.updates.map(\.position.description) }
    }

    @Test("nothing leaves, and no table hears of it, before it is released; then all in order")
    func release() throws {
        var node = try Node()
        for value in ["1", "2", "3"] {
            try node.publish(put("a", value))
            guard case .append? = node.effects.first, node.effects.count == 1 else {
                Issue.record("something but the journal heard of it: \(node.effects)")
                return
            }
        }
        #expect(node.core.hasUnreleased)
        // Asking doesn't help, by whatever way.
        node.hear(.heads([.init(owner: node.id, head: .origin, interest: .all)]))
        node.hear(.requestSnapshot(node.id))
        #expect(node.effects.isEmpty)
        node.core.announceHeads(over: [node.link], into: &node.effects)
        #expect(
            try node.effects.sent(over: node.link) == [
                .heads([.init(owner: node.id, head: .origin, interest: .all)])
            ])
        #expect(node.core.rollup == Synchroniser().rollup)
        node.hear(.heads([.init(owner: node.id, head: .origin, interest: .all)]))
        node.release(1, 2)
        #expect(try node.sent == ["1.1", "1.2"])
        #expect(node.shown == ["1.1", "1.2"])
        node.release(1, 1)
        #expect(node.effects.isEmpty)
        node.release(1, 3)
        #expect(try node.sent == ["1.3"])
        #expect(node.shown == ["1.3"])
        #expect(!node.core.hasUnreleased)
    }

    @Test("an epoch that is opened while revisions wait for the disk doesn't release them")
    func reopened() throws {
        var node = try Node()
        try node.publish(put("a", "1"))
        node.core.open(try ledger(of: 7, epoch: 2), awaitsDurability: true)
        try node.publish(put("b", "1"))
        #expect(node.effects.count == 1)
        node.release(1, 1)
        #expect(try node.sent == ["1.1"])
        #expect(node.shown == ["1.1"])
        node.release(2, 1)
        #expect(try node.sent == ["2.1"])
        #expect(node.shown == ["2.1"])
    }

    @Test("what no ledger can carry is said at once, if nothing waits for the disk")
    func refused() throws {
        var node = try Node()
        try node.publish(put("a", "1"))
        node.release(1, 1)
        try node.publish(put("späte", "1"))
        #expect(node.effects.updates.map { $0.refused.map(\.key) } == [["service/späte"]])
        #expect(!node.core.hasUnreleased)
    }

    @Test(
        "a publisher that fetches a newer history goes on with it, whatever it publishes meanwhile")
    func fetching() throws {
        for changes in [[], [put("c", "1")]] {
            var node = try Node()
            try node.publish(put("a", "1"))
            node.release(1, 1)
            var other = try Publisher(epoch: 2)
            _ = try other.commit(put("b", "1"))
            let offer = try #require(OutgoingSnapshot(of: other.replica, shards: .all)).offer
            node.hear(.offer(offer))
            node.effects = []
            try node.core.publish(changes, into: &node.effects)
            if changes.isEmpty {
                #expect(node.effects.isEmpty)
                #expect(node.core.transfers.count == 1)
            } else {
                // The peer offers again to whoever stands where it doesn't.
                #expect(try node.effects.sent(over: node.link).count == 1)
                #expect(node.core.transfers.isEmpty)
            }
        }
    }

    @Test("a publisher that stops tells what it has signed")
    func close() throws {
        var node = try Node()
        try node.publish(put("a", "1"))
        node.effects = []
        node.core.close(into: &node.effects)
        #expect(try node.sent == ["1.1"])
        #expect(node.shown == ["1.1"])
        #expect(throws: CommitFault.notPublisher) { try node.publish(put("a", "2")) }
    }

    @Test("a publisher that is overtaken shows what it held back, then what came, and stops")
    func overtaken() throws {
        var node = try Node()
        try node.publish(put("a", "1"))
        node.release(1, 1)
        var other = try Publisher(epoch: 2)
        guard case .batch(let first)? = try node.effects.sent(over: node.link).first else {
            Issue.record("no batch was sent")
            return
        }
        try other.replica.apply(first)
        try node.publish(put("a", "2"))
        let opening = try other.commitOne(put("b", "1"))
        node.hear(.batch(opening))
        #expect(try node.effects.sent(over: node.link) == [.requestSnapshot(node.id)])
        var outgoing = try #require(OutgoingSnapshot(of: other.replica, shards: .all))
        node.hear(.offer(outgoing.offer))
        guard case .accept(let acceptance)? = try node.effects.sent(over: node.link).first else {
            Issue.record("the offer was not accepted")
            return
        }
        outgoing = outgoing.accepting(acceptance.buckets)
        while let chunk = outgoing.nextChunk() { node.hear(.chunk(chunk)) }
        #expect(
            node.effects.updates.map(\.changes) == [
                [.put("a", "2", former: "1")],
                [.put("a", "1", former: "2"), .put("b", "1")],
            ])
        #expect(throws: CommitFault.notPublisher) { try node.publish(put("a", "3")) }
        node.release(1, 2)
        #expect(node.effects.isEmpty)
        #expect(node.core.age(of: node.id, at: .zero) == nil)
    }

    @Test("a node of the cluster says what it holds; others say nothing")
    func receipts() throws {
        var publisher = try Publisher()
        let batch = try publisher.commitOne(put("a", "1"))
        for own: UInt16 in [7, 8] {
            var effects: [ReplicationEffect] = []
            var node = Synchroniser(receiptsOf: try owner(own))
            let link = ReplicationLink(rawValue: 1)
            node.add(owner: batch.owner, authority: try authority(7), into: &effects)
            node.linkUp(link, into: &effects)
            effects = []
            node.receive(Message.batch(batch).encoded, from: link, at: .zero, into: &effects)
            #expect(
                try effects.sent(over: link)
                    == (own == 7 ? [.holds(batch.owner, batch.position)] : []))
        }
        var node = try Node()
        #expect(node.core.heldElsewhere(of: node.id) == .origin)
        node.hear(.holds(node.id, batch.position))
        #expect(node.core.heldElsewhere(of: node.id) == batch.position)
    }
}
