// SPDX-License-Identifier: Apache-2.0

public import Crypto
public import MeshModel

/// Why nothing was committed. The replica keeps its state and position.
public enum CommitFault: Error, Hashable, Sendable {
    /// Nobody called ``Synchroniser/open(_:)``.
    case notPublisher
    /// The replica holds a newer epoch, or another writer's revision of this one: open a ledger with
    /// an epoch above it.
    case superseded(by: Position)
    /// The delegation isn't one of the owner's CA for this epoch and key.
    case notDelegated
    case frozen(Position)
    case resourceVersionsTooLong(Int)
    /// The key could not sign.
    case signing(String)
}

/// The publisher's side of a cluster's own ledger: turns changes into signed batches.
///
/// The state lives in a ``Replica``, so that a publisher serves its ledger as everyone does.
public struct Ledger: Sendable {
    public let owner: ClusterID
    /// Above every epoch that anyone has seen: a restarted publisher opens a new one. The batch that
    /// opens it changes only what its changes say; the state before is the replica's. So let the
    /// replica catch up with the cluster's own nodes and peers before the first commit: what it
    /// doesn't hold then is gone.
    public let epoch: UInt32
    private let key: Curve25519.Signing.PrivateKey
    private let delegation: SignedDelegation
    /// Changes in one batch at most.
    private let batchChanges: Int
    /// Of the last commit.
    private var head: LedgerHead?

    /// - Parameters:
    ///   - delegation: says whose ledger this is, and which epoch.
    ///   - key: the delegated one.
    ///   - batchChanges: 1 or more; for a store that takes so many at once.
    public init(
        _ delegation: SignedDelegation, key: Curve25519.Signing.PrivateKey,
        batchChanges: Int = .max
    ) {
        owner = delegation.delegation.owner
        epoch = delegation.delegation.epoch
        self.delegation = delegation
        self.key = key
        self.batchChanges = batchChanges
    }

    /// What a commit did to the replica.
    public struct Commit: Sendable {
        /// One a revision; empty if nothing changed.
        public let batches: [Batch]
        /// What really changed, in the order of the batches.
        public let changes: [LedgerReplacement]
        /// Changes whose key or value no ledger can carry; the rest is committed.
        public let refused: [RefusedRecord]
    }

    /// Commits `changes` as the next revisions, as few as their size allows.
    ///
    /// Of several changes of one key the last counts; what changes nothing is left out, and if nothing
    /// is left there is no batch, except for the one that opens the epoch.
    ///
    /// - Parameters:
    ///   - changes: in any order.
    ///   - resourceVersions: 0...1,024 bytes about the sources, carried in the headers.
    /// - Throws: ``CommitFault``: nothing changed, unless a key fails to sign a later batch of
    ///   several; those before it stand then.
    /// - Complexity: per 64 KiB one signature, and one pass over each bucket that is touched.
    public mutating func commit(
        _ changes: some Sequence<LedgerChange>, resourceVersions: [UInt8] = [],
        to replica: inout Replica
    ) throws(CommitFault) -> Commit {
        try checkTurn(on: replica)
        guard resourceVersions.count <= ReplicationLimit.resourceVersionBytes
        else { throw .resourceVersionsTooLong(resourceVersions.count) }
        let (replacements, refused) = Self.sort(changes, against: replica)
        let effective = replacements.map { LedgerChange(key: $0.key, value: $0.value) }
        var batches: [Batch] = []
        var rest = effective[...]
        while !rest.isEmpty || replica.position.epoch < epoch {
            let group = prefixThatFits(rest)
            batches.append(try append(Array(group), resourceVersions, to: &replica))
            rest = rest.dropFirst(group.count)
        }
        return Commit(batches: batches, changes: replacements, refused: refused)
    }

    private func checkTurn(on replica: Replica) throws(CommitFault) {
        guard replica.owner == owner,
            delegation.delegation.key == Array(key.publicKey.rawRepresentation),
            head != nil || delegation.isSigned(by: replica.authority)
        else { throw .notDelegated }
        guard replica.position.epoch < epoch || replica.head == head
        else { throw .superseded(by: replica.position) }
        guard !replica.isFrozen || replica.position.epoch < epoch
        else { throw .frozen(replica.position) }
    }

