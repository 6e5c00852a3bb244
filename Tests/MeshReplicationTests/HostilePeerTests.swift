// SPDX-License-Identifier: Apache-2.0

import Crypto
import MeshModel
import MeshSimulation
import OrderedCollections
import Testing

@testable import MeshReplication

@Suite("A peer that lies or stalls costs time, not truth")
struct HostilePeerTests {
    /// A node with an empty replica and two links whose peers have said nothing yet.
    struct Victim {
        let id: ClusterID
        let liar = ReplicationLink(rawValue: 1)
        let friend = ReplicationLink(rawValue: 2)
        var node = Synchroniser()
        var effects: [ReplicationEffect] = []

        init(_ publisher: Publisher) {
            id = publisher.ledger.owner
            node.add(owner: id, authority: publisher.replica.authority, into: &effects)
            node.linkUp(liar, into: &effects)
            node.linkUp(friend, into: &effects)
            effects = []
        }

        mutating func hear(_ message: Message, from link: ReplicationLink) {
            effects = []
            node.receive(message.encoded, from: link, at: .zero, into: &effects)
        }

        func answers(over link: ReplicationLink) throws -> [Message] {
            try effects.sent(over: link)
        }

        var whereItStands: Message {
            .heads([.init(owner: id, head: node.head(of: id) ?? .origin, interest: .all)])
        }
    }

    private func snapshotOf(
        _ publisher: Publisher
    ) throws -> (offer: SnapshotOffer, chunks: [SnapshotChunk]) {
        var outgoing = try #require(OutgoingSnapshot(of: publisher.replica, shards: .all))
        let filled = publisher.replica.contents.buckets.indices
            .filter { publisher.replica.contents.buckets[$0].count > 0 }.map { UInt8($0) }
        outgoing = outgoing.accepting(filled)
        var chunks: [SnapshotChunk] = []
        while let chunk = outgoing.nextChunk() { chunks.append(chunk) }
        return (outgoing.offer, chunks)
    }

    @Test("a message full of wrong heads draws a few proofs, not megabytes")
    func wrongHeads() throws {
        var publisher = try Publisher()
        let batch = try publisher.commitOne(put("a", "1"))
        var victim = Victim(publisher)
        victim.hear(.batch(batch), from: victim.friend)
        var wrong = batch.signed.head
        wrong = LedgerHead(position: wrong.position, hash: LedgerDigest(of: [1]))
        let claims = (0..<ReplicationLimit.headsPerMessage).map { _ in
            Message.OwnerHead(owner: victim.id, head: wrong, interest: .all)
        }
        victim.hear(.heads(claims), from: victim.liar)
        let proofs = try victim.answers(over: victim.liar).count { $0 == .evidence(batch.proof) }
        #expect(proofs == ReplicationLimit.evidencePerMessage)
    }

    @Test("a falsified snapshot is dropped whole, its sender barred, and another one asked")
    func falsifiedSnapshot() throws {
        var publisher = try Publisher()
        _ = try publisher.commit(put("a", "1"), put("b", "1"), put("c", "1"))
        let (offer, chunks) = try snapshotOf(publisher)
        var victim = Victim(publisher)
        victim.hear(.offer(offer), from: victim.liar)
        #expect(try victim.answers(over: victim.liar).count == 1)
        victim.hear(.chunk(chunks[0]), from: victim.liar)
        #expect(victim.effects.isEmpty)
        var altered = chunks[1].bytes
        altered[altered.count - 1] ^= 1
        victim.hear(
            .chunk(
                SnapshotChunk(
                    owner: victim.id, position: offer.position, bucket: chunks[1].bucket,
                    isLast: true, bytes: altered)),
            from: victim.liar)
        let reason = RejectionReason.bucketMismatch(victim.id, bucket: Int(chunks[1].bucket))
        #expect(victim.effects.contains(.rejected(reason, from: victim.liar)))
        #expect(try victim.answers(over: victim.friend) == [victim.whereItStands])
        #expect(victim.node.head(of: victim.id) == .origin)

        victim.hear(.offer(offer), from: victim.liar)
        #expect(victim.effects.isEmpty)
        victim.hear(.offer(offer), from: victim.friend)
        for chunk in chunks { victim.hear(.chunk(chunk), from: victim.friend) }
        #expect(victim.node.replica(of: victim.id)?.state == publisher.replica.state)
    }

