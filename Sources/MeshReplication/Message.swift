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
    case evidence(LedgerProof)
    case offer(SnapshotOffer)
    case accept(SnapshotAcceptance)
    case chunk(SnapshotChunk)
    /// Deltas don't help the sender: offer a snapshot.
    case requestSnapshot(ClusterID)
    /// Bytes of counted messages received so far on this link.
    case acknowledge(UInt64)
    /// How long ago the sender last knew its state of an owner to be the owner's newest.
    case ages([OwnerAge])
    /// The sender holds a revision now: what an acknowledgement to those who reported it rests on.
    case holds(ClusterID, Position)

    struct OwnerHead: Hashable, Sendable {
        let owner: ClusterID
        let head: LedgerHead
        /// Shards that the sender wants: a snapshot must have them.
        let interest: ShardSet
        /// Shards that it has: batches must have their bodies, and need no others.
        let held: ShardSet

        init(owner: ClusterID, head: LedgerHead, interest: ShardSet, held: ShardSet? = nil) {
            self.owner = owner
            self.head = head
            self.interest = interest
            self.held = held ?? interest
        }
    }

    struct OwnerAge: Hashable, Sendable {
        let owner: ClusterID
        let position: Position
        /// Held time summed over all hops; the time under way isn't in it.
        let milliseconds: UInt32
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
        case ages = 9
        case holds = 10

        var isCounted: Bool {
            switch self {
            case .batch, .offer, .chunk: true
            case .heads, .evidence, .accept, .requestSnapshot, .acknowledge, .ages, .holds: false
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
        case .ages: .ages
        case .holds: .holds
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
        case .evidence(let proof): proof.encode(into: &writer)
        case .offer(let offer):
            offer.encode(into: &writer)
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
        case .ages(let ages): writer.write(list: ages) { $0.write($1) }
        case .holds(let owner, let position):
            writer.write(owner.rawValue)
            writer.write(position)
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
        case .evidence: .evidence(try LedgerProof(from: &reader))
        case .offer: .offer(try SnapshotOffer(from: &reader))
        case .accept: .accept(try reader.readAcceptance())
        case .chunk: .chunk(try reader.readChunk())
        case .requestSnapshot: .requestSnapshot(try reader.readOwner())
        case .acknowledge: .acknowledge(try reader.read())
        case .ages:
            .ages(
                try reader.readList(max: ReplicationLimit.headsPerMessage, "ages") {
                    reader throws(DecodingFault) in try reader.readOwnerAge()
                })
        case .holds: .holds(try reader.readOwner(), try reader.readPosition())
        }
    }
}

extension ByteWriter {
    fileprivate mutating func write(_ head: Message.OwnerHead) {
        write(head.owner.rawValue)
        write(head.head.position)
        write(head.head.hash)
        write(head.interest.rawValue)
        write(head.held.rawValue)
    }

    fileprivate mutating func write(_ age: Message.OwnerAge) {
        write(age.owner.rawValue)
        write(age.position)
        write(age.milliseconds)
    }
}

extension ByteReader {
    fileprivate mutating func readOwnerHead() throws(DecodingFault) -> Message.OwnerHead {
        Message.OwnerHead(
            owner: try readOwner(),
            head: LedgerHead(position: try readPosition(), hash: try readDigest()),
            interest: ShardSet(rawValue: try read()), held: ShardSet(rawValue: try read()))
    }

    fileprivate mutating func readOwnerAge() throws(DecodingFault) -> Message.OwnerAge {
        Message.OwnerAge(
            owner: try readOwner(), position: try readPosition(), milliseconds: try read())
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

extension LedgerProof {
    func encode(into writer: inout ByteWriter) {
        signed.encode(into: &writer)
        writer.write(delegation != nil)
        delegation?.encode(into: &writer)
    }

    init(from reader: inout ByteReader) throws(DecodingFault) {
        signed = try SignedHeader(from: &reader)
        delegation = try reader.readBool() ? SignedDelegation(from: &reader) : nil
    }
}
