// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// What two replicas say to each other over one ordered link.
///
/// Every message starts with the protocol's version and its kind. Messages with records in them
/// count against the sender's window, see ``FlowControl``.
enum Message: Hashable, Sendable {
    /// Where the sender stands; names every owner it wants to hear of, and no other.
    case heads([OwnerHead])
    case batch(Batch)
    /// A header that contradicts what the receiver said it holds.
    case evidence(SignedHeader)
    case offer(SnapshotOffer)
    case accept(SnapshotAcceptance)
    case chunk(SnapshotChunk)
    /// Deltas don't help the sender: offer a snapshot.
    case requestSnapshot(ClusterID)
    /// Bytes of counted messages received so far on this link.
    case acknowledge(UInt64)

    struct OwnerHead: Hashable, Sendable {
        let owner: ClusterID
        let head: LedgerHead
    }

    enum Kind: UInt8, CaseIterable {
        case heads = 1
        case batch = 2
        case evidence = 3
        case offer = 4
        case accept = 5
        case chunk = 6
        case requestSnapshot = 7
        case acknowledge = 8

        var isCounted: Bool {
            switch self {
            case .batch, .offer, .chunk: true
            case .heads, .evidence, .accept, .requestSnapshot, .acknowledge: false
            }
        }
    }

    static let version: UInt8 = 1

    /// Whether encoded bytes count against the window; told without decoding, so that both sides
    /// count alike whatever is inside.
    static func isCounted(_ bytes: [UInt8]) -> Bool {
        bytes.count > 1 && Kind(rawValue: bytes[1])?.isCounted ?? false
    }
}

extension Message {
    private var kind: Kind {
        switch self {
        case .heads: .heads
        case .batch: .batch
        case .evidence: .evidence
        case .offer: .offer
        case .accept: .accept
        case .chunk: .chunk
        case .requestSnapshot: .requestSnapshot
        case .acknowledge: .acknowledge
        }
    }

    var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.write(Self.version)
        writer.write(kind.rawValue)
        switch self {
        case .heads(let heads):
            writer.write(list: heads) { $0.write($1) }
        case .batch(let batch): batch.encode(into: &writer)
        case .evidence(let signed): signed.encode(into: &writer)
        case .offer(let offer):
            offer.signed.encode(into: &writer)
            for hash in offer.bucketHashes { writer.write(hash) }
        case .accept(let acceptance):
            writer.write(acceptance.owner.rawValue)
            writer.write(acceptance.position)
            writer.write(field: acceptance.buckets)
        case .chunk(let chunk):
            writer.write(chunk.owner.rawValue)
            writer.write(chunk.position)
            writer.write(chunk.bucket)
            writer.write(chunk.isLast)
            writer.write(field: chunk.bytes)
        case .requestSnapshot(let owner): writer.write(owner.rawValue)
        case .acknowledge(let count): writer.write(count)
        }
        return writer.bytes
    }

    /// - Throws: ``RejectionReason/malformed(_:)`` or ``RejectionReason/unknownMessage(_:)``: the
    ///   message is ignored.
    init(decoding bytes: [UInt8]) throws(RejectionReason) {
        guard bytes.count <= ReplicationLimit.messageBytes
        else { throw .malformed(.tooLong("message")) }
        var reader = ByteReader(bytes)
        let number: UInt8
        do throws(DecodingFault) {
            let version = try reader.read(UInt8.self)
            guard version == Self.version else { throw .unsupportedVersion(version) }
            number = try reader.read()
        } catch {
            throw .malformed(error)
        }
        guard let kind = Kind(rawValue: number) else { throw .unknownMessage(number) }
        do throws(DecodingFault) {
            self = try Self.read(kind, from: &reader)
            try reader.finish()
        } catch {
            throw .malformed(error)
        }
    }

    private static func read(
        _ kind: Kind, from reader: inout ByteReader
    ) throws(DecodingFault) -> Message {
        switch kind {
        case .heads:
            .heads(
                try reader.readList(max: ReplicationLimit.headsPerMessage, "heads") {
                    reader throws(DecodingFault) in try reader.readOwnerHead()
                })
        case .batch: .batch(try Batch(from: &reader))
        case .evidence: .evidence(try SignedHeader(from: &reader))
        case .offer: .offer(try reader.readOffer())
        case .accept: .accept(try reader.readAcceptance())
        case .chunk: .chunk(try reader.readChunk())
        case .requestSnapshot: .requestSnapshot(try reader.readOwner())
        case .acknowledge: .acknowledge(try reader.read())
        }
    }
}

extension ByteWriter {
    fileprivate mutating func write(_ head: Message.OwnerHead) {
        write(head.owner.rawValue)
        write(head.head.position)
        write(head.head.hash)
    }
}

extension ByteReader {
    fileprivate mutating func readOwnerHead() throws(DecodingFault) -> Message.OwnerHead {
        Message.OwnerHead(
            owner: try readOwner(),
            head: LedgerHead(position: try readPosition(), hash: try readDigest()))
    }

    fileprivate mutating func readOffer() throws(DecodingFault) -> SnapshotOffer {
        let signed = try SignedHeader(from: &self)
        var hashes: [LedgerDigest] = []
        hashes.reserveCapacity(ReplicationLimit.buckets)
        for _ in 0..<ReplicationLimit.buckets { hashes.append(try readDigest()) }
        return SnapshotOffer(signed: signed, bucketHashes: hashes)
    }

    fileprivate mutating func readAcceptance() throws(DecodingFault) -> SnapshotAcceptance {
        let owner = try readOwner()
        let position = try readPosition()
        let buckets = Array(try readField(max: ReplicationLimit.buckets, "buckets"))
        guard !buckets.isEmpty, zip(buckets, buckets.dropFirst()).allSatisfy({ $0 < $1 })
        else { throw .invalid("buckets") }
        return SnapshotAcceptance(owner: owner, position: position, buckets: buckets)
    }

    fileprivate mutating func readChunk() throws(DecodingFault) -> SnapshotChunk {
        SnapshotChunk(
            owner: try readOwner(), position: try readPosition(), bucket: try read(),
            isLast: try readBool(),
            bytes: Array(try readField(max: ReplicationLimit.chunkBytes, "chunk")))
    }
}
