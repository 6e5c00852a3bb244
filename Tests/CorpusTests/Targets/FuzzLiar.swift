// SPDX-License-Identifier: Apache-2.0

import MeshModel

@testable import MeshReplication

/// An owner with all the right keys and no conscience.
extension FuzzSession {
    /// A batch: any position, any body, rightly signed.
    mutating func lie() throws {
        var contents = node.replica(of: history.liar)?.contents ?? .empty
        let place = place()
        var bodies: [Batch.Body] = []
        if byte() < 192 {
            let changes = lies()
            contents.apply(changes)
            bodies = Dictionary(grouping: changes) { Placement.shard(ofKey: $0.key.utf8) }
                .sorted { $0.key < $1.key }
                .map { shard, changes in
                    Batch.Body(
                        shard: shard,
                        bytes: ShardBody.encode(changes.sorted { $0.key < $1.key }))
                }
        } else {
            bodies = [Batch.Body(shard: Int(byte() % 16), bytes: bytes())]
        }
        let delegation = try history.delegation(toLieIn: place.epoch)
        let batch = Batch(
            signed: try sign(
                at: place, contents,
                changed: bodies.map {
                    BatchHeader.ChangedShard(
                        shard: $0.shard, body: LedgerDigest(of: $0.bytes),
                        state: contents.shardHashes[$0.shard])
                }, delegation),
            delegation: place.revision == 1 ? delegation : nil, bodies: bodies)
        hear(Message.batch(batch).encoded, from: link)
    }

    /// A snapshot: any position, any records, rightly signed.
    mutating func offerLies() throws {
        var contents = LedgerContents.empty
        contents.apply(lies())
        let place = place()
        let delegation = try history.delegation(toLieIn: place.epoch)
        var replica = Replica(
            owner: history.liar, authority: try history.authority(of: history.liar))
        replica.contents = contents
        replica.last = try sign(at: place, contents, changed: [], delegation)
        replica.delegation = delegation
        guard let snapshot = OutgoingSnapshot(of: replica, shards: .all) else { return }
        let link = link
        hear(Message.offer(snapshot.offer).encoded, from: link)
        send(snapshot, over: link, altered: byte() < 32)
    }

    private mutating func sign(
        at place: Position, _ contents: LedgerContents, changed: [BatchHeader.ChangedShard],
        _ delegation: SignedDelegation
    ) throws -> SignedHeader {
        let head = node.head(of: history.liar) ?? .origin
        let previous: LedgerDigest =
            switch byte() % 4 {
            case 0: .zero
            default: place.revision == 1 ? delegation.hash : head.hash
            }
        let header = BatchHeader(
            owner: history.liar, position: place, previous: previous,
            stateRoot: byte() < 224 ? contents.root : .zero, shards: changed,
            resourceVersions: bytes())
        let key = try FuzzHistory.key(of: history.liar, epoch: place.epoch)
        return try SignedHeader(signing: header, with: key)
    }

    private mutating func place() -> Position {
        let position = node.head(of: history.liar)?.position ?? .origin
        let choice = byte()
        let epoch = FuzzHistory.liarsEpochs[
            Int(choice >> 4) % FuzzHistory.liarsEpochs.count]
        switch choice % 8 {
        case 0: return Position(epoch: epoch, revision: 1)
        case 1: return Position(epoch: epoch, revision: 2)
        case 2: return Position(epoch: epoch, revision: .max)
        case 3: return Position(epoch: epoch, revision: .max - 1)
        default:
            return Position(epoch: max(position.epoch, 1), revision: position.revision &+ 1)
        }
    }

    private mutating func lies() -> [LedgerChange] {
        let keys = FuzzHistory.keys
        let changes = bytes().prefix(16).map { choice in
            LedgerChange(
                key: keys[Int(choice) % keys.count],
                value: choice < 128 ? [UInt8](repeating: choice, count: Int(choice) * 7) : nil)
        }
        let latest = Dictionary(changes.map { ($0.key, $0) }) { _, last in last }
        return latest.values.sorted { $0.key < $1.key }
    }
}
