// SPDX-License-Identifier: Apache-2.0

public import MeshModel
import OrderedCollections

extension Synchroniser {
    /// A link is open: tells the peer where this node stands. The peer does the same by itself.
    public mutating func linkUp(
        _ link: ReplicationLink, scope: OwnerScope = .all,
        into effects: inout [ReplicationEffect]
    ) {
        linkDown(link, into: &effects)
        sessions[link] = ReplicationSession(link: link, scope: scope)
        announceHeads(over: [link], into: &effects)
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

    /// Gives up on snapshots that don't grow and asks for them elsewhere; asks again for what was
    /// postponed; tells how old everything is. Once a second will do.
    ///
    /// - Parameter realTime: seconds since 1970, for the ends of delegations; 0 if unknown.
    public mutating func tick(
        at now: Instant, realTime: UInt64 = 0, into effects: inout [ReplicationEffect]
    ) {
        self.realTime = realTime
        for owner in transfers.keys where transfers[owner]?.isStalled(at: now) == true {
            let link = transfers.removeValue(forKey: owner)?.link
            announce(owner, except: sessions.count > 1 ? link : nil, into: &effects)
        }
        for owner in postponed.sorted() where rates[owner]?.admits(at: now) != false {
            postponed.remove(owner)
            announce(owner, into: &effects)
        }
        for owner in replicas.keys where expired[owner].map({ realTime < $0 }) == true {
            expired[owner] = nil
            announce(owner, into: &effects)
        }
        for owner in replicas.keys { fetchMissingShards(of: owner, into: &effects) }
        guard now >= nextAges else { return }
        nextAges = now + max(.seconds(1), .milliseconds(10) * replicas.count)
        for link in sessions.keys { announceAges(over: link, at: now, into: &effects) }
    }

    /// Whether this node has everything that the peer said it had. False until the peer has spoken.
    /// A peer can lie about that, so it is a reason to wait for a while, not for ever.
    public func isCaughtUp(with link: ReplicationLink) -> Bool {
        guard let session = sessions[link], session.hasAnnounced else { return false }
        return session.claims.allSatisfy { owner, claim in
            replicas[owner].map { $0.position >= claim } ?? true
        }
    }

    /// Tells peers again where this node stands with all owners; they go on from there. What is under
    /// way is sent twice then, so not more often than every few seconds.
    public mutating func announceHeads(
        over links: some Sequence<ReplicationLink>, into effects: inout [ReplicationEffect]
    ) {
        // Peers that hear of the same owners hear the same.
        var messages: [OwnerScope: [[UInt8]]] = [:]
        for link in links {
            guard let scope = sessions[link]?.scope else { continue }
            let told = messages[scope] ?? heads(in: scope)
            messages[scope] = told
            for message in told { sessions[link]?.send(encoded: message, into: &effects) }
        }
    }

    /// The same of some owners, to all peers.
    public mutating func announceHeads(
        of owners: some Sequence<ClusterID>, into effects: inout [ReplicationEffect]
    ) {
        for owner in owners { announce(owner, into: &effects) }
    }

    /// Encoded messages, one at least: it also says that this node has said all.
    private func heads(in scope: OwnerScope) -> [[UInt8]] {
        var rest = replicas.values.filter { scope.allows($0.owner) }.map { ownHead($0) }[...]
        var messages: [[UInt8]] = []
        repeat {
            let part = Array(rest.prefix(ReplicationLimit.headsPerMessage))
            messages.append(Message.heads(part).encoded)
            rest = rest.dropFirst(part.count)
        } while !rest.isEmpty
        return messages
    }

    private mutating func announceAges(
        over link: ReplicationLink, at now: Instant, into effects: inout [ReplicationEffect]
    ) {
        guard let session = sessions[link] else { return }
        let ages = session.owners.compactMap { owner -> Message.OwnerAge? in
            guard let replica = replicas[owner], replica.last != nil,
                let age = age(of: owner, at: now),
                // Rounded up: never younger than it is. Seven weeks are as good as unknown.
                let milliseconds = UInt32(exactly: (age.nanoseconds + 999_999) / 1_000_000)
            else { return nil }
            return Message.OwnerAge(
                owner: owner, position: end(of: replica).position,
                milliseconds: flaws.contains(.agesForgotten) ? 0 : milliseconds)
        }
        var rest = ages[...]
        while !rest.isEmpty {
            let part = Array(rest.prefix(ReplicationLimit.headsPerMessage))
            sessions[link]?.send(.ages(part), into: &effects)
            rest = rest.dropFirst(part.count)
        }
    }
}
