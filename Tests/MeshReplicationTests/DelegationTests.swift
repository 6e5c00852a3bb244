// SPDX-License-Identifier: Apache-2.0

import Crypto
import MeshModel
import Testing

@testable import MeshReplication

@Suite("A ledger is written by whom its cluster's CA named for the epoch, and by nobody else")
struct DelegationTests {
    private func firstBatch(
        by delegation: SignedDelegation, key: Curve25519.Signing.PrivateKey? = nil
    ) throws -> Batch {
        var publisher = try Publisher()
        let honest = try publisher.commitOne(put("a", "1"))
        let old = honest.signed.header
        let header = BatchHeader(
            owner: delegation.delegation.owner,
            position: Position(epoch: delegation.delegation.epoch, revision: 1),
            previous: delegation.hash, stateRoot: old.stateRoot, shards: old.shards,
            resourceVersions: [])
        let signed = try SignedHeader(signing: header, with: key ?? signingKey(7))
        return Batch(signed: signed, delegation: delegation, bodies: honest.bodies)
    }

    @Test("a batch of the delegate is taken; one of another CA, owner, epoch or key is not")
    func authority() throws {
        let honest = try firstBatch(by: delegation(of: 7))
        var replica = try Publisher().newcomer
        guard case .applied = try replica.apply(honest) else {
            Issue.record("the delegate's batch was not applied")
            return
        }
        let id = try owner(7)
        let others: [(Batch, RejectionReason)] = [
            (try firstBatch(by: delegation(of: 7, by: 8)), .badDelegation(id)),
            (try firstBatch(by: delegation(of: 7), key: signingKey(8)), .badSignature(id)),
            (
                try honest.with(delegation: delegation(of: 7, notAfter: farFuture + 1)),
                .badDelegation(id)
            ),
            (try honest.with(delegation: delegation(of: 8)), .badDelegation(id)),
            (try honest.with(delegation: delegation(of: 7, epoch: 2)), .badDelegation(id)),
        ]
        for (batch, reason) in others {
            var replica = try Publisher().newcomer
            #expect(throws: reason) { try replica.apply(batch) }
            #expect(replica.position == .origin)
        }
    }

    @Test("a delegation ends, give or take five minutes; without a clock it doesn't")
    func expiry() throws {
        let batch = try firstBatch(by: delegation(of: 7, notAfter: 1000))
        let message = Message.batch(batch).encoded
        for (realTime, isTaken) in [(0, true), (1000, true), (1300, true), (1301, false)] {
            var replica = try Publisher().newcomer
            let outcome = try? replica.apply(
                batch, message: message, realTime: UInt64(realTime))
            #expect((outcome != nil) == isTaken, "at \(realTime)")
        }
    }

    @Test("what a clock that ran ahead refused is asked for again once it is set back")
    func clockSetBack() throws {
        var effects: [ReplicationEffect] = []
        let batch = try firstBatch(by: delegation(of: 7, notAfter: 1000))
        let link = ReplicationLink(rawValue: 1)
        var node = Synchroniser()
        node.add(
            owner: batch.owner, authority: try MeshReplicationTests.authority(7), into: &effects)
        node.linkUp(link, into: &effects)
        node.tick(at: .zero, realTime: 5000, into: &effects)
        effects = []
        node.receive(Message.batch(batch).encoded, from: link, at: .zero, into: &effects)
        #expect(effects == [.rejected(.expiredDelegation(batch.owner), from: link)])
        effects = []
        node.tick(at: .zero + .seconds(2), realTime: 5001, into: &effects)
        #expect(effects.isEmpty)
        node.tick(at: .zero + .seconds(3), realTime: 900, into: &effects)
        #expect(
            try effects.sent(over: link) == [
                .heads([.init(owner: batch.owner, head: .origin, interest: .all)])
            ])
        node.receive(Message.batch(batch).encoded, from: link, at: .zero, into: &effects)
        #expect(node.head(of: batch.owner) == batch.signed.head)
    }

    @Test("two keys of one epoch are a fork, even if both wrote the same")
    func twoKeys() throws {
        var first = try Publisher()
        var second = try Publisher(writer: 1)
        let batch = try first.commitOne()
        let other = try second.commitOne()
        #expect(batch.signed.header.stateRoot == other.signed.header.stateRoot)
        #expect(batch.signed.hash != other.signed.hash)
        var replica = first.newcomer
        try replica.apply(batch)
        #expect(try replica.apply(other) == .forked)
        #expect(replica.isFrozen)
    }

    @Test("another key's snapshot is a fork, whatever the window remembers")
    func otherKeySnapshot() throws {
        var first = try Publisher(window: LogWindowLimit(batches: 1, bytes: 1 << 20))
        var second = try Publisher(writer: 1)
        for value in ["1", "2"] { _ = try first.commit(put("a", value)) }
        for value in ["1", "2", "3"] { _ = try second.commit(put("b", value)) }
        let offer = try #require(OutgoingSnapshot(of: second.replica, shards: .all)).offer
        #expect(try first.replica.examine(offer, realTime: 0) == .forked)
        #expect(first.replica.isFrozen)
        #expect(first.replica.state == ["service/a": [0x32]])
    }

    @Test("another writer's batch without its delegation is nobody's fault, and freezes nothing")
    func unprovenWriter() throws {
        var first = try Publisher()
        var second = try Publisher(writer: 1)
        for value in ["1", "2"] { _ = try first.commit(put("a", value)) }
        let batches = try ["1", "2", "3"].map { try second.commitOne(put("b", $0)) }
        for batch in batches.dropFirst() {
            let reason = RejectionReason.unexpectedMessage(batch.owner)
            #expect(throws: reason) { try first.replica.apply(batch) }
            #expect(!reason.isViolation)
        }
        #expect(!first.replica.isFrozen)
    }

    @Test("while a CA is rotated the delegates of both count")
    func rotation() throws {
        let both = LedgerAuthority([
            try authorityKey(8).publicKey, try authorityKey(7).publicKey,
        ])
        for ca: UInt16 in [7, 8] {
            var replica = Replica(owner: try owner(7), authority: both)
            guard case .applied = try replica.apply(firstBatch(by: delegation(of: 7, by: ca)))
            else {
                Issue.record("a batch under CA \(ca) was not applied")
                return
            }
        }
    }
}
