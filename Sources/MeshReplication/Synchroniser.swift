// SPDX-License-Identifier: Apache-2.0

public import MeshModel
import OrderedCollections

/// Every owner's ledger on this node, and the links over which nodes keep each other's up to date.
///
/// Each side of a new link tells where it stands; each sends what the other lacks: deltas as far as
/// its log window reaches, else a snapshot. New batches go at once to every link whose peer stands
/// right before them. Signatures decide what is true, so anyone may serve anything to anyone.
///
/// A value: links, bytes and time come in, ``ReplicationEffect``s go out in order. One owner at a
/// time should drive it.
public struct Synchroniser: Sendable {
    var replicas: OrderedDictionary<ClusterID, Replica> = [:]
    var sessions: OrderedDictionary<ReplicationLink, ReplicationSession> = [:]
    var transfers: OrderedDictionary<ClusterID, IncomingSnapshot> = [:]
    var freshness: [ClusterID: Freshness] = [:]
    var rates: [ClusterID: ChangeRate] = [:]
    /// Owners that changed too much too fast: asked for again once their rate admits it.
    var postponed: Set<ClusterID> = []
    /// Owners whose delegation had ended by a clock that showed this, in seconds since 1970: asked
    /// for again once it is set back.
    var expired: [ClusterID: UInt64] = [:]
    var publication: Publication?
    /// Seconds since 1970, as of the last tick; 0 before.
    var realTime: UInt64 = 0
    var nextAges = Instant.zero
    /// Which link is asked next for shards that are missing.
    var turn = 0
    /// Planted by tests.
    var flaws: Flaws = []
    /// Owner whose batches are acknowledged to whoever sent them: the cluster whose publisher waits for
    /// word from this node that it holds a revision, too.
    public var receiptsOf: ClusterID?

    public init(receiptsOf: ClusterID? = nil) { self.receiptsOf = receiptsOf }

    func owesReceipt(of owner: ClusterID) -> Bool { owner == receiptsOf }
}

// MARK: Owners

extension Synchroniser {
    /// Starts to hold an owner's ledger; says so to every peer.
    ///
    /// - Parameters:
    ///   - interest: shards whose records this node wants.
    ///   - rate: nil takes everything at once.
    ///   - window: history that is kept for others.
    public mutating func add(
        owner: ClusterID, authority: LedgerAuthority, interest: ShardSet = .all,
        rate: ChangeRateLimit? = nil, window: LogWindowLimit = .standard,
        into effects: inout [ReplicationEffect]
    ) {
        guard replicas[owner] == nil else { return }
        rates[owner] = rate.map(ChangeRate.init)
        var replica = Replica(
            owner: owner, authority: authority, interest: interest, window: window)
        replica.flaws = flaws
        replicas[owner] = replica
        announce(owner, into: &effects)
    }

    /// Believes other keys of an owner's CA from now on. What is held stays; whoever was refused
    /// hears where this node stands.
    public mutating func trust(
        _ authority: LedgerAuthority, of owner: ClusterID,
        into effects: inout [ReplicationEffect]
    ) {
        guard replicas[owner] != nil, replicas[owner]?.authority != authority else { return }
        replicas[owner]?.authority = authority
        announce(owner, into: &effects)
    }

    /// Takes so much of an owner's changes from now on; nil takes everything at once.
    public mutating func limit(_ rate: ChangeRateLimit?, of owner: ClusterID) {
        guard replicas[owner] != nil, rates[owner]?.limit != rate else { return }
        rates[owner] = rate.map(ChangeRate.init)
    }

    /// Forgets an owner. Its records are gone; what peers go on sending is rejected.
    public mutating func remove(
        owner: ClusterID, into effects: inout [ReplicationEffect]
    ) {
        guard let replica = replicas.removeValue(forKey: owner) else { return }
        transfers.removeValue(forKey: owner)
        freshness[owner] = nil
        rates[owner] = nil
        postponed.remove(owner)
        expired[owner] = nil
        if publication?.ledger.owner == owner { publication = nil }
        let deletes = replica.entries.map {
            LedgerReplacement(key: $0.key, former: $0.value, value: nil)
        }
        guard !deletes.isEmpty else { return }
        effects.append(
            .changed(
                LedgerUpdate(
                    owner: owner, position: replica.position, changes: deletes, refused: [])))
    }

    /// Wants other shards of an owner from now on.
    public mutating func setInterest(
        _ interest: ShardSet, in owner: ClusterID, into effects: inout [ReplicationEffect]
    ) {
        guard var replica = replicas[owner], replica.interest != interest else { return }
        let changes = replica.setInterest(interest)
        replicas[owner] = replica
        transfers.removeValue(forKey: owner)
        if !changes.isEmpty {
            effects.append(
                .changed(
                    LedgerUpdate(
                        owner: owner, position: replica.position, changes: changes,
                        refused: [])))
            effects.append(.replaced(owner))
        }
        announce(owner, into: &effects)
        fetchMissingShards(of: owner, into: &effects)
    }

    /// In the order in which they were added.
    public var owners: [ClusterID] { Array(replicas.keys) }

    public func replica(of owner: ClusterID) -> Replica? { replicas[owner] }

    public func head(of owner: ClusterID) -> LedgerHead? { replicas[owner]?.head }

    /// Every record held of an owner.
    public func entries(of owner: ClusterID) -> [LedgerEntry] { replicas[owner]?.entries ?? [] }

    /// How old this node's picture of an owner is: the time since it was known to be the newest, all
    /// hops added up but for the time under way. Nil before anyone has said so.
    public func age(of owner: ClusterID, at now: Instant) -> Duration? {
        if let publication, publication.ledger.owner == owner, publication.isCurrent {
            return .zero
        }
        return freshness[owner]?.age(at: now)
    }

