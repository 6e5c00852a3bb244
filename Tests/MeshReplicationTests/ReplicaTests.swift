// SPDX-License-Identifier: Apache-2.0

import Crypto
import MeshModel
import Testing

@testable import MeshReplication

@Suite("A replica holds exactly the state at its position")
struct ReplicaTests {
    @Test("batches in order lead to the publisher's state, position by position")
    func follows() throws {
        var publisher = try Publisher()
        var replica = publisher.newcomer
        let story = [
            [put("a", "1"), put("b", "1")], [put("a", "2"), delete("b")], [put("c", "3")],
        ]
        for (index, changes) in story.enumerated() {
            for batch in try publisher.ledger.commit(changes, to: &publisher.replica).batches {
                guard case .applied = try replica.apply(batch) else {
                    Issue.record("revision \(batch.position) was not applied")
                    return
                }
            }
            #expect(replica.position == Position(epoch: 1, revision: UInt64(index + 1)))
            #expect(replica.state == publisher.replica.state)
        }
        #expect(replica.state == ["service/a": [0x32], "service/c": [0x33]])
        #expect(replica.count == 2)
    }

    @Test("a batch that skips one is a gap, an old one is known, and neither moves anything")
    func order() throws {
        var publisher = try Publisher()
        let first = try publisher.commitOne(put("a", "1"))
        let second = try publisher.commitOne(put("a", "2"))
        let third = try publisher.commitOne(put("a", "3"))
        var replica = publisher.newcomer
        #expect(try replica.apply(second) == .gap)
        #expect(replica.position == .origin)
        try replica.apply(first)
        #expect(try replica.apply(third) == .gap)
        #expect(try replica.apply(first) == .known)
        #expect(replica.position == first.position)
        #expect(replica.state == ["service/a": [0x31]])
    }

    @Test("what a relay alters is refused, and the replica stays where it is")
    func altered() throws {
        var publisher = try Publisher()
        let batch = try publisher.commitOne(put("a", "1"))
        let id = batch.owner
        let shard = batch.bodies[0].shard
        var replica = publisher.newcomer

        var body = batch.bodies[0].bytes
        body[body.count - 1] ^= 1
        let otherValue = try batch.with(bodies: [.init(shard: shard, bytes: body)])
        #expect(throws: RejectionReason.bodyMismatch(id, shard: shard)) {
            try replica.apply(otherValue)
        }
        let withoutBody = try batch.with(bodies: [])
        #expect(throws: RejectionReason.missingShard(id, shard: shard)) {
            try replica.apply(withoutBody)
        }
        let old = batch.signed.header
        let otherRoot = try batch.with(
            header: BatchHeader(
                owner: old.owner, position: old.position, previous: old.previous,
                stateRoot: .zero, shards: old.shards, resourceVersions: []))
        #expect(throws: RejectionReason.badSignature(id)) { try replica.apply(otherRoot) }

        #expect(replica.position == .origin)
        #expect(replica.entries.isEmpty)
        try replica.apply(batch)
        #expect(replica.position == batch.position)
    }

    @Test("a signed state root that the batch doesn't lead to is refused")
    func wrongRoot() throws {
        var publisher = try Publisher()
        let first = try publisher.commitOne(put("a", "1"))
        let second = try publisher.commitOne(put("b", "1"))
        var damaged = publisher.newcomer
        try damaged.apply(first)
        damaged.contents.apply([put("z", "bit flip")])
        #expect(throws: RejectionReason.stateMismatch(second.owner)) {
            try damaged.apply(second)
        }
        #expect(damaged.position == first.position)
    }

    @Test("two histories freeze the owner until its next epoch; the state stays")
    func fork() throws {
        var honest = try Publisher()
        var copy = honest
        let batch = try honest.commitOne(put("a", "1"))
        let other = try copy.commitOne(put("a", "2"))
        var replica = honest.newcomer
        try replica.apply(batch)
        #expect(try replica.apply(other) == .forked)
        #expect(replica.isFrozen)
        let next = try honest.commitOne(put("a", "3"))
        #expect(throws: RejectionReason.frozen(batch.owner)) { try replica.apply(next) }
        #expect(replica.state == ["service/a": [0x31]])

        try copy.open(epoch: 2)
        copy.replica = replica
        let opening = try copy.commitOne()
        guard case .applied([]) = try replica.apply(opening) else {
            Issue.record("the next epoch was not entered")
            return
        }
        #expect(!replica.isFrozen)
    }

    @Test("a next batch on another predecessor proves a fork")
    func forkedPredecessor() throws {
        var honest = try Publisher()
        var copy = honest
        var replica = honest.newcomer
        try replica.apply(try honest.commitOne(put("a", "1")))
        _ = try copy.commitOne(put("a", "2"))
        #expect(try replica.apply(try copy.commitOne(put("b", "1"))) == .forked)
        #expect(replica.isFrozen)
    }

    @Test("an epoch opened over the same state is entered without a record moving")
    func epochOverSameState() throws {
        var publisher = try Publisher()
        var replica = publisher.newcomer
        try replica.apply(try publisher.commitOne(put("a", "1"), put("b", "1")))
        try publisher.open(epoch: 5)
        let opening = try publisher.commitOne(put("b", "2"))
        #expect(opening.position == Position(epoch: 5, revision: 1))
        guard case .applied(let changes) = try replica.apply(opening) else {
            Issue.record("the epoch was not entered")
            return
        }
        #expect(changes == [.put("b", "2", former: "1")])
        #expect(replica.state == publisher.replica.state)
    }

    @Test("an epoch opened over a state this replica doesn't hold needs a snapshot")
    func epochOverOtherState() throws {
        var publisher = try Publisher()
        var replica = publisher.newcomer
        try replica.apply(try publisher.commitOne(put("a", "1")))
        _ = try publisher.commitOne(put("b", "1"))
        try publisher.open(epoch: 2)
        #expect(try replica.apply(try publisher.commitOne(put("c", "1"))) == .diverged)
        #expect(replica.position == Position(epoch: 1, revision: 1))
    }

    @Test("a snapshot sweeps what it doesn't hold, and never leads back")
    func snapshot() throws {
        var publisher = try Publisher()
        var replica = publisher.newcomer
        try replica.apply(try publisher.commitOne(put("a", "1"), put("b", "1")))
        let old = try #require(OutgoingSnapshot(of: publisher.replica, shards: .all)).offer
        _ = try publisher.commit(delete("a"), put("b", "2"))
        _ = try publisher.commit(put("c", "1"))
        var outgoing = try #require(OutgoingSnapshot(of: publisher.replica, shards: .all))
        guard case .wanted(let buckets) = try replica.examine(outgoing.offer, realTime: 0) else {
            Issue.record("the offer was not wanted")
            return
        }
        outgoing = outgoing.accepting(buckets)
        var incoming = IncomingSnapshot(
            from: ReplicationLink(rawValue: 1), offer: outgoing.offer, wanted: buckets)
        while let chunk = outgoing.nextChunk() { try incoming.receive(chunk) }
        #expect(incoming.isComplete)
        let installed = replica.install(incoming.offer, incoming.buckets)
        let changes = try #require(installed)
        #expect(
            Set(changes) == [
                .delete("a", former: "1"), .put("b", "2", former: "1"), .put("c", "1"),
            ])
        #expect(replica.position == publisher.replica.position)
        #expect(replica.state == publisher.replica.state)
        #expect(try replica.examine(old, realTime: 0) == .stale)
        #expect(replica.install(old, []) == nil)
    }
}
