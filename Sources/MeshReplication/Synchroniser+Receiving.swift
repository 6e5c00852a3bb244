// SPDX-License-Identifier: Apache-2.0

public import MeshModel
import OrderedCollections

extension Synchroniser {
    /// Takes one message from a peer. What is wrong with it is an effect, and changes nothing else.
    public mutating func receive(
        _ bytes: [UInt8], from link: ReplicationLink, at now: Instant,
        into effects: inout [ReplicationEffect]
    ) {
        guard sessions[link] != nil else { return }
        sessions[link]?.didReceive(bytes, into: &effects)
        do throws(RejectionReason) {
            switch try Message(decoding: bytes) {
            case .heads(let heads): receive(heads, from: link, into: &effects)
            case .batch(let batch):
                try receive(batch, message: bytes, from: link, at: now, into: &effects)
            case .evidence(let proof): try receive(proof, from: link, into: &effects)
            case .offer(let offer): try receive(offer, from: link, at: now, into: &effects)
            case .accept(let acceptance):
                let replica = try check(acceptance.owner, on: link)
                let end = end(of: replica).position
                sessions[link]?.peerAccepted(
                    acceptance, of: replica, through: end, into: &effects)
                advance(link, into: &effects)
            case .chunk(let chunk): try receive(chunk, from: link, into: &effects)
            case .requestSnapshot(let owner):
                let replica = try check(owner, on: link)
                let end = end(of: replica).position
                sessions[link]?.peerRequestedSnapshot(of: replica, through: end, into: &effects)
            case .acknowledge(let count):
                try sessions[link]?.didAcknowledge(count)
                advance(link, into: &effects)
            case .ages(let ages): receive(ages, from: link, at: now)
            case .holds(let owner, let position):
                try check(owner, on: link)
                sessions[link]?.peerClaims(position, of: owner)
            }
        } catch {
            if case .expiredDelegation(let owner) = error { expired[owner] = realTime }
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
        // One message must not draw megabytes; who still needs proof says its heads again.
        var evidence = ReplicationLimit.evidencePerMessage
        for claim in heads {
            guard sessions[link]?.scope.allows(claim.owner) == true else { continue }
            // A peer may know owners that this node doesn't: they may be added yet.
            sessions[link]?.peerStands(
                at: claim.head, of: claim.owner, wanting: claim.interest, holding: claim.held)
            guard let replica = replicas[claim.owner] else { continue }
            if evidence > 0, let known = replica.hash(at: claim.head.position),
                known != claim.head.hash,
                claim.head.position <= end(of: replica).position,
                let proof = replica.proof(at: claim.head.position)
            {
                sessions[link]?.send(.evidence(proof), into: &effects)
                evidence -= 1
            }
        }
        advance(link, into: &effects)
    }

    private mutating func receive(
        _ ages: [Message.OwnerAge], from link: ReplicationLink, at now: Instant
    ) {
        for age in ages {
            guard let replica = replicas[age.owner],
                sessions[link]?.scope.allows(age.owner) == true
            else { continue }
            freshness[age.owner, default: Freshness()].learn(
                age.position, age: .milliseconds(Int64(age.milliseconds)), at: now,
                holding: end(of: replica).position)
        }
    }
}

// MARK: Batches

extension Synchroniser {
    private mutating func receive(
        _ batch: Batch, message: [UInt8], from link: ReplicationLink, at now: Instant,
        into effects: inout [ReplicationEffect]
    ) throws(RejectionReason) {
        let owner = batch.owner
        let replica = try check(owner, on: link)
        let wasFrozen = replica.isFrozen
        if batch.position > replica.position { try checkRate(of: owner, at: now) }
        let outcome: Replica.Application?
        do throws(RejectionReason) {
            outcome = try replicas[owner]?.apply(
                batch, message: message, realTime: realTime)
        } catch {
            if error.callsForSnapshot { requestSnapshot(of: owner, over: link, into: &effects) }
            if error.callsForDeltas { requestDeltas(of: owner, over: link, into: &effects) }
            throw error
        }
        switch outcome {
        case .applied(let changes):
            sessions[link]?.peerHolds(batch.signed.head, of: owner)
            rates[owner]?.spend(max(changes.count, 1))
            effects.append(.append(owner, batch.position, message: message))
            moved(owner, changes, wasFrozen: wasFrozen, into: &effects)
            if owesReceipt(of: owner) {
                sessions[link]?.send(.holds(owner, batch.position), into: &effects)
            }
        case .known:
            sessions[link]?.peerHolds(batch.signed.head, of: owner)
        case .gap: requestDeltas(of: owner, over: link, into: &effects)
        case .diverged: requestSnapshot(of: owner, over: link, into: &effects)
        case .forked: froze(owner, because: batch.proof, from: link, into: &effects)
        case nil: break
        }
    }

