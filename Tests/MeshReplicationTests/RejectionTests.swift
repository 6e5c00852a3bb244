// SPDX-License-Identifier: Apache-2.0

import Crypto
import MeshModel
import Testing

@testable import MeshReplication

@Suite("What a peer may not send is refused under its reason, and nothing is lost")
struct RejectionTests {
    /// A node at revision 1 of owner 7, and what a peer sends it.
    struct Case: CustomTestStringConvertible, Sendable {
        /// The label under which it is counted.
        let label: String
        let isViolation: Bool
        let bytes: @Sendable (Scene) throws -> [[UInt8]]
        var testDescription: String { label }

        init(
            _ label: String, isViolation: Bool = false,
            _ bytes: @escaping @Sendable (Scene) throws -> [[UInt8]]
        ) {
            self.label = label
            self.isViolation = isViolation
            self.bytes = bytes
        }
    }

    struct Scene {
        /// Stands at revision 3.
        let publisher: Publisher
        let batches: [Batch]
        /// Two batches that contradict the first two.
        let others: [Batch]

        init() throws {
            var publisher = try Publisher()
            var copy = publisher
            batches = try ["1", "2", "3"].map { try publisher.commitOne(put("a", $0)) }
            others = try ["4", "5"].map { try copy.commitOne(put("a", $0)) }
            self.publisher = publisher
        }

        /// The second batch with other bodies, rightly signed.
        func signed(
            bodies: [Batch.Body], root: LedgerDigest? = nil, notAfter: UInt64 = farFuture
        ) throws -> [UInt8] {
            let old = batches[1].signed.header
            let header = BatchHeader(
                owner: old.owner, position: old.position, previous: old.previous,
                stateRoot: root ?? old.stateRoot,
                shards: bodies.map {
                    BatchHeader.ChangedShard(
                        shard: $0.shard, body: LedgerDigest(of: $0.bytes),
                        state: old.shards[0].state)
                }, resourceVersions: [])
            return Message.batch(
                Batch(
                    signed: try SignedHeader(signing: header, with: signingKey(7)),
                    delegation: nil, bodies: bodies)
            ).encoded
        }

        var offer: SnapshotOffer {
            get throws {
                try #require(OutgoingSnapshot(of: publisher.replica, shards: .all)).offer
            }
        }
    }

