// SPDX-License-Identifier: Apache-2.0

import Crypto
import MeshModel
import Testing

@testable import MeshReplication

@Suite("A publisher commits what changed, in as few revisions as fit")
struct LedgerTests {
    @Test("nothing changed, no batch; of several changes of a key the last counts")
    func onlyChanges() throws {
        var publisher = try Publisher()
        let first = try publisher.ledger.commit(
            [put("a", "0"), put("a", "1"), put("b", "1"), delete("b"), delete("never")],
            to: &publisher.replica)
        #expect(first.changes == [.put("a", "1")])
        #expect(first.batches.count == 1)
        let again = try publisher.ledger.commit([put("a", "1")], to: &publisher.replica)
        #expect(again.batches.isEmpty)
        #expect(publisher.replica.position == Position(epoch: 1, revision: 1))
    }

    @Test("an epoch is opened even if nothing changed, and once only")
    func opening() throws {
        var publisher = try Publisher(epoch: 3)
        #expect(try publisher.commit().map(\.position) == [Position(epoch: 3, revision: 1)])
        #expect(try publisher.commit().isEmpty)
    }

    @Test("200 endpoints changed at once take one revision")
    func endpoints() throws {
        var publisher = try Publisher()
        let batches = try publisher.ledger.commit(endpointChanges(200), to: &publisher.replica)
            .batches
        #expect(batches.count == 1)
    }

    @Test("what is larger than a batch becomes several, each within the limit and in order")
    func split() throws {
        var publisher = try Publisher()
        let big = (0..<5).map {
            LedgerChange.put(key("big-\($0)"), .init(repeating: UInt8($0), count: 40_000))
        }
        let batches = try publisher.ledger.commit(big, to: &publisher.replica).batches
        #expect(batches.map(\.position.revision) == [1, 2, 3, 4, 5])
        var replica = publisher.newcomer
        for batch in batches {
            let message = Message.batch(batch).encoded
            #expect(message.count <= ReplicationLimit.messageBytes)
            #expect(try Message(decoding: message) == .batch(batch))
            try replica.apply(batch)
        }
        #expect(replica.state == publisher.replica.state)
    }

    @Test("a record that fits no batch is refused by itself; the largest that fits goes through")
    func tooLarge() throws {
        var publisher = try Publisher()
        let most = ReplicationLimit.valueBytes
        let commit = try publisher.ledger.commit(
            [
                .put(key("over"), .init(repeating: 1, count: most + 1)),
                .put(
                    key(String(repeating: "k", count: ReplicationLimit.keyBytes - 8)),
                    .init(repeating: 1, count: most)),
                .put(key("späte"), [1]),
            ], to: &publisher.replica)
        #expect(commit.refused.map(\.key) == ["service/over", "service/späte"])
        #expect(commit.changes.count == 1)
        let message = Message.batch(commit.batches[0]).encoded
        #expect(try Message(decoding: message) == .batch(commit.batches[0]))
    }

    /// Large records, more of one bucket than a snapshot can carry.
    private var hoard: [LedgerChange] {
        let bucket = Placement.bucket(of: key("a").description.utf8)
        let keys = (0...).lazy.map { key("a/\($0)") }.filter {
            Placement.bucket(of: $0.description.utf8) == bucket
        }
        return keys.prefix(70).map {
            .put($0, .init(repeating: 1, count: ReplicationLimit.valueBytes))
        }
    }

    @Test("what would make a bucket too large for newcomers is refused; room that is made is used")
    func fullBucket() throws {
        var publisher = try Publisher()
        let most = ReplicationLimit.bucketBytes
        let commit = try publisher.ledger.commit(hoard, to: &publisher.replica)
        #expect(commit.refused.count == 6 && commit.changes.count == 64)
        #expect(publisher.replica.contents.buckets.allSatisfy { $0.bytes.count <= most })
        let room = LedgerChange(key: commit.changes[0].key, value: nil)
        let late = try #require(hoard.first { $0.key == commit.refused[0].key })
        let again = try publisher.ledger.commit([late, room], to: &publisher.replica)
        #expect(again.refused.isEmpty && again.changes.count == 2)
        #expect(publisher.replica.contents.buckets.allSatisfy { $0.bytes.count <= most })
    }