    private mutating func checkRate(
        of owner: ClusterID, at now: Instant
    ) throws(RejectionReason) {
        guard rates[owner]?.admits(at: now) == false else { return }
        postponed.insert(owner)
        throw .overRate(owner)
    }

    /// Reports what changed and sends it on.
    mutating func moved(
        _ owner: ClusterID, _ changes: [LedgerReplacement], wasFrozen: Bool,
        into effects: inout [ReplicationEffect]
    ) {
        guard let replica = replicas[owner] else { return }
        yieldPublication(of: owner, into: &effects)
        if wasFrozen, !replica.isFrozen { effects.append(.thawed(owner, at: replica.position)) }
        if let transfer = transfers[owner], transfer.offer.position <= replica.position {
            transfers.removeValue(forKey: owner)
            announce(owner, into: &effects)
        }
        freshness[owner]?.reached(replica.position)
        effects.append(
            .changed(
                LedgerUpdate(
                    owner: owner, position: replica.position, changes: changes, refused: [])))
        forward(replica, into: &effects)
    }

    private mutating func requestDeltas(
        of owner: ClusterID, over link: ReplicationLink,
        into effects: inout [ReplicationEffect]
    ) {
        guard let replica = replicas[owner], transfers[owner] == nil, !replica.isFrozen,
            !postponed.contains(owner),
            sessions[link]?.shouldAsk(about: replica, for: .deltas) == true
        else { return }
        tell(link, standing: replica, into: &effects)
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
        _ proof: LedgerProof, from link: ReplicationLink,
        into effects: inout [ReplicationEffect]
    ) throws(RejectionReason) {
        try check(proof.owner, on: link)
        guard try replicas[proof.owner]?.witness(proof, realTime: realTime) == true
        else { return }
        froze(proof.owner, because: proof, from: link, into: &effects)
    }

    /// Raises the alarm, and shows the peer the other half of the proof.
    private mutating func froze(
        _ owner: ClusterID, because proof: LedgerProof, from link: ReplicationLink,
        into effects: inout [ReplicationEffect]
    ) {
        guard let replica = replicas[owner] else { return }
        transfers.removeValue(forKey: owner)
        effects.append(.frozen(owner, at: replica.position))
        if let mine = replica.proof(at: proof.position) ?? replica.proof(at: replica.position) {
            sessions[link]?.send(.evidence(mine), into: &effects)
        }
    }
}

// MARK: Snapshots

extension Synchroniser {
    private mutating func receive(
        _ offer: SnapshotOffer, from link: ReplicationLink, at now: Instant,
        into effects: inout [ReplicationEffect]
    ) throws(RejectionReason) {
        let owner = offer.owner
        let replica = try check(owner, on: link)
        guard sessions[link]?.isBarred(owner) == false else { return }
        if offer.position > replica.position { try checkRate(of: owner, at: now) }
        switch try replicas[owner]?.examine(offer, realTime: realTime) {
        case .stale: tell(link, standing: replica, into: &effects)
        case .forked: froze(owner, because: offer.proof, from: link, into: &effects)
        case nil: break
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
            if case .unexpectedMessage = error {
                // Offers crossed, and this answers another acceptance than the last.
                announce(chunk.owner, into: &effects)
            } else {
                sessions[link]?.bar(chunk.owner)
                announce(chunk.owner, except: link, into: &effects)
            }
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
        let isFirst = replicas[owner]?.last == nil
        let changes = replicas[owner]?.install(transfer.offer, transfer.buckets)
        // Installed or overtaken by batches meanwhile: every sender hears where to go on from.
        announce(owner, into: &effects)
        guard let changes else { return }
        // A newcomer has to take all there is; the owner's charter bounds it.
        if !isFirst { rates[owner]?.spend(changes.count) }
        effects.append(.replaced(owner))
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
        case .badSignature, .badDelegation, .bodyMismatch, .missingShard, .unexpectedMessage: true
        default: false
        }
    }
}
