// SPDX-License-Identifier: Apache-2.0

public import MeshModel
import OrderedCollections

/// The ledger that is open on this node, and what of it nobody may know yet.
struct Publication: Sendable {
    var ledger: Ledger
    let awaitsDurability: Bool
    var released: LedgerHead
    /// In the order of their positions, all above ``released``.
    var pending: [LedgerUpdate] = []

    /// Whether what is released is the owner's newest for certain: before an epoch has begun, the
    /// one before may have had more.
    var isCurrent: Bool { released.position.epoch == ledger.epoch }
}

extension Synchroniser {
    /// Makes this node the publisher of an owner that was added.
    ///
    /// - Parameter awaitsDurability: whether revisions wait for ``release(through:into:)`` before
    ///   anybody, this node's own tables included, learns of them.
    public mutating func open(_ ledger: Ledger, awaitsDurability: Bool = false) {
        // Revisions of the epoch before may still be on their way to the disk.
        let former = publication?.ledger.owner == ledger.owner ? publication : nil
        let head = replicas[ledger.owner]?.head ?? .origin
        publication = Publication(
            ledger: ledger, awaitsDurability: awaitsDurability,
            released: awaitsDurability ? former?.released ?? head : head,
            pending: former?.pending ?? [])
    }

    /// Another writer's history came in: this node's tables learn what they had to wait for, and
    /// nothing is published here any more.
    mutating func yieldPublication(of owner: ClusterID, into effects: inout [ReplicationEffect]) {
        guard let publication, publication.ledger.owner == owner else { return }
        self.publication = nil
        for update in publication.pending { effects.append(.changed(update)) }
    }

    /// Stops publishing. What isn't released yet is told after all: it is signed, and whoever
    /// publishes next decides whether it stays.
    public mutating func close(into effects: inout [ReplicationEffect]) {
        guard let publication else { return }
        self.publication = nil
        for update in publication.pending { effects.append(.changed(update)) }
        if let replica = replicas[publication.ledger.owner] { forward(replica, into: &effects) }
    }

    /// The newest revision that anybody may know of; nil while nothing is published here.
    public var releasedPosition: Position? { publication?.released.position }

    /// The epoch that is open here.
    public var publishedEpoch: UInt32? { publication?.ledger.epoch }

    /// Whether revisions wait to become durable.
    public var hasUnreleased: Bool { publication.map { !$0.pending.isEmpty } ?? false }

    /// Commits changes to the ledger that is open and sends them on.
    ///
    /// - Throws: ``CommitFault``, see ``Ledger/commit(_:resourceVersions:to:)``.
    public mutating func publish(
        _ changes: some Sequence<LedgerChange>, resourceVersions: [UInt8] = [],
        into effects: inout [ReplicationEffect]
    ) throws(CommitFault) {
        guard var publication, let index = replicas.index(forKey: publication.ledger.owner)
        else { throw .notPublisher }
        defer { self.publication = publication }
        let wasFrozen = replicas.values[index].isFrozen
        let commit = try publication.ledger.commit(
            changes, resourceVersions: resourceVersions, to: &replicas.values[index])
        let replica = replicas.values[index]
        if wasFrozen, !replica.isFrozen {
            effects.append(.thawed(replica.owner, at: replica.position))
        }
        for batch in commit.batches {
            effects.append(
                .append(
                    replica.owner, batch.position, message: Message.batch(batch).encoded))
        }
        if !commit.batches.isEmpty, transfers.removeValue(forKey: replica.owner) != nil {
            announce(replica.owner, into: &effects)
        }
        guard !commit.batches.isEmpty || !commit.refused.isEmpty else { return }
        let update = LedgerUpdate(
            owner: replica.owner, position: replica.position, changes: commit.changes,
            refused: commit.refused)
        guard !publication.awaitsDurability || replica.head == publication.released else {
            publication.pending.append(update)
            return
        }
        publication.released = replica.head
        for waiting in publication.pending { effects.append(.changed(waiting)) }
        publication.pending = []
        self.publication = publication
        effects.append(.changed(update))
        forward(replica, into: &effects)
    }

    /// Revisions up to `position` are durable: everybody may know of them.
    public mutating func release(
        through position: Position, into effects: inout [ReplicationEffect]
    ) {
        guard let owner = publication?.ledger.owner, let replica = replicas[owner],
            let released = publication?.released.position, position > released,
            let hash = replica.hash(at: position)
        else { return }
        publication?.released = LedgerHead(position: position, hash: hash)
        freshness[owner]?.reached(position)
        while let update = publication?.pending.first, update.position <= position {
            publication?.pending.removeFirst()
            effects.append(.changed(update))
        }
        forward(replica, into: &effects)
    }

    /// The highest revision of an owner that some linked peer says it holds, too.
    public func heldElsewhere(of owner: ClusterID) -> Position {
        sessions.values.compactMap { $0.claims[owner] }.max() ?? .origin
    }
}