    @Test("a publisher that fills a bucket beyond that is not followed")
    func overfullBucket() throws {
        var publisher = try Publisher()
        var replica = publisher.newcomer
        for change in hoard.prefix(64) {
            let batch = try publisher.ledger.commit([change], to: &publisher.replica).batches[0]
            try replica.apply(batch)
        }
        var contents = publisher.replica.contents
        contents.apply([hoard[64]])
        let shard = Placement.shard(ofKey: hoard[64].key.utf8)
        let body = Batch.Body(shard: shard, bytes: ShardBody.encode([hoard[64]]))
        let header = BatchHeader(
            owner: publisher.ledger.owner, position: publisher.replica.position.next,
            previous: publisher.replica.head.hash, stateRoot: contents.root,
            shards: [
                BatchHeader.ChangedShard(
                    shard: shard, body: LedgerDigest(of: body.bytes),
                    state: contents.shardHashes[shard])
            ], resourceVersions: [])
        let batch = Batch(
            signed: try SignedHeader(signing: header, with: signingKey(7)), delegation: nil,
            bodies: [body])
        let before = replica.position
        #expect(throws: RejectionReason.bucketFull(publisher.ledger.owner)) {
            try replica.apply(batch)
        }
        #expect(replica.position == before)
    }

    @Test("a publisher that was overtaken, or isn't the delegate, commits nothing")
    func superseded() throws {
        var publisher = try Publisher(epoch: 2)
        var late = publisher.ledger
        _ = try publisher.commit(put("a", "1"))
        let position = publisher.replica.position
        #expect(throws: CommitFault.superseded(by: position)) {
            _ = try late.commit([put("a", "2")], to: &publisher.replica)
        }
        var older = try ledger(of: 7, epoch: 1)
        #expect(throws: CommitFault.superseded(by: position)) {
            _ = try older.commit([put("a", "2")], to: &publisher.replica)
        }
        let others = try [
            ledger(of: 8, epoch: 3),
            Ledger(delegation(of: 7, epoch: 3), key: signingKey(7, epoch: 3, writer: 1)),
            Ledger(delegation(of: 7, epoch: 3, by: 8), key: signingKey(7, epoch: 3)),
        ]
        for var other in others {
            #expect(throws: CommitFault.notDelegated) {
                _ = try other.commit([put("a", "2")], to: &publisher.replica)
            }
        }
        #expect(publisher.replica.position == position)
    }

    @Test("resource versions travel in the header, unread")
    func resourceVersions() throws {
        var publisher = try Publisher()
        let batch = try publisher.ledger.commit(
            [put("a", "1")], resourceVersions: [1, 2, 3], to: &publisher.replica
        ).batches[0]
        #expect(batch.signed.header.resourceVersions == [1, 2, 3])
        #expect(throws: CommitFault.resourceVersionsTooLong(1025)) {
            _ = try publisher.ledger.commit(
                [put("a", "2")], resourceVersions: .init(repeating: 0, count: 1025),
                to: &publisher.replica)
        }
    }
}

/// Endpoints as a publisher writes them, keys and values of real length.
func endpointChanges(_ count: Int, generation: UInt8 = 0) -> [LedgerChange] {
    (0..<count).map { index in
        let record = EndpointRecord(
            object: ObjectName(namespace: "default", name: "web-\(index)"),
            node: "node-\(index % 50)",
            addresses: [Address(high: 0, low: 0xffff_0a01_0000 + UInt64(index))],
            identity: Identity(rawValue: 0x0010_0100 + UInt32(generation)), labels: [:])
        return .put(record)
    }
}
