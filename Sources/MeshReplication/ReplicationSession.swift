// SPDX-License-Identifier: Apache-2.0

import MeshModel
import OrderedCollections

/// What this node knows about the peer on one link, and what it has sent it.
///
/// There are no queues: for each owner a cursor says where the peer will stand once everything under
/// way has arrived, and ``advance(_:into:)`` sends whatever comes next from there.
struct ReplicationSession: Sendable {
    enum Cursor: Sendable {
        case at(LedgerHead)
        /// The peer hasn't answered; it may never, if it takes the snapshot from someone else.
        case offered(OutgoingSnapshot)
        case sending(OutgoingSnapshot)
    }

    let link: ReplicationLink
    let scope: OwnerScope
    /// Owners that the peer named: it hears of no others.
    private var cursors: OrderedDictionary<ClusterID, Cursor> = [:]
    /// What the peer wants of each, and what it has of that.
    private var interests: [ClusterID: (wanted: ShardSet, held: ShardSet)] = [:]
    private var flow = FlowControl()
    /// Where the peer says it stands. Unproven, so good for reports and for nothing else.
    private(set) var claims: OrderedDictionary<ClusterID, Position> = [:]
    private(set) var hasAnnounced = false
    /// What this node last asked the peer for, and where it stood then.
    private var asked: [ClusterID: (position: Position, aid: Aid)] = [:]
    /// Owners whose snapshots the peer falsified.
    private var barred: Set<ClusterID> = []

    init(link: ReplicationLink, scope: OwnerScope) {
        self.link = link
        self.scope = scope
    }

    var owners: some Collection<ClusterID> { cursors.keys }
}

// MARK: Sending

extension ReplicationSession {
    mutating func send(_ message: Message, into effects: inout [ReplicationEffect]) {
        send(encoded: message.encoded, into: &effects)
    }

    mutating func send(encoded bytes: [UInt8], into effects: inout [ReplicationEffect]) {
        if Message.isCounted(bytes) { flow.didSend(bytes.count) }
        effects.append(.send(bytes, over: link))
    }

    /// Sends the next change of an owner that the peer lacks and the window admits.
    ///
    /// - Parameter end: how far history may be told yet.
    /// - Returns: whether there was one.
    mutating func advance(
        _ replica: Replica, through end: Position, into effects: inout [ReplicationEffect]
    ) -> Bool {
        guard case .at(let head) = cursors[replica.owner], head.position < end,
            flow.admitsChanges(), let (entry, message) = delta(after: head, of: replica)
        else { return false }
        send(encoded: message, into: &effects)
        cursors[replica.owner] = .at(entry.head)
        return true
    }

    private func delta(
        after head: LedgerHead, of replica: Replica
    ) -> (LogWindow.Entry, [UInt8])? {
        guard head != .origin || replica.log.count <= ReplicationLimit.newcomerBatches,
            var entry = replica.log.entry(after: head)
        else { return nil }
        if replica.flaws.contains(.windowOffByOne) {
            entry = replica.log.entry(after: entry.head) ?? entry
        }
        guard
            let message = entry.message(for: interests[replica.owner]?.held ?? .all)
        else { return nil }
        return (entry, message)
    }

    /// Sends a snapshot's next part, or offers one where no change leads on.
    ///
    /// - Parameter end: how far history may be told yet; a snapshot waits for all of it.
    /// - Returns: whether there was anything to send.
    mutating func advanceSnapshot(
        _ replica: Replica, through end: Position, into effects: inout [ReplicationEffect]
    ) -> Bool {
        switch cursors[replica.owner] {
        case .at(let head) where head.position < end && delta(after: head, of: replica) == nil:
            return replica.position <= end && offer(replica, into: &effects)
        case .offered(let snapshot)
        where snapshot.offer.position.epoch < replica.position.epoch && replica.position <= end:
            // A frozen peer ignores offers of its epoch; it waits for this one.
            return offer(replica, into: &effects)
        case .sending(var snapshot):
            guard flow.admitsSnapshot(), let chunk = snapshot.nextChunk() else { return false }
            send(.chunk(chunk), into: &effects)
            cursors[replica.owner] =
                snapshot.isComplete ? .at(snapshot.offer.signed.head) : .sending(snapshot)
            return true
        case .at, .offered, nil:
            return false
        }
    }

