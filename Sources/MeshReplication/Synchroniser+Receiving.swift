// SPDX-License-Identifier: Apache-2.0

import MeshModel
import OrderedCollections

extension Synchroniser {
    /// Takes one message from a peer. What is wrong with it is an effect, and changes nothing else.
    public mutating func receive(
        _ bytes: [UInt8], from link: ReplicationLink,
        into effects: inout [ReplicationEffect]
    ) {
        guard sessions[link] != nil else { return }
        sessions[link]?.didReceive(bytes, into: &effects)
        do throws(RejectionReason) {
            switch try Message(decoding: bytes) {
            case .heads(let heads): receive(heads, from: link, into: &effects)
            case .batch(let batch):
                try receive(batch, message: bytes, from: link, into: &effects)
            case .evidence(let signed): try receive(signed, from: link, into: &effects)
            case .offer(let offer): try receive(offer, from: link, into: &effects)
            case .accept(let acceptance):
                try check(acceptance.owner, on: link)
                sessions[link]?.peerAccepted(acceptance)
                advance(link, into: &effects)
            case .chunk(let chunk): try receive(chunk, from: link, into: &effects)
            case .requestSnapshot(let owner):
                let replica = try check(owner, on: link)
                sessions[link]?.peerRequestedSnapshot(of: replica, into: &effects)
            case .acknowledge(let count):
                try sessions[link]?.didAcknowledge(count)
                advance(link, into: &effects)
            }
        } catch {
            effects.append(.rejected(error, from: link))
        }
    }

    @discardableResult
    private func check(
        _ owner: ClusterID, on link: ReplicationLink
    ) throws(RejectionReason) -> Replica {
        guard sessions[link]?.scope.allows(owner) == true else { throw .ownerNotAllowed(owner) }
        guard let replica = replicas[owner] else { throw .unknownOwner(owner) }
        return replica
    }

    private mutating func receive(
        _ heads: [Message.OwnerHead], from link: ReplicationLink,
        into effects: inout [ReplicationEffect]
    ) {
        sessions[link]?.didAnnounce()
        for claim in heads {
            // A peer may know owners that this node doesn't; that is no fault.
            guard let replica = replicas[claim.owner],
                sessions[link]?.scope.allows(claim.owner) == true
            else { continue }
            sessions[link]?.peerStands(at: claim.head, of: claim.owner)
            if let known = replica.hash(at: claim.head.position), known != claim.head.hash,
                let header = replica.header(at: claim.head.position)
            {
                sessions[link]?.send(.evidence(header), into: &effects)
            }
        }
        advance(link, into: &effects)
    }
}

// MARK: Batches

extension Synchroniser {
    private mutating func receive(
        _ batch: Batch, message: [UInt8], from link: ReplicationLink,
        into effects: inout [ReplicationEffect]
    ) throws(RejectionReason) {
        let owner = batch.owner
        let wasFrozen = try check(owner, on: link).isFrozen
        let outcome: Replica.Application?
        do throws(RejectionReason) {
            outcome = try replicas[owner]?.apply(batch, message: message)
        } catch {
            if error.callsForSnapshot { requestSnapshot(of: owner, over: link, into: &effects) }
            if error.callsForDeltas { requestDeltas(of: owner, over: link, into: &effects) }
            throw error
        }
        switch outcome {
        case .applied(let changes):
            sessions[link]?.peerHolds(batch.signed.head, of: owner)
            moved(owner, changes, wasFrozen: wasFrozen, into: &effects)
        case .known:
            sessions[link]?.peerHolds(batch.signed.head, of: owner)
        case .gap: requestDeltas(of: owner, over: link, into: &effects)
        case .diverged: requestSnapshot(of: owner, over: link, into: &effects)
        case .forked: froze(owner, because: batch.signed, from: link, into: &effects)
        case nil: break
        }
    }

    /// Reports what changed and sends it on.
    private mutating func moved(
        _ owner: ClusterID, _ changes: [LedgerChange], wasFrozen: Bool,
        into effects: inout [ReplicationEffect]
    ) {
        guard let replica = replicas[owner] else { return }
        if wasFrozen, !replica.isFrozen { effects.append(.thawed(owner, at: replica.position)) }
        if let transfer = transfers[owner], transfer.offer.position <= replica.position {
            transfers.removeValue(forKey: owner)
            announce(owner, into: &effects)
        }
        effects.append(.changed(update(replica, changes)))
        forward(replica, into: &effects)
    }

