// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// What a replica wants written down: the batches since are in the journal one by one.
struct UnsavedState: Sendable {
    private(set) var buckets: Set<UInt8> = []
    private(set) var logBytes = 0
    /// The state was replaced: no batches lead to it.
    var mustSave = false

    mutating func note(from old: LedgerContents, to new: LedgerContents, messageBytes: Int) {
        for index in old.buckets.indices where old.buckets[index].hash != new.buckets[index].hash {
            buckets.insert(UInt8(index))
        }
        logBytes += messageBytes
    }
}

/// A replica at one position, as a journal keeps it: the buckets that changed since the checkpoint
/// before.
public struct ReplicaCheckpoint: Hashable, Sendable {
    public let owner: ClusterID
    public let position: Position
    /// Proof and flags, to be handed back as they are.
    public let header: [UInt8]
    public let buckets: [Bucket]
    /// Whether ``buckets`` are all that aren't empty, in place of those kept before.
    public let isWhole: Bool

    public struct Bucket: Hashable, Sendable {
        public let index: UInt8
        /// Empty: nothing left.
        public let bytes: [UInt8]

        public init(index: UInt8, bytes: [UInt8]) {
            self.index = index
            self.bytes = bytes
        }
    }
}

/// Why what a journal held isn't used. The replica starts with nothing and learns from its peers.
public enum RestoreFault: Error, Hashable, Sendable {
    case unknownOwner(ClusterID)
    case malformed(DecodingFault)
    /// The records aren't those that the owner signed, or another CA's delegate signed them.
    case unproven(RejectionReason)
}

extension Replica {
    static let checkpointVersion: UInt8 = 1

    /// Whether the batches since the last checkpoint outgrow what one costs.
    var isCheckpointDue: Bool {
        unsaved.mustSave
            || unsaved.logBytes > max(ReplicationLimit.checkpointBytes, contents.byteCount / 2)
    }

    mutating func takeCheckpoint(whole: Bool = false) -> ReplicaCheckpoint? {
        guard let last, let delegation else { return nil }
        var writer = ByteWriter()
        writer.write(Self.checkpointVersion)
        last.encode(into: &writer)
        delegation.encode(into: &writer)
        writer.write(isFrozen)
        writer.write(held.rawValue)
        for hash in contents.shardHashes { writer.write(hash) }
        let indices =
            whole
            ? (0...UInt8.max).filter { contents.buckets[Int($0)].count > 0 }
            : unsaved.buckets.sorted()
        unsaved = UnsavedState()
        return ReplicaCheckpoint(
            owner: owner, position: position, header: writer.bytes,
            buckets: indices.map {
                ReplicaCheckpoint.Bucket(index: $0, bytes: contents.buckets[Int($0)].bytes)
            }, isWhole: whole)
    }

    /// Takes up what ``takeCheckpoint()`` wrote, with all of its buckets, and the batches journaled
    /// since. If it throws, nothing of the replica may be used.
    ///
    /// Everything is checked but the delegation's end: the picture may be old, and its age says so.
    /// Each header signs the whole state, so only the newest one's delegation has to be believed: the
    /// checkpoint may be from before the owner's root was replaced.
    mutating func restore(
        header: [UInt8], buckets: [ReplicaCheckpoint.Bucket], log: some Sequence<[UInt8]>
    ) throws(RestoreFault) {
        if !header.isEmpty { try load(header: header, buckets: buckets) }
        replay(log)
        guard delegation == nil || isDelegated else { throw .unproven(.badDelegation(owner)) }
    }

    /// Whether the owner's CA stands behind the delegation is left to be checked.
    private mutating func load(
        header: [UInt8], buckets stored: [ReplicaCheckpoint.Bucket]
    ) throws(RestoreFault) {
        do throws(DecodingFault) {
            var reader = ByteReader(header)
            let version = try reader.read(UInt8.self)
            guard version == Self.checkpointVersion else { throw .unsupportedVersion(version) }
            let signed = try SignedHeader(from: &reader)
            let delegation = try SignedDelegation(from: &reader)
            let isFrozen = try reader.readBool()
            let held = ShardSet(rawValue: try reader.read())
            var hashes: [Int: LedgerDigest] = [:]
            for shard in 0..<ReplicationLimit.shards {
                let hash = try reader.readDigest()
                if !held.contains(shard: shard) { hashes[shard] = hash }
            }
            var contents = LedgerContents.empty
            var buckets: [(index: Int, bucket: Bucket)] = []
            for bucket in stored where !bucket.bytes.isEmpty {
                let index = Int(bucket.index)
                buckets.append((index, try Bucket(validating: bucket.bytes, index: index)))
            }
            contents.replace(buckets, untracked: hashes)
            self.contents = contents
            self.held = held
            self.isFrozen = isFrozen
            self.delegation = delegation
            last = signed
            log.restart(from: signed.head)
            unsaved = UnsavedState()
        } catch {
            throw .malformed(error)
        }
        do throws(RejectionReason) {
            guard let last, last.owner == owner, let delegation
            else { throw .badDelegation(owner) }
            guard delegation.covers(last) else { throw .badSignature(owner) }
            guard contents.root == last.header.stateRoot else { throw .rootMismatch(owner) }
        } catch {
            throw .unproven(error)
        }
    }

    /// Follows batches that were journaled behind the checkpoint, as far as they lead on.
    ///
    /// Each names the hash of the one before, so the last one's signature vouches for all.
    private mutating func replay(_ messages: some Sequence<[UInt8]>) {
        let before = self
        for message in messages {
            guard case .batch(let batch)? = try? Message(decoding: message),
                batch.owner == owner
            else { break }
            // Shards that this node didn't want then; it may want them now.
            _ = drop(held.intersection(batch.signed.header.changed).subtracting(batch.present))
            guard
                batch.position == position.next && batch.signed.header.previous == head.hash
                    || batch.position.epoch > position.epoch && batch.signed.header.opensEpoch,
                case .applied? = try? follow(batch, message: message)
            else { break }
        }
        guard let last, isDelegated, delegation?.covers(last) == true else {
            self = before
            return
        }
    }
}
