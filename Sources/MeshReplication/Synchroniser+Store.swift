// SPDX-License-Identifier: Apache-2.0

public import MeshModel
import OrderedCollections

/// One revision as a shared store keeps it.
public struct StoredBatch: Hashable, Sendable {
    /// What the revision changes, for readers that want records.
    public let changes: [LedgerChange]
    /// What the state after it rests on, see ``Synchroniser/adopt(_:entries:of:into:)``.
    public let proof: [UInt8]
}

extension Synchroniser {
    /// Somebody who knows says that `position` is the owner's newest.
    public mutating func confirm(_ position: Position, of owner: ClusterID, at now: Instant) {
        guard let replica = replicas[owner] else { return }
        freshness[owner, default: Freshness()].learn(
            position, age: .zero, at: now, holding: end(of: replica).position)
    }
}

// MARK: A shared store

/// A cluster may keep its ledger in a store that all its nodes read, instead of telling each other.
/// What comes from there is believed as little as what comes over a link.
extension Synchroniser {
    /// What to store of a revision that this node published.
    ///
    /// - Parameter message: as ``ReplicationEffect/append(_:_:message:)`` gave it.
    public func storedBatch(_ message: [UInt8]) throws(RejectionReason) -> StoredBatch {
        guard case .batch(let batch) = try Message(decoding: message)
        else { throw .malformed(.invalid("batch")) }
        guard let delegation = batch.delegation ?? replicas[batch.owner]?.delegation
        else { throw .badDelegation(batch.owner) }
        var writer = ByteWriter()
        LedgerProof(signed: batch.signed, delegation: delegation).encode(into: &writer)
        return StoredBatch(changes: try batch.changes(), proof: writer.bytes)
    }

    /// Follows one batch from the store.
    ///
    /// - Returns: false if batches are missing before it: read everything.
    /// - Throws: ``RejectionReason``: nothing changed.
    public mutating func absorb(
        _ message: [UInt8], into effects: inout [ReplicationEffect]
    ) throws(RejectionReason) -> Bool {
        guard case .batch(let batch) = try Message(decoding: message)
        else { throw .malformed(.invalid("batch")) }
        let owner = batch.owner
        guard let wasFrozen = replicas[owner]?.isFrozen else { throw .unknownOwner(owner) }
        switch try replicas[owner]?.apply(batch, message: message, realTime: realTime) {
        case .applied(let changes):
            effects.append(.append(owner, batch.position, message: message))
            moved(owner, changes, wasFrozen: wasFrozen, into: &effects)
            return true
        case .known, nil: return true
        case .gap, .diverged: return false
        case .forked:
            effects.append(.frozen(owner, at: batch.position))
            return true
        }
    }

    /// Takes everything that the store holds of an owner.
    ///
    /// - Parameters:
    ///   - proof: of the last batch stored.
    ///   - entries: every record, in any order.
    /// - Throws: ``RejectionReason``: nothing changed.
    public mutating func adopt(
        _ proof: [UInt8], entries: [LedgerEntry], of owner: ClusterID,
        into effects: inout [ReplicationEffect]
    ) throws(RejectionReason) {
        guard let replica = replicas[owner] else { throw .unknownOwner(owner) }
        let ledgerProof: LedgerProof
        do throws(DecodingFault) {
            var reader = ByteReader(proof)
            ledgerProof = try LedgerProof(from: &reader)
            try reader.finish()
        } catch {
            throw .malformed(error)
        }
        guard ledgerProof.owner == owner else { throw .ownerNotAllowed(ledgerProof.owner) }
        guard let changes = try replicas[owner]?.adopt(ledgerProof, entries, realTime: realTime)
        else { return }
        effects.append(.replaced(owner))
        moved(owner, changes, wasFrozen: replica.isFrozen, into: &effects)
    }
}
