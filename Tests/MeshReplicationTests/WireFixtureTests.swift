// SPDX-License-Identifier: Apache-2.0

import Crypto
import MeshModel
import Testing

@testable import MeshReplication

/// The format, byte by byte: what is written here is what other versions will send.
@Suite("The wire format stays what it is")
struct WireFixtureTests {
    static let batch = """
        01 02                    # protocol version, kind: batch
        00000096                 # header length
          01                     # header version
          0007                   # owner
          00000001               # epoch
          0000000000000001       # revision
          47fb7636 92b2aea3 ceb87d8e 9717c025 1c63363b 79bd1511 217d28a0 c7871bed # hash of the delegation
          51414074 9e82e6b3 2451ddd7 649e0ae3 b038f637 bbacc8f2 c8fe7c1f b16d701b # state root
          0004                   # changed shards: 2
          6ce3a5d7 3990ff7d 5c2e614d 70b291e1 d3762b98 01a03406 8a41c7d6 0817caa7 # hash of its body
          9a1a7565 a3285f6b 6d6fd1b8 d818b55d b87c9bb2 45465f87 0c962a81 e3575fc4 # hash of its state
          00000001 aa            # resource versions
        97b1eb3f 8b4cd033 6f6d2b73 97fb5ef9 05278da0 f1771609 d4bf57e2 61a48d1a # signature
        52b47f0d 1ff3f15a fa0bd873 e9c91d50 40db893c 33efd977 337ad2bf fdb15302
        0000002f                 # delegation length
          01                     # delegation version
          0007                   # owner
          00000001               # epoch
          da53a6e6 e4033042 c153fb89 39c2f3cd 53128f5c 393222b1 5c342527 7370141c # Ed25519 key
          0000000077359400       # not after, seconds since 1970
        00000040                 # length of its signature
        acbebbd7 29155ad1 11780b0a 365c352a 3f70a91e 812f6387 2058c1ed 2ddc5a1f # the CA's signature
        debb2fb7 ca9a7e87 4299b93b c43359b6 9f6aa9ef 4248cd59 a7f0592a 26bca18b
        0004                     # bodies that follow: shard 2
        00000011                 # body length
          0009 736572766963652f61# key: service/a
          01                     # put
          00000001 31            # value: 1
        """

    static let heads = """
        01 01                    # protocol version, kind: heads
        00000001                 # one owner
          0007                   # owner
          00000001               # epoch
          0000000000000001       # revision
          f5350d7b 8032454f e76633f0 21bc9108 2dcbf320 8ead2a2c 3e081443 06155aae # header hash
          0001                   # interest: shard 0
          0001                   # held: shard 0
        """

    static let ages = """
        01 09                    # protocol version, kind: ages
        00000001                 # one owner
          0007                   # owner
          00000001               # epoch
          0000000000000001       # revision
          000004d2               # 1,234 milliseconds
        """

    static let holds = """
        01 0a                    # protocol version, kind: holds
        0007                     # owner
        00000001                 # epoch
        0000000000000001         # revision
        """

    static let accept = """
        01 05                    # protocol version, kind: accept
        0007                     # owner
        00000001                 # epoch
        0000000000000001         # revision
        00000002 20 ff           # buckets 32 and 255
        """

    private func publisher() throws -> (Publisher, Batch) {
        var publisher = try Publisher()
        let commit = try publisher.ledger.commit(
            [put("a", "1")], resourceVersions: [0xaa], to: &publisher.replica)
        return (publisher, commit.batches[0])
    }

    @Test("a batch")
    func batch() throws {
        let (publisher, batch) = try publisher()
        let wire = try bytes(hex: Self.batch)
        // Signatures are randomised; all other bytes are fixed.
        let header = 6 + 0x96..<6 + 0x96 + SignedHeader.signatureBytes
        let delegation = header.upperBound + 4 + 0x2f + 4
        var (mine, fixed) = (Message.batch(batch).encoded, wire)
        for signature in [delegation..<delegation + 64, header] {
            mine.removeSubrange(signature)
            fixed.removeSubrange(signature)
        }
        #expect(mine == fixed)
        guard case .batch(let decoded) = try Message(decoding: wire) else {
            Issue.record("no batch")
            return
        }
        #expect(decoded.signed.header == batch.signed.header)
        var replica = publisher.newcomer
        #expect(try replica.apply(decoded) == .applied([.put("a", "1")]))
    }

    @Test("heads")
    func heads() throws {
        let (publisher, _) = try publisher()
        let message = Message.heads([
            .init(owner: publisher.replica.owner, head: publisher.replica.head, interest: .base)
        ])
        #expect(message.encoded == (try bytes(hex: Self.heads)))
    }

    @Test("an age, a receipt and the acceptance of a snapshot")
    func small() throws {
        let (publisher, batch) = try publisher()
        let id = publisher.replica.owner
        let age = Message.OwnerAge(owner: id, position: batch.position, milliseconds: 1234)
        let acceptance = SnapshotAcceptance(
            owner: id, position: batch.position, buckets: [32, 255])
        #expect(Message.ages([age]).encoded == (try bytes(hex: Self.ages)))
        #expect(Message.holds(id, batch.position).encoded == (try bytes(hex: Self.holds)))
        #expect(Message.accept(acceptance).encoded == (try bytes(hex: Self.accept)))
    }

    @Test("a bucket, as it is stored, hashed and carried by snapshots")
    func bucket() throws {
        let (publisher, _) = try publisher()
        let index = Placement.bucket(of: "service/a".utf8)
        #expect(index == 2 * 16)
        let fixed = try bytes(
            hex: """
                0009 736572766963652f61 # key: service/a
                00000001 31             # value: 1
                """)
        #expect(publisher.replica.contents.buckets[index].bytes == fixed)
        #expect(try Bucket(validating: fixed, index: index).hash == LedgerDigest(of: fixed))
        #expect(throws: DecodingFault.invalid("bucket of key")) {
            try Bucket(validating: fixed, index: 0)
        }
        #expect(throws: DecodingFault.invalid("order of keys")) {
            try Bucket(validating: fixed + fixed, index: index)
        }
    }
}