    /// A hash over every owner's position, 16 bytes: nodes with equal ones hold the same.
    /// Heartbeats carry it; on a difference that lasts, ``announceHeads(of:into:)``.
    public var rollup: [UInt8] {
        var writer = ByteWriter()
        for (owner, replica) in replicas.sorted(by: { $0.key < $1.key }) {
            let end = end(of: replica)
            guard end != .origin else { continue }
            writer.write(owner.rawValue)
            writer.write(end.position)
            writer.write(end.hash)
        }
        return Array(LedgerDigest(of: writer.bytes).bytes.prefix(16))
    }
}

// MARK: The journal

extension Synchroniser {
    /// Whether the batches journaled since the last checkpoint of an owner outgrow one.
    public func isCheckpointDue(of owner: ClusterID) -> Bool {
        replicas[owner]?.isCheckpointDue ?? false
    }

    /// What to write down of an owner in place of its journaled batches; nil before any history.
    ///
    /// - Parameter whole: with every bucket, whatever earlier checkpoints had: for a journal that
    ///   lost track.
    public mutating func takeCheckpoint(
        of owner: ClusterID, whole: Bool = false
    ) -> ReplicaCheckpoint? {
        replicas[owner]?.takeCheckpoint(whole: whole)
    }

    /// Takes up an owner from the journal, before there are links.
    ///
    /// - Parameters:
    ///   - header: of the last checkpoint; empty if there was none.
    ///   - buckets: all that checkpoints left behind.
    ///   - log: messages of the batches journaled since, in order.
    ///   - age: how long ago the picture was last known to be the newest.
    /// - Throws: ``RestoreFault``: the owner is as new.
    public mutating func restore(
        _ owner: ClusterID, header: [UInt8], buckets: [ReplicaCheckpoint.Bucket],
        log: some Sequence<[UInt8]>, age: Duration? = nil, at now: Instant,
        into effects: inout [ReplicationEffect]
    ) throws(RestoreFault) {
        guard var replica = replicas[owner] else { throw .unknownOwner(owner) }
        try replica.restore(header: header, buckets: buckets, log: log)
        // What this node wants may have changed since.
        _ = replica.setInterest(replica.interest)
        replicas[owner] = replica
        if let age {
            freshness[owner, default: Freshness()].learn(
                .origin, age: age, at: now, holding: replica.position)
        }
        let puts = replica.entries.map {
            LedgerReplacement(key: $0.key, former: nil, value: $0.value)
        }
        effects.append(
            .changed(
                LedgerUpdate(
                    owner: owner, position: replica.position, changes: puts, refused: [])))
        if replica.isFrozen { effects.append(.frozen(owner, at: replica.position)) }
    }
}

// MARK: Shared with receiving and publishing

extension Synchroniser {
    /// How far an owner's history may be told: what is published here waits until it is durable.
    func end(of replica: Replica) -> LedgerHead {
        guard let publication, publication.ledger.owner == replica.owner,
            publication.awaitsDurability
        else { return replica.head }
        return publication.released
    }

    func ownHead(_ replica: Replica) -> Message.OwnerHead {
        Message.OwnerHead(
            owner: replica.owner, head: end(of: replica), interest: replica.interest,
            held: replica.held.intersection(replica.interest))
    }

    /// Tells every peer where this node stands with one owner.
    mutating func announce(
        _ owner: ClusterID, except omitted: ReplicationLink? = nil,
        into effects: inout [ReplicationEffect]
    ) {
        guard let replica = replicas[owner] else { return }
        for (link, session) in sessions where link != omitted && session.scope.allows(owner) {
            tell(link, standing: replica, into: &effects)
        }
    }

    /// Tells a peer where this node stands with an owner.
    mutating func tell(
        _ link: ReplicationLink, standing replica: Replica,
        into effects: inout [ReplicationEffect]
    ) {
        let head = ownHead(replica)
        sessions[link]?.send(.heads([head]), into: &effects)
    }

    /// Sends one owner's news to every peer that lacks them.
    mutating func forward(_ replica: Replica, into effects: inout [ReplicationEffect]) {
        let end = end(of: replica).position
        for index in sessions.values.indices {
            while sessions.values[index].advance(replica, through: end, into: &effects) {}
            while sessions.values[index].advanceSnapshot(replica, through: end, into: &effects) {}
        }
    }

    /// Sends whatever a peer lacks as far as the window admits: changes first, one message an owner
    /// in turn, then snapshots.
    mutating func advance(_ link: ReplicationLink, into effects: inout [ReplicationEffect]) {
        guard let owners = sessions[link].map({ Array($0.owners) }) else { return }
        var isMoving = true
        while isMoving {
            isMoving = false
            for owner in owners {
                guard let replica = replicas[owner] else { continue }
                let end = end(of: replica).position
                if sessions[link]?.advance(replica, through: end, into: &effects) == true {
                    isMoving = true
                }
            }
            guard !isMoving else { continue }
            for owner in owners {
                guard let replica = replicas[owner] else { continue }
                let end = end(of: replica).position
                if sessions[link]?.advanceSnapshot(replica, through: end, into: &effects) == true {
                    isMoving = true
                }
            }
        }
    }

    /// Asks one peer after the other, of those that may have them, for shards that a widened
    /// interest lacks.
    mutating func fetchMissingShards(
        of owner: ClusterID, into effects: inout [ReplicationEffect]
    ) {
        guard let replica = replicas[owner], replica.lacksShards, transfers[owner] == nil
        else { return }
        let links = sessions.filter { $0.value.peerWants(replica.interest, of: owner) }.map(\.key)
        guard !links.isEmpty else { return }
        turn += 1
        sessions[links[turn % links.count]]?.send(.requestSnapshot(owner), into: &effects)
    }
}