    private mutating func append(
        _ changes: [LedgerChange], _ resourceVersions: [UInt8], to replica: inout Replica
    ) throws(CommitFault) -> Batch {
        var contents = replica.contents
        contents.apply(changes)
        let opens = replica.position.epoch < epoch
        let byShard = Dictionary(grouping: changes) {
            Placement.shard(ofKey: $0.key.utf8)
        }
        let bodies = byShard.sorted { $0.key < $1.key }.map { shard, changes in
            Batch.Body(
                shard: shard, bytes: ShardBody.encode(changes.sorted { $0.key < $1.key }))
        }
        let header = BatchHeader(
            owner: owner,
            position: opens ? Position(epoch: epoch, revision: 1) : replica.position.next,
            previous: opens ? delegation.hash : replica.head.hash,
            stateRoot: contents.root,
            shards: bodies.map {
                BatchHeader.ChangedShard(
                    shard: $0.shard, body: LedgerDigest(of: $0.bytes),
                    state: contents.shardHashes[$0.shard])
            },
            resourceVersions: resourceVersions)
        let signed: SignedHeader
        do {
            signed = try SignedHeader(signing: header, with: key)
        } catch {
            throw .signing("\(error)")
        }
        let batch = Batch(signed: signed, delegation: opens ? delegation : nil, bodies: bodies)
        replica.append(batch, message: Message.batch(batch).encoded, contents: contents)
        head = signed.head
        return batch
    }
}

extension Ledger {
    /// What of `changes` differs from the replica, the last change of each key; and what can't be
    /// carried.
    ///
    /// Deletions come first. Each kind is in the order of buckets, so that a batch of many touches
    /// few buckets, here and at every replica.
    private static func sort(
        _ changes: some Sequence<LedgerChange>, against replica: Replica
    ) -> (effective: [LedgerReplacement], refused: [RefusedRecord]) {
        let latest = Dictionary(changes.map { ($0.key, $0) }) { _, last in last }
        var effective: [PlacedChange] = []
        var refused: [RefusedRecord] = []
        for change in latest.values {
            guard isLedgerKey(change.key.utf8) else {
                refused.append(RefusedRecord(key: change.key, reason: "key is not 1...600 ASCII"))
                continue
            }
            if let value = change.value, value.count > ReplicationLimit.valueBytes {
                refused.append(
                    RefusedRecord(key: change.key, reason: "\(value.count) bytes are too many"))
                continue
            }
            let former = replica.contents.value(of: change.key)
            guard change.value?[...] != former else { continue }
            effective.append(
                PlacedChange(
                    place: PackedChange(change),
                    replacement: LedgerReplacement(change, former: former.map(Array.init))))
        }
        effective.sort {
            if ($0.place.value == nil) != ($1.place.value == nil) { return $0.place.value == nil }
            return PackedChange.inOrder($0.place, $1.place)
        }
        let (fitting, excess) = fit(effective, into: replica.contents)
        return (fitting, (refused + excess).sorted { $0.key < $1.key })
    }

    private struct PlacedChange {
        let place: PackedChange
        let replacement: LedgerReplacement
    }

    /// Leaves out what would make a bucket larger than a snapshot can carry.
    private static func fit(
        _ ordered: [PlacedChange], into contents: LedgerContents
    ) -> (fitting: [LedgerReplacement], refused: [RefusedRecord]) {
        var sizes: [Int: Int] = [:]
        var fitting: [LedgerReplacement] = []
        var refused: [RefusedRecord] = []
        for change in ordered {
            let place = change.place
            let former = change.replacement.former.map {
                PackedChange.size(key: place.key.count, value: $0.count)
            }
            let before = sizes[place.bucket] ?? contents.buckets[place.bucket].bytes.count
            let after = before + place.size - (former ?? 0)
            guard after <= ReplicationLimit.bucketBytes || after <= before else {
                refused.append(
                    RefusedRecord(
                        key: change.replacement.key, reason: "too many large records beside it"))
                continue
            }
            sizes[place.bucket] = after
            fitting.append(change.replacement)
        }
        return (fitting, refused)
    }

    private func prefixThatFits(
        _ changes: ArraySlice<LedgerChange>
    ) -> ArraySlice<LedgerChange> {
        var room = ReplicationLimit.bodyBytes
        return changes.prefix(batchChanges).prefix {
            room -= ShardBody.size(of: $0)
            return room >= 0
        }
    }
}
