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
        00000076                 # header length
          01                     # header version
          0007                   # owner
          00000001               # epoch
          0000000000000001       # revision
          00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 # previous: none
          2856a5a7 f4119402 822812a0 97008d9d d5fa173f 4058ddd6 6531840c 0e8f43d4 # state root
          0800                   # changed shards: 11
          6ce3a5d7 3990ff7d 5c2e614d 70b291e1 d3762b98 01a03406 8a41c7d6 0817caa7 # its hash
          00000001 aa            # resource versions
        7d3e7431 85eee7d6 1f7e0f23 8a2fab54 89e0c3be 80929191 825abb99 14260f72 # signature
        6d7cd756 3f0b36ca 201f2de8 d5af6f79 326c7b82 97fb964d c4063318 354c3405
        0800                     # bodies that follow: shard 11
        00000011                 # body length
          0009 736572766963652f61 # key: service/a
          01                     # put
          00000001 31            # value: 1
        """

    static let heads = """
        01 01                    # protocol version, kind: heads
        00000001                 # one owner
          0007                   # owner
          00000001               # epoch
          0000000000000001       # revision
          9b5e0299 0fbb72dd 1659d74c aad1145e 8b603ba3 b8a152fe 927dec6d c681a0a2 # header hash
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
        // Ed25519 signatures may be randomised; all other bytes are fixed.
        let signature = 6 + 0x76..<6 + 0x76 + SignedHeader.signatureBytes
        var (mine, fixed) = (Message.batch(batch).encoded, wire)
        mine.removeSubrange(signature)
        fixed.removeSubrange(signature)
        #expect(mine == fixed)
        guard case .batch(let decoded) = try Message(decoding: wire) else {
            Issue.record("no batch")
            return
        }
        #expect(decoded.signed.header == batch.signed.header)
        var replica = publisher.newcomer
        #expect(try replica.apply(decoded) == .applied([put("a", "1")]))
    }

    @Test("heads")
    func heads() throws {
        let (publisher, _) = try publisher()
        #expect(Message(announcing: publisher.replica).encoded == (try bytes(hex: Self.heads)))
    }

    @Test("a bucket, as it is stored, hashed and carried by snapshots")
    func bucket() throws {
        let (publisher, _) = try publisher()
        let index = Placement.bucket(of: "service/a".utf8)
        #expect(index == 11 * 16 + 14)
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
