// SPDX-License-Identifier: Apache-2.0

public import Crypto
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
    private var ledger: Ledger?
    private let window: LogWindowLimit
    private let filter: RecordFilter

    /// - Parameters:
    ///   - window: of each owner.
    ///   - filter: asked for every record of other owners than the one published here.
    public init(
        window: LogWindowLimit = .standard, filter: @escaping RecordFilter = { _, _ in .accept }
    ) {
        self.window = window
        self.filter = filter
    }
}

// MARK: Owners

extension Synchroniser {
    /// Starts to hold an owner's ledger, or replaces its key; says so to every peer.
    public mutating func add(
        owner: ClusterID, key: Curve25519.Signing.PublicKey,
        into effects: inout [ReplicationEffect]
    ) {
        if let known = replicas[owner] {
            guard known.key.rawRepresentation != key.rawRepresentation else { return }
            remove(owner: owner, into: &effects)
        }
        replicas[owner] = Replica(owner: owner, key: key, window: window)
        announce(owner, into: &effects)
    }

    /// Forgets an owner. Its view becomes empty; what peers go on sending is rejected.
    public mutating func remove(
        owner: ClusterID, into effects: inout [ReplicationEffect]
    ) {
        guard let replica = replicas.removeValue(forKey: owner) else { return }
        transfers.removeValue(forKey: owner)
        if ledger?.owner == owner { ledger = nil }
        let deletes = replica.entries.map(\.key)
        guard !deletes.isEmpty else { return }
        effects.append(
            .changed(
                LedgerUpdate(
                    owner: owner, position: replica.position, puts: [], deletes: deletes,
                    refused: [])))
    }

    /// In the order in which they were added.
    public var owners: [ClusterID] { Array(replicas.keys) }

    public func replica(of owner: ClusterID) -> Replica? { replicas[owner] }

    public func head(of owner: ClusterID) -> LedgerHead? { replicas[owner]?.head }

    /// The records of an owner that the filter accepts; what the sum of all updates amounts to.
    public func view(of owner: ClusterID) -> [LedgerEntry] {
        guard let replica = replicas[owner] else { return [] }
        guard ledger?.owner != owner else { return replica.entries }
        return replica.entries.filter { filter(owner, $0) == .accept }
    }

    /// A hash over every owner's position, 16 bytes: nodes with equal ones hold the same.
    /// Heartbeats carry it; on a difference that lasts, ``announceHeads(over:into:)``.
    public var rollup: [UInt8] {
        var writer = ByteWriter()
        for (owner, replica) in replicas.sorted(by: { $0.key < $1.key })
        where replica.last != nil {
            writer.write(owner.rawValue)
            writer.write(replica.position)
            writer.write(replica.head.hash)
        }
        return Array(LedgerDigest(of: writer.bytes).bytes.prefix(16))
    }
}

// MARK: Publishing

extension Synchroniser {
    /// Makes this node the publisher of an owner that was added with the ledger's key.
    public mutating func open(_ ledger: Ledger) { self.ledger = ledger }

    /// Commits changes to the ledger that is open and sends them on. The view isn't filtered.
    ///
    /// - Throws: ``CommitFault``, see ``Ledger/commit(_:resourceVersions:to:)``.
    public mutating func publish(
        _ changes: some Sequence<LedgerChange>, resourceVersions: [UInt8] = [],
        into effects: inout [ReplicationEffect]
    ) throws(CommitFault) {
        guard var ledger, let index = replicas.index(forKey: ledger.owner)
        else { throw .notPublisher }
        defer { self.ledger = ledger }
        let wasFrozen = replicas.values[index].isFrozen
        let commit = try ledger.commit(
            changes, resourceVersions: resourceVersions, to: &replicas.values[index])
        let replica = replicas.values[index]
        if wasFrozen, !replica.isFrozen {
            effects.append(.thawed(replica.owner, at: replica.position))
        }
        if !commit.batches.isEmpty || !commit.refused.isEmpty {
            effects.append(.changed(update(replica, commit.changes, refused: commit.refused)))
        }
        transfers.removeValue(forKey: replica.owner)
        forward(replica, into: &effects)
    }
}

// MARK: Links

extension Synchroniser {
    /// A link is open: tells the peer where this node stands. The peer does the same by itself.
    public mutating func linkUp(
        _ link: ReplicationLink, scope: OwnerScope = .all,
        into effects: inout [ReplicationEffect]
    ) {
        linkDown(link, into: &effects)
        sessions[link] = ReplicationSession(link: link, scope: scope)
        announceHeads(over: link, into: &effects)
    }

