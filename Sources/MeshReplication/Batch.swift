// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// One revision of an owner's ledger: applied whole or not at all.
///
/// Encoded: the signed header (32-bit length, header, 64-byte signature), the delegation if the batch
/// opens an epoch, a 16-bit mask of the bodies that follow, and each body with a 32-bit length. The
/// mask may leave out shards that the header names: a reader asks for those it wants.
public struct Batch: Hashable, Sendable {
    public let signed: SignedHeader
    /// Set if, and only if, the batch opens an epoch.
    let delegation: SignedDelegation?
    /// Ascending by shard; at most 64 KiB together.
    let bodies: [Body]

    struct Body: Hashable, Sendable {
        let shard: Int
        let bytes: [UInt8]
    }

    public var owner: ClusterID { signed.owner }
    public var position: Position { signed.header.position }

    init(signed: SignedHeader, delegation: SignedDelegation?, bodies: [Body]) {
        self.signed = signed
        self.delegation = delegation
        self.bodies = bodies
    }

    var present: ShardSet { ShardSet(bodies.lazy.map(\.shard)) }

    func keeping(_ shards: ShardSet) -> Batch {
        Batch(
            signed: signed, delegation: delegation,
            bodies: bodies.filter { shards.contains(shard: $0.shard) })
    }

    /// Compares all bodies with their hashes, for all are passed on, and reads those of `shards`.
    func changes(
        in shards: ShardSet = .all, flaws: Flaws = []
    ) throws(RejectionReason) -> [LedgerChange] {
        for expected in signed.header.shards {
            if let body = bodies.first(where: { $0.shard == expected.shard }) {
                guard
                    LedgerDigest(of: body.bytes) == expected.body
                        || flaws.contains(.bodyUnchecked)
                else { throw .bodyMismatch(owner, shard: expected.shard) }
            } else if shards.contains(shard: expected.shard) {
                throw .missingShard(owner, shard: expected.shard)
            }
        }
        var changes: [LedgerChange] = []
        do throws(DecodingFault) {
            for body in bodies where shards.contains(shard: body.shard) {
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
        delegation?.encode(into: &writer)
        writer.write(present.rawValue)
        for body in bodies { writer.write(field: body.bytes) }
    }

    init(from reader: inout ByteReader) throws(DecodingFault) {
        signed = try SignedHeader(from: &reader)
        delegation =
            signed.header.opensEpoch ? try SignedDelegation(from: &reader) : nil
        let present = ShardSet(rawValue: try reader.read())
        guard present.isSubset(of: signed.header.changed) else { throw .invalid("shards") }
        var room = ReplicationLimit.bodyBytes
        var bodies: [Body] = []
        for shard in present.shards {
            let bytes = try reader.readField(max: room, "body")
            room -= bytes.count
            bodies.append(Body(shard: shard, bytes: Array(bytes)))
        }
        self.bodies = bodies
    }
}
