// SPDX-License-Identifier: Apache-2.0

import Crypto
import MeshModel
import MeshSimulation
import Testing

@testable import MeshReplication

@Suite("Messages are read whole or refused")
struct WireTests {
    /// One of each kind.
    static func samples() throws -> [Message] {
        var publisher = try Publisher()
        let batch = try publisher.commitOne(put("a", "1"), put("b", "2"), put("c", "3"))
        let snapshot = try #require(OutgoingSnapshot(of: publisher.replica, shards: .all))
        return [
            .heads([
                .init(owner: try owner(7), head: batch.signed.head, interest: .all),
                .init(owner: try owner(8), head: .origin, interest: .base, held: []),
            ]),
            .batch(batch),
            .evidence(batch.proof),
            .offer(snapshot.offer),
            .accept(.init(owner: try owner(7), position: batch.position, buckets: [0, 9, 255])),
            .chunk(
                .init(
                    owner: try owner(7), position: batch.position, bucket: 9, isLast: true,
                    bytes: [1, 2, 3])),
            .requestSnapshot(try owner(7)),
            .acknowledge(1 << 40),
            .ages([.init(owner: try owner(7), position: batch.position, milliseconds: 1234)]),
            .holds(try owner(7), batch.position),
        ]
    }

    @Test("every kind survives the round trip")
    func roundTrip() throws {
        let samples = try Self.samples()
        #expect(samples.count == Message.Kind.allCases.count)
        #expect(Set(samples.map { $0.encoded[1] }).count == samples.count)
        for message in samples { #expect(try Message(decoding: message.encoded) == message) }
    }

    @Test("a message cut anywhere, or with a byte too many, is malformed")
    func truncation() throws {
        for bytes in try Self.samples().map(\.encoded) {
            for length in 0..<bytes.count {
                #expect(throws: RejectionReason.malformed(.truncated)) {
                    try Message(decoding: Array(bytes.prefix(length)))
                }
            }
            #expect(throws: RejectionReason.malformed(.trailingBytes)) {
                try Message(decoding: bytes + [0])
            }
        }
    }

    @Test("a message of another version or kind, or too long, is told apart")
    func unknown() {
        #expect(throws: RejectionReason.malformed(.unsupportedVersion(2))) {
            try Message(decoding: [2, 1])
        }
        #expect(throws: RejectionReason.unknownMessage(99)) { try Message(decoding: [1, 99]) }
        #expect(throws: RejectionReason.malformed(.tooLong("message"))) {
            try Message(
                decoding: [UInt8](repeating: 1, count: ReplicationLimit.messageBytes + 1))
        }
        #expect(throws: RejectionReason.malformed(.tooLong("heads"))) {
            try Message(decoding: [1, 1, 0xff, 0xff, 0xff, 0xff])
        }
    }

    @Test(
        "bytes changed at random crash nothing and never pass for the owner's",
        arguments: 1...8 as ClosedRange<UInt64>)
    func mutation(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var publisher = try Publisher()
        let batch = try publisher.commitOne(put("a", "1"), put("b", "2"), put("c", "3"))
        let samples = try Self.samples().map(\.encoded)
        let link = ReplicationLink(rawValue: 1)
        for _ in 0..<400 {
            var synchroniser = Synchroniser()
            var effects: [ReplicationEffect] = []
            synchroniser.add(
                owner: batch.owner, authority: publisher.replica.authority, into: &effects)
            synchroniser.linkUp(link, into: &effects)
            for _ in 0..<3 {
                var bytes = samples.randomElement(using: &random) ?? []
                for _ in 0...Int.random(in: 0...3, using: &random) {
                    let index = Int.random(in: 0..<bytes.count, using: &random)
                    bytes[index] = .random(in: 0...255, using: &random)
                }
                synchroniser.receive(bytes, from: link, at: .zero, into: &effects)
            }
            let state = synchroniser.replica(of: batch.owner)?.state
            #expect(state == [:] || state == publisher.replica.state)
        }
    }

    @Test("a header's later fields are hashed, verified and carried on unread")
    func unknownHeaderFields() throws {
        var publisher = try Publisher()
        let batch = try publisher.commitOne(put("a", "1"))
        let bytes = batch.signed.header.encoded + [0xfe, 0xed]
        #expect(try BatchHeader(encoded: bytes) == batch.signed.header)
        var writer = ByteWriter()
        writer.write(field: bytes)
        writer.write(raw: try signingKey(7).signature(for: SignedHeader.context + bytes))
        var reader = ByteReader(writer.bytes)
        let signed = try SignedHeader(from: &reader)
        #expect(try delegation(of: 7).covers(signed))
        #expect(signed.hash != batch.signed.hash)
        var again = ByteWriter()
        signed.encode(into: &again)
        #expect(again.bytes == writer.bytes)
    }
}