    static let cases = [
        Case("malformed", isViolation: true) { _ in [[1]] },
        Case("unknown_message") { _ in [[1, 200]] },
        Case("unknown_owner") { _ in
            var stranger = try Publisher(9)
            return [Message.batch(try stranger.commitOne(put("a", "1"))).encoded]
        },
        Case("owner_not_allowed", isViolation: true) { _ in
            var hidden = try Publisher(8)
            return [Message.batch(try hidden.commitOne(put("a", "1"))).encoded]
        },
        Case("bad_signature", isViolation: true) { scene in
            let header = scene.batches[1].signed.header
            let other = BatchHeader(
                owner: header.owner, position: header.position, previous: header.previous,
                stateRoot: .zero, shards: header.shards, resourceVersions: [])
            return [Message.batch(try scene.batches[1].with(header: other)).encoded]
        },
        Case("bad_delegation", isViolation: true) { scene in
            var other = try Publisher(epoch: 2)
            let batch = try other.commitOne(put("a", "1"))
            return [Message.batch(try batch.with(delegation: delegation(of: 8))).encoded]
        },
        Case("expired_delegation") { scene in
            var old = try Publisher()
            old.ledger = try ledger(of: 7, epoch: 2, notAfter: 1)
            return [Message.batch(try old.commitOne(put("a", "1"))).encoded]
        },
        Case("body_mismatch", isViolation: true) { scene in
            let body = scene.batches[1].bodies[0]
            let altered = Batch.Body(shard: body.shard, bytes: body.bytes + [0])
            return [Message.batch(try scene.batches[1].with(bodies: [altered])).encoded]
        },
        Case("missing_shard") { scene in
            [Message.batch(scene.batches[1].keeping([])).encoded]
        },
        Case("missing_shards") { scene in
            let offer = try #require(
                OutgoingSnapshot(of: scene.publisher.replica, shards: .base)
            ).offer
            return [Message.offer(offer).encoded]
        },
        Case("over_rate") { scene in
            scene.batches.dropFirst().map { Message.batch($0).encoded }
        },
        Case("malformed_body") { scene in
            [try scene.signed(bodies: [.init(shard: 2, bytes: [0, 0])])]
        },
        Case("state_mismatch") { scene in
            [try scene.signed(bodies: scene.batches[1].bodies, root: .zero)]
        },
        Case("frozen") { scene in
            [scene.others[0], scene.batches[1]].map { Message.batch($0).encoded }
        },
        Case("root_mismatch", isViolation: true) { scene in
            var hashes = try scene.offer.bucketHashes
            hashes[7] = .zero
            return [Message.offer(try scene.offer.with(bucketHashes: hashes)).encoded]
        },
        Case("bucket_mismatch", isViolation: true) { scene in
            let offer = try scene.offer
            let bucket = UInt8(Placement.bucket(of: "service/a".utf8))
            let chunk = SnapshotChunk(
                owner: offer.owner, position: offer.position, bucket: bucket, isLast: true,
                bytes: [1, 2, 3])
            return [Message.offer(offer).encoded, Message.chunk(chunk).encoded]
        },
        Case("unexpected_message") { scene in
            let offer = try scene.offer
            let chunk = SnapshotChunk(
                owner: offer.owner, position: offer.position, bucket: 1, isLast: true, bytes: [])
            return [Message.offer(offer).encoded, Message.chunk(chunk).encoded]
        },
        Case("invalid_acknowledgement", isViolation: true) { _ in
            [Message.acknowledge(1).encoded]
        },
    ]

    @Test(arguments: cases)
    func refused(_ example: Case) throws {
        let scene = try Scene()
        let link = ReplicationLink(rawValue: 1)
        let id = scene.batches[0].owner
        var effects: [ReplicationEffect] = []
        var node = Synchroniser()
        let rate = example.label == "over_rate" ? ChangeRateLimit(perSecond: 1, burst: 2) : nil
        node.add(owner: id, authority: try authority(7), rate: rate, into: &effects)
        node.add(owner: try owner(8), authority: try authority(8), into: &effects)
        node.linkUp(link, scope: .only([id, try owner(9)]), into: &effects)
        node.tick(at: .zero, realTime: 1_000_000, into: &effects)
        node.receive(Message.batch(scene.batches[0]).encoded, from: link, at: .zero, into: &effects)
        effects = []
        for bytes in try example.bytes(scene) {
            node.receive(bytes, from: link, at: .zero, into: &effects)
        }
        let reasons = effects.compactMap { effect -> RejectionReason? in
            if case .rejected(let reason, link) = effect { reason } else { nil }
        }
        #expect(reasons.map(\.label) == [example.label])
        #expect(reasons.map(\.isViolation) == [example.isViolation])
        // Whatever it was, the owner's history goes on from another peer, or with a snapshot.
        let friend = ReplicationLink(rawValue: 2)
        node.linkUp(friend, into: &effects)
        node.tick(at: .zero + .seconds(5), realTime: 1_000_000, into: &effects)
        for batch in scene.batches {
            node.receive(Message.batch(batch).encoded, from: friend, at: .zero, into: &effects)
        }
        let replica = try #require(node.replica(of: id))
        #expect(replica.isFrozen == (example.label == "frozen"))
        if !replica.isFrozen { #expect(replica.head == scene.publisher.replica.head) }
    }

    @Test("every reason has a case above")
    func complete() {
        #expect(Set(Self.cases.map(\.label)).count == 18)
        #expect(Self.cases.count == 18)
    }
}
