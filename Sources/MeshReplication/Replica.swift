// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// One owner's ledger as this node holds it: at a position it holds *exactly* the state that the
/// owner had there, as far as it is interested.
///
/// Positions only rise. A batch is taken if it is the next one and leads to the state that its
/// header signs; everything else is answered with a resynchronisation. Two signed headers of one
/// position freeze the replica: it keeps its state until the owner's next epoch.
public struct Replica: Sendable {
    public let owner: ClusterID
    var authority: LedgerAuthority
    /// Shards that this node wants, and those whose records it has. They differ from the widening of
    /// an interest until a snapshot arrives.
    var interest: ShardSet
    var held: ShardSet
    var contents = LedgerContents.empty
    /// The header at ``head``, nil before any history.
    var last: SignedHeader?
    /// Of the epoch at ``head``.
    var delegation: SignedDelegation?
    var log: LogWindow
    public internal(set) var isFrozen = false
    var flaws: Flaws = []
    /// Buckets that changed since ``takeCheckpoint()``, and bytes of batches since.
    var unsaved = UnsavedState()

    /// - Parameters:
    ///   - authority: of the owner; nothing is taken that nobody it delegated to has signed.
    ///   - interest: see ``ShardSet``; headers are followed whatever it is.
    public init(
        owner: ClusterID, authority: LedgerAuthority, interest: ShardSet = .all,
        window: LogWindowLimit = .standard
    ) {
        self.owner = owner
        self.authority = authority
        self.interest = interest
        held = interest
        log = LogWindow(base: .origin, limit: window)
    }

    public var head: LedgerHead { last?.head ?? .origin }
    public var position: Position { head.position }
    /// Number of records.
    public var count: Int { contents.count }
    /// Bytes of all records with their keys.
    public var byteCount: Int { contents.byteCount }
    /// Bytes of the batches kept for others to catch up with.
    public var logByteCount: Int { log.byteCount }
    /// Seconds since 1970 until when the publisher of this epoch may go on; nil before any history.
    public var delegatedUntil: UInt64? { delegation?.delegation.notAfter }

    /// Whether the owner's CA, as it is known now, stands behind the delegation in force.
    ///
    /// - Complexity: one verification of a signature.
    public var isDelegated: Bool { delegation?.isSigned(by: authority) ?? false }
    /// Every record, in an order that depends on nothing but the records.
    public var entries: [LedgerEntry] { contents.entries }

    public func value(of key: RecordKey) -> [UInt8]? {
        contents.value(of: key.description).map(Array.init)
    }
}

/// What a batch or a snapshot rests on.
struct LedgerProof: Hashable, Sendable {
    let signed: SignedHeader
    /// Nil if the reader is known to have it: inside an epoch.
    let delegation: SignedDelegation?

    var owner: ClusterID { signed.owner }
    var position: Position { signed.header.position }
}

extension Replica {
    enum Application: Equatable {
        /// The replica stands at the batch now; what changed, and what was there before.
        case applied([LedgerReplacement])
        /// The replica was there already.
        case known
        /// Batches are missing between the replica and this one.
        case gap
        /// The batch opens an epoch on another state than this replica's: only a snapshot helps.
        case diverged
        /// The owner signed two histories. The replica is frozen now.
        case forked
    }

    /// - Parameters:
    ///   - message: the batch's encoded message, kept for other replicas.
    ///   - realTime: seconds since 1970; 0 if the clock isn't to be trusted: delegations don't end.
    /// - Throws: ``RejectionReason``: nothing changed.
    /// - Complexity: one signature check, and one pass over each bucket that is touched.
    mutating func apply(
        _ batch: Batch, message: [UInt8], realTime: UInt64
    ) throws(RejectionReason) -> Application {
        let header = batch.signed.header
        guard isBehind(header.position)
        else { return try witness(batch.proof, realTime: realTime) ? .forked : .known }
        let opens = header.opensEpoch && header.position.epoch != position.epoch
        guard opens || header.position == position.next else { return .gap }
        guard opens || !isFrozen else { throw .frozen(owner) }
        guard opens || header.previous == head.hash else {
            try freeze(because: batch.proof, realTime: realTime)
            return .forked
        }
        _ = try authenticate(batch.proof, realTime: realTime)
        return try follow(batch, message: message)
    }

    /// Positions only rise.
    func isBehind(_ other: Position) -> Bool {
        other > position || flaws.contains(.epochGoesBack) && other.epoch < position.epoch
    }