    /// A link is gone with everything under way on it.
    public mutating func linkDown(
        _ link: ReplicationLink, into effects: inout [ReplicationEffect]
    ) {
        guard sessions.removeValue(forKey: link) != nil else { return }
        for owner in transfers.keys where transfers[owner]?.link == link {
            transfers.removeValue(forKey: owner)
            announce(owner, into: &effects)
        }
    }

    /// Gives up on snapshots that don't grow and asks for them elsewhere. Once a second will do.
    public mutating func tick(at now: Instant, into effects: inout [ReplicationEffect]) {
        for owner in transfers.keys where transfers[owner]?.isStalled(at: now) == true {
            let link = transfers.removeValue(forKey: owner)?.link
            announce(owner, except: sessions.count > 1 ? link : nil, into: &effects)
        }
    }

    /// Whether this node has everything that the peer said it had. False until the peer has spoken.
    /// A peer can lie about that, so it is a reason to wait for a while, not for ever.
    public func isCaughtUp(with link: ReplicationLink) -> Bool {
        guard let session = sessions[link], session.hasAnnounced else { return false }
        return session.claims.allSatisfy { owner, claim in
            replicas[owner].map { $0.position >= claim } ?? true
        }
    }

    /// Tells the peer again where this node stands; it goes on from there. What is under way is
    /// sent twice then, so not more often than every few seconds.
    public mutating func announceHeads(
        over link: ReplicationLink, into effects: inout [ReplicationEffect]
    ) {
        guard let scope = sessions[link]?.scope else { return }
        let heads = replicas.values.filter { scope.allows($0.owner) }.map(Message.OwnerHead.init)
        var rest = heads[...]
        repeat {
            let part = Array(rest.prefix(ReplicationLimit.headsPerMessage))
            sessions[link]?.send(.heads(part), into: &effects)
            rest = rest.dropFirst(part.count)
        } while !rest.isEmpty
    }
}

// MARK: Shared with receiving

extension Synchroniser {
    /// Tells peers where this node stands with one owner.
    mutating func announce(
        _ owner: ClusterID, except omitted: ReplicationLink? = nil,
        into effects: inout [ReplicationEffect]
    ) {
        guard let replica = replicas[owner] else { return }
        for (link, session) in sessions where link != omitted && session.scope.allows(owner) {
            sessions[link]?.send(Message(announcing: replica), into: &effects)
        }
    }

    /// Sends one owner's news to every peer that lacks them.
    mutating func forward(_ replica: Replica, into effects: inout [ReplicationEffect]) {
        for index in sessions.values.indices {
            while sessions.values[index].advance(replica, into: &effects) {}
        }
    }

    /// Sends whatever a peer lacks, one message an owner in turn, as far as the window admits.
    mutating func advance(_ link: ReplicationLink, into effects: inout [ReplicationEffect]) {
        guard let owners = sessions[link].map({ Array($0.owners) }) else { return }
        var isMoving = true
        while isMoving {
            isMoving = false
            for owner in owners {
                guard let replica = replicas[owner] else { continue }
                if sessions[link]?.advance(replica, into: &effects) == true { isMoving = true }
            }
        }
    }

    func update(
        _ replica: Replica, _ changes: [LedgerChange], refused: [RefusedRecord] = []
    ) -> LedgerUpdate {
        var puts: [LedgerEntry] = []
        var deletes: [String] = []
        var refused = refused
        for change in changes {
            guard let value = change.value else {
                deletes.append(change.key)
                continue
            }
            let entry = LedgerEntry(key: change.key, value: value)
            switch ledger?.owner == replica.owner ? .accept : filter(replica.owner, entry) {
            case .accept: puts.append(entry)
            case .refuse(let reason):
                deletes.append(change.key)
                refused.append(RefusedRecord(key: change.key, reason: reason))
            }
        }
        return LedgerUpdate(
            owner: replica.owner, position: replica.position, puts: puts, deletes: deletes,
            refused: refused)
    }
}

extension Message {
    init(announcing replica: Replica) { self = .heads([OwnerHead(replica)]) }
}

extension Message.OwnerHead {
    init(_ replica: Replica) {
        self.init(owner: replica.owner, head: replica.head)
    }
}
