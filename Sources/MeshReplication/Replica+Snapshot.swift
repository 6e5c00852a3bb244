// SPDX-License-Identifier: Apache-2.0

import MeshModel

extension Replica {
    enum Examination: Equatable {
        /// The replica is there already, or further.
        case stale
        /// The buckets that differ from this replica's, ascending.
        case wanted([UInt8])
    }

    /// Compares a snapshot on offer with what this replica holds.
    ///
    /// - Throws: ``RejectionReason``: the offer is ignored.
    func examine(_ offer: SnapshotOffer) throws(RejectionReason) -> Examination {
        let header = offer.signed.header
        guard header.position > position else { return .stale }
        guard !isFrozen || header.position.epoch > position.epoch else { throw .frozen(owner) }
        guard offer.signed.isSigned(by: key) else { throw .badSignature(owner) }
        guard LedgerContents.root(over: offer.bucketHashes) == header.stateRoot
        else { throw .rootMismatch(owner) }
        return .wanted(
            contents.buckets.indices.filter {
                contents.buckets[$0].hash != offer.bucketHashes[$0]
            }.map { UInt8($0) })
    }

    /// Puts the fetched buckets in place of this replica's: what a snapshot doesn't have is swept.
    ///
    /// - Parameter buckets: all that ``examine(_:)`` wanted, each compared with its hash.
    /// - Returns: what changed, or nil if the replica has moved since, so that the state would not
    ///   be the one that the header signs; nothing changed then.
    mutating func install(
        _ offer: SnapshotOffer, _ buckets: [(index: Int, bucket: Bucket)]
    ) -> [LedgerChange]? {
        guard offer.signed.header.position > position else { return nil }
        var next = contents
        next.replace(buckets)
        guard next.root == offer.signed.header.stateRoot else { return nil }
        let changes = buckets.flatMap { contents.buckets[$0.index].changes(to: $0.bucket) }
        contents = next
        last = offer.signed
        log.restart(from: offer.signed.head)
        isFrozen = false
        return changes
    }
}
