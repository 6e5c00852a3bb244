// SPDX-License-Identifier: Apache-2.0

import MeshModel

extension Replica {
    enum Examination: Equatable {
        /// The replica is there already, or further.
        case stale
        /// The buckets that differ from this replica's, ascending.
        case wanted([UInt8])
        /// The owner signed two histories. The replica is frozen now.
        case forked
    }

    /// Whether records are missing that this node wants to have.
    var lacksShards: Bool { !interest.isSubset(of: held) }

    /// Compares a snapshot on offer with what this replica holds.
    ///
    /// - Throws: ``RejectionReason``: the offer is ignored.
    mutating func examine(
        _ offer: SnapshotOffer, realTime: UInt64
    ) throws(RejectionReason) -> Examination {
        let theirs = offer.position
        guard isBehind(theirs) || lacksShards && offer.signed.head == head
        else { return .stale }
        guard !isFrozen || theirs.epoch > position.epoch else { throw .frozen(owner) }
        _ = try authenticate(offer.proof, realTime: realTime)
        guard !contradicts(offer.proof) else {
            freeze()
            return .forked
        }
        guard LedgerDigest(combining: offer.shardHashes) == offer.signed.header.stateRoot,
            offer.shards.shards.allSatisfy({ shard in
                LedgerDigest(combining: offer.bucketHashes(ofShard: shard))
                    == offer.shardHashes[shard]
            })
        else { throw .rootMismatch(owner) }
        guard interest.isSubset(of: offer.shards) else { throw .missingShards(owner) }
        var wanted: [UInt8] = []
        for shard in interest.shards {
            for (index, hash) in zip(
                Placement.buckets(ofShard: shard), offer.bucketHashes(ofShard: shard))
            where contents.buckets[index].hash != hash
                && !(flaws.contains(.noSweep) && hash == Bucket.empty.hash)
            {
                wanted.append(UInt8(index))
            }
        }
        return .wanted(wanted)
    }

    /// Puts the fetched buckets in place of this replica's: what a snapshot doesn't have is swept,
    /// and so is what this node no longer wants.
    ///
    /// - Parameter buckets: all that ``examine(_:realTime:)`` wanted, each compared with its hash.
    /// - Returns: what changed, or nil if the replica has moved since, so that the state would not
    ///   be the one that the header signs; nothing changed then.
    mutating func install(
        _ offer: SnapshotOffer, _ buckets: [(index: Int, bucket: Bucket)]
    ) -> [LedgerReplacement]? {
        guard isBehind(offer.position) || lacksShards && offer.signed.head == head
        else { return nil }
        var next = contents
        next.replace(buckets, untracked: offer.shardHashes.outside(interest))
        guard next.root == offer.signed.header.stateRoot else { return nil }
        let changes = LedgerContents.changes(from: contents, to: next)
        unsaved.note(from: contents, to: next, messageBytes: 0)
        unsaved.mustSave = true
        contents = next
        held = interest
        if offer.signed.head != head { log.restart(from: offer.signed.head) }
        if offer.position.epoch > position.epoch { isFrozen = false }
        last = offer.signed
        delegation = offer.delegation
        return changes
    }

    /// Takes a whole state at once, if it is newer and the one that `proof` signs.
    ///
    /// - Returns: what changed; nil if the replica is there already, or further.
    mutating func adopt(
        _ proof: LedgerProof, _ entries: [LedgerEntry], realTime: UInt64
    ) throws(RejectionReason) -> [LedgerReplacement]? {
        guard proof.position > position else { return nil }
        guard !isFrozen || proof.position.epoch > position.epoch else { throw .frozen(owner) }
        let delegation = try authenticate(proof, realTime: realTime)
        for entry in entries
        where !isLedgerKey(entry.key.utf8) || entry.value.count > ReplicationLimit.valueBytes {
            throw .malformedBody(owner, .invalid("record \(entry.key.prefix(80))"))
        }
        let signed = proof.signed
        var next = LedgerContents.empty
        let latest = Dictionary(entries.map { ($0.key, $0.value) }) { _, last in last }
        next.apply(latest.map { LedgerChange(key: $0.key, value: $0.value) })
        guard next.root == signed.header.stateRoot else { throw .stateMismatch(owner) }
        next.replace([], untracked: next.shardHashes.outside(interest))
        let changes = LedgerContents.changes(from: contents, to: next)
        unsaved.note(from: contents, to: next, messageBytes: 0)
        unsaved.mustSave = true
        if signed.header.position.epoch > position.epoch { isFrozen = false }
        contents = next
        held = interest
        log.restart(from: signed.head)
        last = signed
        self.delegation = delegation
        return changes
    }

    /// Wants other shards from now on. What it no longer wants is swept at once; what it wants anew
    /// takes a snapshot from somebody.
    mutating func setInterest(_ interest: ShardSet) -> [LedgerReplacement] {
        self.interest = interest
        guard last != nil else {
            held = interest
            return []
        }
        return drop(held.subtracting(interest))
    }

    /// Sweeps the records of `shards`, and keeps their hashes.
    mutating func drop(_ shards: ShardSet) -> [LedgerReplacement] {
        guard !shards.isEmpty else { return [] }
        held.subtract(shards)
        var next = contents
        next.replace([], untracked: contents.shardHashes.outside(held))
        let changes = LedgerContents.changes(from: contents, to: next)
        unsaved.note(from: contents, to: next, messageBytes: 0)
        unsaved.mustSave = true
        contents = next
        return changes
    }
}

extension LedgerContents {
    /// What turns one state into the other, bucket by bucket.
    static func changes(
        from old: LedgerContents, to new: LedgerContents
    ) -> [LedgerReplacement] {
        zip(old.buckets, new.buckets).flatMap { before, after in
            before.hash == after.hash ? [] : before.changes(to: after)
        }
    }
}

extension [LedgerDigest] {
    /// Hashes of the shards that aren't in `held`, by shard.
    fileprivate func outside(_ held: ShardSet) -> [Int: LedgerDigest] {
        Dictionary(
            uniqueKeysWithValues: indices.filter { !held.contains(shard: $0) }.map {
                ($0, self[$0])
            })
    }
}
