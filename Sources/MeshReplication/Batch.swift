// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// One revision of an owner's ledger: applied whole or not at all.
///
/// Encoded: the signed header (32-bit length, header, 64-byte signature), a 16-bit mask of the
/// bodies that follow, and each body with a 32-bit length. The mask may leave out shards that the
/// header names: the place where filtered import will stand.
public struct Batch: Hashable, Sendable {
    public let signed: SignedHeader
    /// Ascending by shard; at most 64 KiB together.
    let bodies: [Body]

    struct Body: Hashable, Sendable {
        let shard: Int
        let bytes: [UInt8]
    }

    public var owner: ClusterID { signed.owner }
    public var position: Position { signed.header.position }

    init(signed: SignedHeader, bodies: [Body]) {
        self.signed = signed
        self.bodies = bodies
    }

    /// Compares every body with its hash, then reads them.
    func changes() throws(RejectionReason) -> [LedgerChange] {
        for expected in signed.header.shards {
            guard let body = bodies.first(where: { $0.shard == expected.shard })
            else { throw .missingShard(owner, shard: expected.shard) }
            guard LedgerDigest(of: body.bytes) == expected.hash
            else { throw .bodyMismatch(owner, shard: expected.shard) }
        }
        do throws(DecodingFault) {
            var changes: [LedgerChange] = []
            for body in bodies {
                changes += try ShardBody.decode(body.bytes, shard: body.shard)
            }
            return changes
        } catch {
            throw .malformedBody(owner, error)
        }
    }
}

extension Batch {
    func encode(into writer: inout ByteWriter) {
        signed.encode(into: &writer)
        writer.write(ShardMask.encode(bodies.lazy.map(\.shard)))
        for body in bodies { writer.write(field: body.bytes) }
    }

    init(from reader: inout ByteReader) throws(DecodingFault) {
        signed = try SignedHeader(from: &reader)
        let present = ShardMask.decode(try reader.read())
        let named = signed.header.shards.map(\.shard)
        guard present.allSatisfy(named.contains) else { throw .invalid("shards") }
        var room = ReplicationLimit.bodyBytes
        var bodies: [Body] = []
        for shard in present {
            let bytes = try reader.readField(max: room, "body")
            room -= bytes.count
            bodies.append(Body(shard: shard, bytes: Array(bytes)))
        }
        self.bodies = bodies
    }
}
