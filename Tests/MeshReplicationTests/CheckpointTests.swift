// SPDX-License-Identifier: Apache-2.0

import Crypto
import MeshModel
import MeshSimulation
import Testing

@testable import MeshReplication

@Suite("A replica comes back from what was written down, or not at all")
struct CheckpointTests {
    /// What a journal holds of one owner.
    struct Written {
        var header: [UInt8] = []
        var buckets: [UInt8: [UInt8]] = [:]
        var log: [[UInt8]] = []

        mutating func save(_ replica: inout Replica, whole: Bool = false) {
            guard let checkpoint = replica.takeCheckpoint(whole: whole) else { return }
            header = checkpoint.header
            if whole { buckets = [:] }
            for bucket in checkpoint.buckets { buckets[bucket.index] = bucket.bytes }
            log = []
        }

        /// - Returns: the replica, and what a table would show.
        func restored(
            from publisher: Publisher, interest: ShardSet = .all,
            believing authority: LedgerAuthority? = nil
        ) throws -> (replica: Replica, shown: Records) {
            var effects: [ReplicationEffect] = []
            var node = Synchroniser()
            let id = publisher.replica.owner
            node.add(
                owner: id, authority: authority ?? publisher.replica.authority,
                interest: interest, into: &effects)
            try node.restore(
                id, header: header,
                buckets: buckets.map { .init(index: $0.key, bytes: $0.value) }, log: log,
                at: .zero, into: &effects)
            var shown: Records = [:]
            for change in effects.updates.flatMap(\.changes) { shown[change.key] = change.value }
            return (try #require(node.replica(of: id)), shown)
        }
    }

    @Test(
        "checkpoints of what changed, and the batches since, give the replica back",
        arguments: 1...20 as ClosedRange<UInt64>)
    func restore(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var publisher = try Publisher()
        var written = Written()
        for step in 1...40 {
            let name = "record-\(Int.random(in: 0..<30, using: &random))"
            let change = random.once(in: 3) ? delete(name) : put(name, "\(step)")
            if random.once(in: 10) { try publisher.open(epoch: UInt32(step + 1)) }
            for batch in try publisher.commit(change) {
                written.log.append(Message.batch(batch).encoded)
            }
            if random.once(in: 6) {
                written.save(&publisher.replica, whole: random.once(in: 4))
            }
        }
        let (replica, shown) = try written.restored(from: publisher)
        #expect(replica.head == publisher.replica.head)
        #expect(replica.state == publisher.replica.state)
        #expect(shown == publisher.replica.state)
        #expect(replica.contents.root == publisher.replica.contents.root)
        #expect(replica.delegation == publisher.replica.delegation)
    }

    @Test("a restored replica's next checkpoint has what the batches since the last one changed")
    func incremental() throws {
        var publisher = try Publisher()
        var written = Written()
        _ = try publisher.commit(put("a", "1"), put("b", "1"))
        written.save(&publisher.replica)
        written.log = try publisher.commit(put("a", "2")).map { Message.batch($0).encoded }
        var (replica, _) = try written.restored(from: publisher)
        let checkpoints = [replica.takeCheckpoint(), replica.takeCheckpoint()]
        let index = UInt8(Placement.bucket(of: "service/a".utf8))
        #expect(checkpoints.map { $0?.buckets.map(\.index) } == [[index], []])
    }

