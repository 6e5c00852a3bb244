// SPDX-License-Identifier: Apache-2.0

import Crypto
import MeshModel
import MeshSimulation

@testable import MeshReplication

/// A publisher of a later version, as this version meets it: delegations and headers have fields,
/// links have messages and ledgers have records that this version doesn't know.
struct NewerPublisher {
    static let owner: ClusterID = {
        guard let owner = ClusterID(rawValue: 9) else { preconditionFailure("9 is a cluster") }
        return owner
    }()
    /// Its link, which no other has.
    static let link = ReplicationLink(rawValue: 0)

    private var contents = LedgerContents.empty
    private var history: [(head: LedgerHead, message: [UInt8])] = []
    private let delegation: SignedDelegation
    private let key: Curve25519.Signing.PrivateKey

    init() throws {
        key = try signingKey(9)
        let plain = Delegation(
            owner: Self.owner, epoch: 1, key: key.publicKey, notAfter: farFuture)
        var bytes: [UInt8] = []
        // The context is signed, too, and isn't part of the delegation.
        let context = Array("weft ledger delegation".utf8)
        let ca = try authorityKey(9)
        let signed = try plain.signed { signed in
            bytes = signed.dropFirst(context.count) + [0xde, 0x1e]
            return Array(try ca.signature(for: context + bytes).rawRepresentation)
        }
        delegation = SignedDelegation(
            delegation: plain, bytes: bytes, signature: signed.signature)
    }

    /// Commits changes.
    ///
    /// - Returns: what to send, and where history stood before.
    mutating func publish(
        _ changes: [LedgerChange]
    ) throws -> (batch: Batch, over: LedgerHead, messages: [[UInt8]]) {
        contents.apply(changes)
        let before = history.last?.head ?? .origin
        let position = Position(epoch: 1, revision: before.position.revision + 1)
        let bodies = (0..<16).compactMap { shard -> Batch.Body? in
            let changes = changes.filter { Placement.shard(ofKey: $0.key.utf8) == shard }
                .sorted { $0.key < $1.key }
            return changes.isEmpty
                ? nil : Batch.Body(shard: shard, bytes: ShardBody.encode(changes))
        }
        let header = BatchHeader(
            owner: Self.owner, position: position,
            previous: before == .origin ? delegation.hash : before.hash,
            stateRoot: contents.root,
            shards: bodies.map {
                BatchHeader.ChangedShard(
                    shard: $0.shard, body: LedgerDigest(of: $0.bytes),
                    state: contents.shardHashes[$0.shard])
            }, resourceVersions: [])
        let bytes = header.encoded + [0xfe, 0xed]
        var writer = ByteWriter()
        writer.write(field: bytes)
        writer.write(raw: try key.signature(for: SignedHeader.context + bytes))
        var reader = ByteReader(writer.bytes)
        let batch = Batch(
            signed: try SignedHeader(from: &reader),
            delegation: before == .origin ? delegation : nil, bodies: bodies)
        let message = Message.batch(batch).encoded
        history.append((batch.signed.head, message))
        return (batch, before, [message, [Message.version, 200, 1, 2, 3]])
    }

    /// A node says where it stands: everything behind that.
    func answer(to bytes: [UInt8]) -> [[UInt8]] {
        guard case .heads(let heads)? = try? Message(decoding: bytes),
            let claim = heads.first(where: { $0.owner == Self.owner })
        else { return [] }
        return history.filter { $0.head.position > claim.head.position }.map(\.message)
    }
}