    @Test("an offer whose hashes or signature don't fit is refused before anything is fetched")
    func falsifiedOffer() throws {
        var publisher = try Publisher()
        let batch = try publisher.commitOne(put("a", "1"))
        let (offer, _) = try snapshotOf(publisher)
        var victim = Victim(publisher)
        var hashes = offer.bucketHashes
        hashes[3] = .zero
        victim.hear(.offer(offer.with(bucketHashes: hashes)), from: victim.liar)
        #expect(victim.effects == [.rejected(.rootMismatch(victim.id), from: victim.liar)])
        let old = batch.signed.header
        let raised = try batch.with(
            header: BatchHeader(
                owner: old.owner, position: Position(epoch: 9, revision: 9),
                previous: old.previous, stateRoot: old.stateRoot, shards: [],
                resourceVersions: []))
        victim.hear(.offer(offer.with(signed: raised.signed)), from: victim.liar)
        #expect(victim.effects == [.rejected(.badSignature(victim.id), from: victim.liar)])
        let foreign = try delegation(of: 7, by: 8)
        victim.hear(.offer(offer.with(delegation: foreign)), from: victim.liar)
        #expect(victim.effects == [.rejected(.badDelegation(victim.id), from: victim.liar)])
    }

    @Test("a snapshot that stalls for five seconds is asked for elsewhere")
    func stall() throws {
        var publisher = try Publisher()
        _ = try publisher.commit(put("a", "1"), put("b", "1"))
        let (offer, chunks) = try snapshotOf(publisher)
        var victim = Victim(publisher)
        victim.hear(.offer(offer), from: victim.liar)
        victim.hear(.offer(offer), from: victim.friend)
        #expect(victim.effects.isEmpty)
        for second in 0...4 {
            victim.node.tick(at: .zero + .seconds(second), into: &victim.effects)
            #expect(victim.effects.isEmpty)
        }
        victim.node.tick(at: .zero + .seconds(5), into: &victim.effects)
        #expect(try victim.answers(over: victim.friend) == [victim.whereItStands])
        victim.hear(.offer(offer), from: victim.friend)
        for chunk in chunks { victim.hear(.chunk(chunk), from: victim.friend) }
        #expect(victim.node.head(of: victim.id) == publisher.replica.head)
    }

    @Test("a chunk out of turn begins the snapshot anew; its sender isn't barred")
    func outOfTurn() throws {
        var publisher = try Publisher()
        _ = try publisher.commit(put("a", "1"), put("b", "1"), put("c", "1"))
        let (offer, chunks) = try snapshotOf(publisher)
        var victim = Victim(publisher)
        victim.hear(.offer(offer), from: victim.friend)
        victim.hear(.chunk(chunks[1]), from: victim.friend)
        #expect(try victim.answers(over: victim.friend) == [victim.whereItStands])
        victim.hear(.offer(offer), from: victim.friend)
        for chunk in chunks { victim.hear(.chunk(chunk), from: victim.friend) }
        #expect(victim.node.replica(of: victim.id)?.state == publisher.replica.state)
    }

    @Test("an acceptance that crossed a withdrawal is answered with another offer")
    func crossedAcceptance() throws {
        var publisher = try Publisher()
        let batch = try publisher.commitOne(put("a", "1"))
        let (offer, _) = try snapshotOf(publisher)
        var victim = Victim(publisher)
        victim.hear(.batch(batch), from: victim.liar)
        let standing = Message.OwnerHead(
            owner: victim.id, head: batch.signed.head, interest: .all, held: .base)
        victim.hear(.heads([standing]), from: victim.friend)
        victim.hear(
            .accept(.init(owner: victim.id, position: offer.position, buckets: [1])),
            from: victim.friend)
        #expect(try victim.answers(over: victim.friend) == [.offer(offer)])
    }

    @Test("a peer whose offer was passed over hears where to go on from afterwards")
    func passedOver() throws {
        var publisher = try Publisher()
        _ = try publisher.commit(put("a", "1"))
        let (offer, chunks) = try snapshotOf(publisher)
        var victim = Victim(publisher)
        victim.hear(.offer(offer), from: victim.liar)
        victim.hear(.offer(offer), from: victim.friend)
        #expect(victim.effects.isEmpty)
        for chunk in chunks { victim.hear(.chunk(chunk), from: victim.liar) }
        #expect(victim.node.head(of: victim.id) == publisher.replica.head)
        #expect(try victim.answers(over: victim.friend) == [victim.whereItStands])
    }