    /// Takes the next batch if it leads to the state that its header signs, whoever signed it.
    mutating func follow(
        _ batch: Batch, message: [UInt8]
    ) throws(RejectionReason) -> Application {
        let header = batch.signed.header
        let changes = try batch.changes(in: held, flaws: flaws)
        var untracked: [Int: LedgerDigest] = [:]
        for changed in header.shards where !held.contains(shard: changed.shard) {
            untracked[changed.shard] = changed.state
        }
        var next = contents
        next.apply(changes, untracked: untracked)
        guard next.root == header.stateRoot || flaws.contains(.rootUnchecked) else {
            if header.opensEpoch { return .diverged }
            throw .stateMismatch(owner)
        }
        guard next.fitsSnapshots else { throw .bucketFull(owner) }
        let replacements = changes.map {
            LedgerReplacement($0, former: contents.value(of: $0.key).map(Array.init))
        }
        append(batch, message: message, contents: next)
        return .applied(replacements)
    }

    /// Takes a batch that is known to be the next one.
    mutating func append(_ batch: Batch, message: [UInt8], contents: LedgerContents) {
        unsaved.note(from: self.contents, to: contents, messageBytes: message.count)
        self.contents = contents
        log.append(
            LogWindow.Entry(
                head: batch.signed.head, message: message, changed: batch.signed.header.changed,
                present: batch.present))
        last = batch.signed
        guard let opening = batch.delegation else { return }
        delegation = opening
        isFrozen = false
    }

    /// Whether the owner stands behind `proof`: its CA delegated, the delegate signed.
    ///
    /// - Returns: the delegation that it rests on.
    func authenticate(
        _ proof: LedgerProof, realTime: UInt64
    ) throws(RejectionReason) -> SignedDelegation {
        let known = delegation?.delegation.epoch == proof.position.epoch ? delegation : nil
        guard let delegation = proof.delegation ?? known else { throw .badDelegation(owner) }
        guard delegation == known || delegation.isSigned(by: authority)
        else { throw .badDelegation(owner) }
        guard !proof.signed.header.opensEpoch || proof.signed.header.previous == delegation.hash
        else { throw .badDelegation(owner) }
        guard delegation.covers(proof.signed) else { throw .badSignature(owner) }
        guard !delegation.isExpired(at: realTime) else { throw .expiredDelegation(owner) }
        return delegation
    }

    /// Compares a header with this replica's own history.
    ///
    /// - Returns: whether it proves a fork, and the replica is frozen now.
    mutating func witness(
        _ proof: LedgerProof, realTime: UInt64
    ) throws(RejectionReason) -> Bool {
        guard !isFrozen, contradicts(proof) else { return false }
        try freeze(because: proof, realTime: realTime)
        return true
    }

    /// Whether `proof`, if it is one, is of another history than this replica's: it has another
    /// header at a position of both, or another writer in this epoch.
    func contradicts(_ proof: LedgerProof) -> Bool {
        guard proof.position.epoch == position.epoch, !flaws.contains(.forksIgnored)
        else { return false }
        if let other = proof.delegation?.delegation.key, other != delegation?.delegation.key {
            return true
        }
        return hash(at: proof.position).map { $0 != proof.signed.hash } ?? false
    }

    /// - Parameter proof: what contradicts this replica's history, if its owner stands behind it.
    private mutating func freeze(
        because proof: LedgerProof, realTime: UInt64
    ) throws(RejectionReason) {
        do throws(RejectionReason) {
            _ = try authenticate(proof, realTime: realTime)
        } catch {
            // Another writer's batches say nothing without its delegation, and no peer is to blame:
            // it shows the delegation once it hears where this replica stands.
            if case .badSignature = error, proof.delegation == nil {
                throw .unexpectedMessage(owner)
            }
            throw error
        }
        freeze()
    }

    mutating func freeze() {
        isFrozen = true
        unsaved.mustSave = true
    }

    /// Of the header at `position`, as far as it is still known.
    func hash(at position: Position) -> LedgerDigest? {
        position == head.position ? head.hash : log.hash(at: position)
    }

    /// The header at `position`, as far as it is still known, with what it rests on.
    func proof(at position: Position) -> LedgerProof? {
        guard position.epoch == self.position.epoch else { return nil }
        if position == last?.header.position {
            return last.map { LedgerProof(signed: $0, delegation: delegation) }
        }
        // The window holds only messages that this replica decoded or encoded itself.
        guard let message = log.message(at: position),
            case .batch(let batch)? = try? Message(decoding: message)
        else { return nil }
        return LedgerProof(signed: batch.signed, delegation: delegation)
    }
}

extension Batch {
    var proof: LedgerProof { LedgerProof(signed: signed, delegation: delegation) }
}