    private mutating func offer(
        _ replica: Replica, into effects: inout [ReplicationEffect]
    ) -> Bool {
        guard flow.admitsSnapshot(),
            let snapshot = OutgoingSnapshot(
                of: replica, shards: interests[replica.owner]?.wanted ?? .all)
        else { return false }
        send(.offer(snapshot.offer), into: &effects)
        cursors[replica.owner] = .offered(snapshot)
        return true
    }
}

// MARK: What the peer says

extension ReplicationSession {
    mutating func didReceive(_ bytes: [UInt8], into effects: inout [ReplicationEffect]) {
        guard Message.isCounted(bytes), let count = flow.didReceive(bytes.count) else { return }
        send(.acknowledge(count), into: &effects)
    }

    mutating func didAcknowledge(_ count: UInt64) throws(RejectionReason) {
        try flow.didAcknowledge(count)
    }

    mutating func didAnnounce() { hasAnnounced = true }

    /// The peer says that it stands at `head`: whatever was under way to it, it goes on from there.
    mutating func peerStands(
        at head: LedgerHead, of owner: ClusterID, wanting interest: ShardSet, holding held: ShardSet
    ) {
        cursors[owner] = .at(head)
        interests[owner] = (interest, held)
        peerClaims(head.position, of: owner)
    }

    /// Whether the peer wants `shards` of an owner, so that it has them sooner or later.
    func peerWants(_ shards: ShardSet, of owner: ClusterID) -> Bool {
        interests[owner].map { shards.isSubset(of: $0.wanted) } ?? false
    }

    mutating func peerClaims(_ position: Position, of owner: ClusterID) {
        claims[owner] = max(claims[owner] ?? .origin, position)
    }

    /// The peer sent what leads to `head`, so it needs nothing before.
    mutating func peerHolds(_ head: LedgerHead, of owner: ClusterID) {
        peerClaims(head.position, of: owner)
        let reached: Position
        switch cursors[owner] {
        case .at(let head): reached = head.position
        case .offered(let snapshot), .sending(let snapshot): reached = snapshot.offer.position
        case nil: return
        }
        if reached <= head.position { cursors[owner] = .at(head) }
    }

    mutating func peerAccepted(
        _ acceptance: SnapshotAcceptance, of replica: Replica, through end: Position,
        into effects: inout [ReplicationEffect]
    ) {
        switch cursors[acceptance.owner] {
        case .offered(let snapshot) where snapshot.offer.position == acceptance.position:
            cursors[acceptance.owner] = .sending(snapshot.accepting(acceptance.buckets))
        case .at:
            // The offer was withdrawn for something that the peer said before it accepted, so it
            // still wants one.
            peerRequestedSnapshot(of: replica, through: end, into: &effects)
        case .offered, .sending, nil: break
        }
    }

    mutating func peerRequestedSnapshot(
        of replica: Replica, through end: Position, into effects: inout [ReplicationEffect]
    ) {
        // Who can't offer goes on with deltas.
        guard cursors[replica.owner] != nil,
            (interests[replica.owner]?.wanted ?? .all).isSubset(of: replica.held)
        else { return }
        // From the origin with a hash that no window holds: only a snapshot leads on.
        cursors[replica.owner] = .at(
            LedgerHead(position: .origin, hash: LedgerDigest(of: [])))
        _ = advanceSnapshot(replica, through: end, into: &effects)
    }
}

// MARK: Asking the peer

extension ReplicationSession {
    enum Aid: Int {
        case deltas
        case snapshot
    }

    /// Whether to ask the peer to resynchronise an owner: at each position once for deltas and once
    /// for a snapshot, for a peer that keeps sending what doesn't fit must not make this node chatter.
    mutating func shouldAsk(about replica: Replica, for aid: Aid) -> Bool {
        if let last = asked[replica.owner], last.position == replica.position,
            last.aid.rawValue >= aid.rawValue
        {
            return false
        }
        asked[replica.owner] = (replica.position, aid)
        return true
    }

    mutating func bar(_ owner: ClusterID) { barred.insert(owner) }
    func isBarred(_ owner: ClusterID) -> Bool { barred.contains(owner) }
}