    @Test("a peer that keeps sending what doesn't fit is asked once, not each time")
    func chatter() throws {
        var publisher = try Publisher()
        _ = try publisher.commit(put("a", "0"))
        var victim = Victim(publisher)
        var asked = 0
        for index in 1...50 {
            let gap = try publisher.commitOne(put("a", "\(index)"))
            victim.hear(.batch(gap), from: victim.liar)
            asked += try victim.answers(over: victim.liar).count
        }
        #expect(asked == 1)
    }

    @Test("an acknowledgement of more than was sent is a violation")
    func acknowledgement() throws {
        var victim = Victim(try Publisher())
        victim.hear(.acknowledge(1), from: victim.liar)
        let reason = RejectionReason.invalidAcknowledgement
        #expect(victim.effects == [.rejected(reason, from: victim.liar)])
        #expect(reason.isViolation)
    }

    @Test("two nodes with two histories show each other the proof, freeze, and heal together")
    func equivocation() throws {
        var random = SeededGenerator(seed: 6)
        var world = try World(owners: 1, nodes: 2)
        let id = world.owners[0]
        for node in 0...1 {
            try world.openLedger(of: id, at: node, epoch: 1)
            try world.publish([put("a", "\(node)")], of: id, at: node)
        }
        world.connect(0, 1)
        world.settle(using: &random)
        #expect(world.nodes.map(\.frozen) == [[id], [id]])
        #expect(throws: CommitFault.frozen(Position(epoch: 1, revision: 1))) {
            try world.publish([put("a", "2")], of: id, at: 0)
        }
        world.checkViews()
        try world.openLedger(of: id, at: 0, epoch: 2)
        try world.publish([put("b", "1")], of: id, at: 0)
        world.settle(using: &random)
        world.checkViews()
        #expect(world.nodes.flatMap(\.frozen).isEmpty)
        #expect(world.head(of: id, at: 1) == world.head(of: id, at: 0))
        #expect(world.nodes[1].views[id] == ["service/a": [0x30], "service/b": [0x31]])
    }

    @Test("a damaged replica repairs itself from a snapshot")
    func repair() throws {
        var publisher = try Publisher()
        let first = try publisher.commitOne(put("a", "1"))
        var victim = Victim(publisher)
        victim.hear(.batch(first), from: victim.friend)
        victim.node.replicas[victim.id]?.contents.apply([put("z", "bit flip")])
        let second = try publisher.commitOne(put("b", "1"))
        victim.hear(.batch(second), from: victim.friend)
        #expect(
            victim.effects.contains(.rejected(.stateMismatch(victim.id), from: victim.friend)))
        #expect(try victim.answers(over: victim.friend) == [.requestSnapshot(victim.id)])
        var outgoing = try #require(OutgoingSnapshot(of: publisher.replica, shards: .all))
        victim.hear(.offer(outgoing.offer), from: victim.friend)
        guard case .accept(let acceptance)? = try victim.answers(over: victim.friend).first else {
            Issue.record("the offer was not accepted")
            return
        }
        outgoing = outgoing.accepting(acceptance.buckets)
        while let chunk = outgoing.nextChunk() { victim.hear(.chunk(chunk), from: victim.friend) }
        #expect(victim.node.replica(of: victim.id)?.state == publisher.replica.state)
        #expect(
            victim.effects.updates.map(\.changes) == [
                [.put("b", "1"), .delete("z", former: "bit flip")]
            ])
    }
}

extension SnapshotOffer {
    /// The same offer with other parts, as a liar would send it.
    func with(
        signed: SignedHeader? = nil, delegation: SignedDelegation? = nil,
        bucketHashes: [LedgerDigest]? = nil, shards: ShardSet? = nil
    ) -> SnapshotOffer {
        SnapshotOffer(
            signed: signed ?? self.signed, delegation: delegation ?? self.delegation,
            shardHashes: shardHashes, shards: shards ?? self.shards,
            bucketHashes: bucketHashes ?? self.bucketHashes)
    }
}