    private mutating func requestDeltas(
        of owner: ClusterID, over link: ReplicationLink,
        into effects: inout [ReplicationEffect]
    ) {
        guard let replica = replicas[owner], transfers[owner] == nil, !replica.isFrozen,
            sessions[link]?.shouldAsk(about: replica, for: .deltas) == true
        else { return }
        sessions[link]?.send(Message(announcing: replica), into: &effects)
    }

    private mutating func requestSnapshot(
        of owner: ClusterID, over link: ReplicationLink,
        into effects: inout [ReplicationEffect]
    ) {
        guard let replica = replicas[owner], transfers[owner] == nil,
            sessions[link]?.shouldAsk(about: replica, for: .snapshot) == true
        else { return }
        sessions[link]?.send(.requestSnapshot(owner), into: &effects)
    }

    // MARK: Forks

    private mutating func receive(
        _ signed: SignedHeader, from link: ReplicationLink,
        into effects: inout [ReplicationEffect]
    ) throws(RejectionReason) {
        try check(signed.owner, on: link)
        guard try replicas[signed.owner]?.witness(signed) == true else { return }
        froze(signed.owner, because: signed, from: link, into: &effects)
    }

    /// Raises the alarm, and shows the peer the other half of the proof.
    private mutating func froze(
        _ owner: ClusterID, because signed: SignedHeader, from link: ReplicationLink,
        into effects: inout [ReplicationEffect]
    ) {
        guard let replica = replicas[owner] else { return }
        transfers.removeValue(forKey: owner)
        effects.append(.frozen(owner, at: replica.position))
        if let mine = replica.header(at: signed.header.position) ?? replica.last {
            sessions[link]?.send(.evidence(mine), into: &effects)
        }
    }
}

// MARK: Snapshots

extension Synchroniser {
    private mutating func receive(
        _ offer: SnapshotOffer, from link: ReplicationLink,
        into effects: inout [ReplicationEffect]
    ) throws(RejectionReason) {
        let owner = offer.owner
        let replica = try check(owner, on: link)
        guard sessions[link]?.isBarred(owner) == false else { return }
        switch try replica.examine(offer) {
        case .stale: sessions[link]?.send(Message(announcing: replica), into: &effects)
        case .wanted(let buckets):
            // One at a time; whoever else offers is told where this node stands afterwards.
            if let transfer = transfers[owner], transfer.link != link { return }
            sessions[link]?.peerHolds(offer.signed.head, of: owner)
            transfers[owner] = IncomingSnapshot(from: link, offer: offer, wanted: buckets)
            guard !buckets.isEmpty else { return complete(owner, into: &effects) }
            sessions[link]?.send(
                .accept(
                    SnapshotAcceptance(owner: owner, position: offer.position, buckets: buckets)),
                into: &effects)
        }
    }

    private mutating func receive(
        _ chunk: SnapshotChunk, from link: ReplicationLink,
        into effects: inout [ReplicationEffect]
    ) throws(RejectionReason) {
        try check(chunk.owner, on: link)
        // Chunks of a snapshot given up arrive until the peer has heard of it.
        guard let transfer = transfers[chunk.owner], transfer.link == link,
            transfer.offer.position == chunk.position
        else { return }
        do throws(RejectionReason) {
            try transfers[chunk.owner]?.receive(chunk)
        } catch {
            transfers.removeValue(forKey: chunk.owner)
            sessions[link]?.bar(chunk.owner)
            announce(chunk.owner, except: link, into: &effects)
            throw error
        }
        if transfers[chunk.owner]?.isComplete == true { complete(chunk.owner, into: &effects) }
    }

    private mutating func complete(
        _ owner: ClusterID, into effects: inout [ReplicationEffect]
    ) {
        guard let transfer = transfers.removeValue(forKey: owner),
            let wasFrozen = replicas[owner]?.isFrozen
        else { return }
        let changes = replicas[owner]?.install(transfer.offer, transfer.buckets)
        // Installed or overtaken by batches meanwhile: every sender hears where to go on from.
        announce(owner, into: &effects)
        guard let changes else { return }
        moved(owner, changes, wasFrozen: wasFrozen, into: &effects)
    }
}

extension RejectionReason {
    fileprivate var callsForSnapshot: Bool {
        switch self {
        case .stateMismatch, .malformedBody: true
        default: false
        }
    }

    /// The peer believes that the batch arrived; it didn't, and the next one won't fit.
    fileprivate var callsForDeltas: Bool {
        switch self {
        case .badSignature, .bodyMismatch, .missingShard: true
        default: false
        }
    }
}
