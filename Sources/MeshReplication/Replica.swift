// SPDX-License-Identifier: Apache-2.0

public import Crypto
public import MeshModel

/// One owner's ledger as this node holds it: at a position it holds *exactly* the state that the
/// owner had there.
///
/// Positions only rise. A batch is taken if it is the next one and leads to the state that its
/// header signs; everything else is answered with a resynchronisation. Two signed headers of one
/// position freeze the replica: it keeps its state until the owner's next epoch.
public struct Replica: Sendable {
    public let owner: ClusterID
    let key: Curve25519.Signing.PublicKey
    var contents = LedgerContents.empty
    /// The header at ``head``, nil before any history.
    var last: SignedHeader?
    var log: LogWindow
    public internal(set) var isFrozen = false

    /// - Parameter key: the owner's; nothing is taken that it didn't sign.
    public init(
        owner: ClusterID, key: Curve25519.Signing.PublicKey, window: LogWindowLimit = .standard
    ) {
        self.owner = owner
        self.key = key
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
    /// Every record, unfiltered, in an order that depends on nothing but the records.
    public var entries: [LedgerEntry] { contents.entries }

    public func value(of key: RecordKey) -> [UInt8]? {
        contents.value(of: key.description).map(Array.init)
    }
}

extension Replica {
    enum Application: Equatable {
        /// The replica stands at the batch now.
        case applied([LedgerChange])
        /// The replica was there already.
        case known
        /// Batches are missing between the replica and this one.
        case gap
        /// The batch opens an epoch on another state than this replica's: only a snapshot helps.
        case diverged
        /// The owner signed two histories. The replica is frozen now.
        case forked
    }

    /// - Parameter message: the batch's encoded message, kept for other replicas.
    /// - Throws: ``RejectionReason``: nothing changed.
    /// - Complexity: one signature check, and one pass over each bucket that is touched.
    mutating func apply(
        _ batch: Batch, message: [UInt8]
    ) throws(RejectionReason) -> Application {
        let header = batch.signed.header
        guard header.position > position
        else { return try witness(batch.signed) ? .forked : .known }
        let opens = header.opensEpoch && header.position.epoch > position.epoch
        guard opens || header.position == position.next else { return .gap }
        guard opens || !isFrozen else { throw .frozen(owner) }
        guard batch.signed.isSigned(by: key) else { throw .badSignature(owner) }
        guard opens || header.previous == head.hash else {
            isFrozen = true
            return .forked
        }
        let changes = try batch.changes()
        var next = contents
        next.apply(changes)
        guard next.root == header.stateRoot else {
            if opens { return .diverged }
            throw .stateMismatch(owner)
        }
        append(batch.signed, message: message, contents: next)
        return .applied(changes)
    }

    /// Takes a batch that is known to be the next one.
    mutating func append(_ signed: SignedHeader, message: [UInt8], contents: LedgerContents) {
        self.contents = contents
        log.append(LogWindow.Entry(head: signed.head, message: message))
        last = signed
        if signed.header.opensEpoch { isFrozen = false }
    }

    /// Compares a header with this replica's own history.
    ///
    /// - Returns: whether it proves a fork, and the replica is frozen now.
    mutating func witness(_ signed: SignedHeader) throws(RejectionReason) -> Bool {
        let position = signed.header.position
        guard !isFrozen, position.epoch == self.position.epoch,
            let known = hash(at: position), known != signed.hash
        else { return false }
        guard signed.isSigned(by: key) else { throw .badSignature(owner) }
        isFrozen = true
        return true
    }

    /// Of the header at `position`, as far as it is still known.
    func hash(at position: Position) -> LedgerDigest? {
        position == head.position ? head.hash : log.hash(at: position)
    }

    /// The header at `position`, as far as it is still known.
    func header(at position: Position) -> SignedHeader? {
        if position == last?.header.position { return last }
        // The window holds only messages that this replica decoded or encoded itself.
        guard let message = log.message(at: position),
            case .batch(let batch)? = try? Message(decoding: message)
        else { return nil }
        return batch.signed
    }
}