    @Test("what was tampered with is not believed: the owner begins as new, or stops before it")
    func tampered() throws {
        var publisher = try Publisher()
        var written = Written()
        _ = try publisher.commit(put("a", "1"), put("b", "1"))
        written.save(&publisher.replica)
        let batches = try ["2", "3", "4"].map { try publisher.commitOne(put("a", $0)) }
        written.log = batches.map { Message.batch($0).encoded }
        let id = batches[0].owner

        var bucket = written
        let index = try #require(written.buckets.keys.min())
        bucket.buckets[index]?[(written.buckets[index]?.count ?? 1) - 1] ^= 1
        #expect(throws: RestoreFault.unproven(.rootMismatch(id))) {
            try bucket.restored(from: publisher)
        }
        var lost = written
        lost.buckets[index] = nil
        #expect(throws: RestoreFault.unproven(.rootMismatch(id))) {
            try lost.restored(from: publisher)
        }
        var header = written
        header.header[60] ^= 1
        #expect(throws: (any Error).self) { try header.restored(from: publisher) }
        header.header = [9]
        #expect(throws: RestoreFault.malformed(.unsupportedVersion(9))) {
            try header.restored(from: publisher)
        }
        let stranger = try Publisher(8)
        #expect(throws: RestoreFault.unproven(.badDelegation(try owner(8)))) {
            try written.restored(from: stranger)
        }

        // A gap, and a batch of which a byte is wrong, end the history there.
        for position in 0..<3 {
            var gap = written
            gap.log.remove(at: position)
            #expect(
                try gap.restored(from: publisher).replica.position.revision == UInt64(position + 1))
            var altered = written
            altered.log[position][written.log[position].count - 1] ^= 1
            #expect(
                try altered.restored(from: publisher).replica.position.revision
                    == UInt64(position + 1))
        }
        // A last batch that nobody signed takes the others with it.
        var unsigned = written
        let last = batches[2].signed.header
        let forged = try batches[2].with(
            header: BatchHeader(
                owner: id, position: last.position, previous: last.previous,
                stateRoot: last.stateRoot, shards: last.shards, resourceVersions: [1]))
        unsigned.log[2] = Message.batch(forged).encoded
        #expect(try unsigned.restored(from: publisher).replica.position.revision == 1)
    }

    @Test("a checkpoint from below a former root is believed once an epoch below the next follows")
    func replacedRoot() throws {
        let (former, next) = (try authorityKey(7).publicKey, try authorityKey(9).publicKey)
        let after = LedgerAuthority([next])
        var publisher = try Publisher()
        publisher.replica.authority = LedgerAuthority([former, next])
        var written = Written()
        _ = try publisher.commit(put("a", "1"), put("b", "1"))
        written.save(&publisher.replica)
        written.log = try publisher.commit(put("a", "2")).map { Message.batch($0).encoded }
        let id = publisher.replica.owner
        #expect(throws: RestoreFault.unproven(.badDelegation(id))) {
            try written.restored(from: publisher, believing: after)
        }
        publisher.ledger = Ledger(
            try delegation(of: 7, epoch: 2, by: 9), key: try signingKey(7, epoch: 2))
        let opening = try publisher.commit(put("a", "3"))
        written.log += opening.map { Message.batch($0).encoded }
        let (replica, shown) = try written.restored(from: publisher, believing: after)
        #expect(replica.head == publisher.replica.head)
        #expect(shown == publisher.replica.state)

        // What the checkpoint held is still judged, now by the header that came last.
        var altered = written
        let index = UInt8(Placement.bucket(of: "service/b".utf8))
        altered.buckets[index]?[(written.buckets[index]?.count ?? 1) - 1] ^= 1
        #expect(throws: RestoreFault.self) {
            try altered.restored(from: publisher, believing: after)
        }
        var unsigned = written
        let last = unsigned.log.count - 1
        unsigned.log[last][unsigned.log[last].count - 1] ^= 1
        #expect(throws: RestoreFault.self) {
            try unsigned.restored(from: publisher, believing: after)
        }
    }

    @Test("another interest than that of the checkpoint holds from the start")
    func interest() throws {
        var publisher = try Publisher()
        let (shop, bank) = (
            ShardSet.services(ofNamespace: "shop"), ShardSet.services(ofNamespace: "bank")
        )
        let keys = ["service/shop/web", "service/bank/web"]
        let batch = try publisher.ledger.commit(
            keys.map { LedgerChange(key: $0, value: [1]) }, to: &publisher.replica
        ).batches[0]
        var written = Written()
        var both = publisher.newcomer(wanting: shop.union(bank))
        try both.apply(batch)
        written.save(&both)
        let narrowed = try written.restored(from: publisher, interest: shop)
        #expect(narrowed.replica.held == shop)
        #expect(narrowed.shown == ["service/shop/web": [1]])

        // Journaled while only one was wanted, and no checkpoint says so.
        let journal = Written(log: [Message.batch(batch.keeping(shop)).encoded])
        let widened = try journal.restored(from: publisher, interest: shop.union(bank))
        #expect(widened.replica.head == batch.signed.head)
        #expect(widened.replica.held == shop)
        #expect(widened.replica.lacksShards)
        #expect(widened.shown == ["service/shop/web": [1]])
    }

    @Test("a freeze is remembered")
    func frozen() throws {
        var honest = try Publisher()
        var copy = honest
        var written = Written()
        _ = try honest.commit(put("a", "1"))
        written.save(&honest.replica)
        #expect(!honest.replica.isCheckpointDue)
        #expect(try honest.replica.apply(copy.commitOne(put("a", "2"))) == .forked)
        #expect(honest.replica.isCheckpointDue)
        written.save(&honest.replica)
        #expect(try written.restored(from: honest).replica.isFrozen)
    }
}
