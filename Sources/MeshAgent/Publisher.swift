// SPDX-License-Identifier: Apache-2.0

import DequeModule
import MeshKubernetes
import MeshModel
import MeshReplication

/// Turns the reports of a cluster's nodes into changes of its ledger: made when a node becomes the
/// publisher, dropped when it no longer is.
///
/// A change of one record costs as much as that record, whatever the cluster holds.
struct Publisher: Sendable {
    /// How long an identity that no endpoint has stays in the ledger: a lone pod that is replaced is
    /// given 30 s to end by default, and its successor some more to start; meanwhile nobody's
    /// policies need to be compiled again. The number's quarantine begins afterwards.
    static let idleGrace = Duration.seconds(60)

    /// Of an identity that the ledger holds.
    private struct Use {
        var endpoints = 0
        /// Nil while it has endpoints.
        var idleSince: Instant?
    }

    private let clusterName: ClusterName
    private let selection: IdentityLabels
    private var merger = ReportMerger()
    private var allocator: IdentityAllocator
    private var uses: [Identity: Use] = [:]
    /// In order of time. One that found users again stands here still, with another time.
    private var idle: Deque<(identity: Identity, since: Instant)> = []
    /// Of the ledger's endpoints, those included that their nodes haven't reported yet.
    private var identityOf: [RecordKey: Identity] = [:]
    private var waiting = WaitingEndpoints()
    private var inherited: Inheritance

    /// - Parameters:
    ///   - mark: what the lease store holds; 0 if nothing.
    ///   - ledger: the cluster's, as it stands: what it says stays until somebody knows better.
    ///   - now: on a clock that doesn't stop while the host sleeps, as all later times.
    init(
        cluster: ClusterID, name: ClusterName, labels: IdentityLabels = .standard, mark: UInt32,
        ledger: some Sequence<LedgerEntry>, at now: Instant
    ) {
        clusterName = name
        selection = labels
        allocator = IdentityAllocator(cluster: cluster, mark: mark, startedAt: now)
        var identities: [IdentityRecord] = []
        var users: [RecordKey: Identity] = [:]
        inherited = Inheritance(ledger, identities: &identities, users: &users)
        for record in identities {
            if allocator.adopt(record) {
                uses[record.identity] = Use()
            } else {
                inherited.addOther(record.key)
            }
        }
        for (key, identity) in users where uses[identity] != nil {
            uses[identity]?.endpoints += 1
            identityOf[key] = identity
        }
        for record in identities where uses[record.identity]?.endpoints == 0 {
            rest(record.identity, at: now)
        }
    }

    /// Sentences for an operator.
    var conflicts: [String] {
        merger.conflicts.map(\.description) + (shortageDescription.map { [$0] } ?? [])
    }

    /// Endpoints that are *initializing* in the ledger, because there is no number for their labels.
    var waitingEndpoints: Int { waiting.count }

    /// Takes in what `node` says of `keys`.
    ///
    /// - Parameter node: who reported; a node speaks for its own endpoints and its own record only.
    /// - Returns: what the ledger has to change, in the order of the keys.
    mutating func apply(
        _ keys: some Sequence<RecordKey>, of node: String, from book: ReportBook, at now: Instant
    ) -> [LedgerChange] {
        keys.sorted().flatMap { key -> [LedgerChange] in
            let put = book.reports[node]?[key]
            if put != nil { inherited.confirm(key) }
            guard
                let change = merger.update(
                    node: node, key: key, value: put?.value, revision: put?.since ?? 0)
            else { return [] }
            switch key.kind {
            case .endpoint: return endpoint(key, change.value, at: now)
            // Members are the API server's to name.
            case .identity, .relays, .receipt, .member: return []
            // It is only ever replaced: silence lifts no denial.
            case .deny: return change.value.map { [.put(key, $0)] } ?? []
            case .namespace, .node, .service, .slice, .policy, .statement, .peer, .authority:
                return [change.value.map { .put(key, $0) } ?? .delete(key)]
            }
        }
    }

    /// Takes in what the API server says: it comes before whatever a node's folder says of the same
    /// object.
    ///
    /// - Parameter objects: nil where an object is gone.
    mutating func apply(objects: [RecordKey: [UInt8]?]) -> [LedgerChange] {
        objects.keys.sorted().flatMap { key -> [LedgerChange] in
            let value = objects[key] ?? nil
            if value != nil { inherited.confirm(key) }
            guard
                let change = merger.update(
                    node: ReportMerger.apiServer, key: key, value: value, revision: 0)
            else { return [] }
            return [change.value.map { .put(key, $0) } ?? .delete(key)]
        }
    }

    /// Lets go of identities that are idle for too long, and serves endpoints that wait for a number.
    /// Once a second will do.
    mutating func tick(at now: Instant) -> [LedgerChange] {
        var changes: [LedgerChange] = []
        while let first = idle.first, now - first.since >= Self.idleGrace {
            idle.removeFirst()
            guard uses[first.identity]?.idleSince == first.since else { continue }
            uses[first.identity] = nil
            allocator.release(first.identity, at: now)
            changes.append(.delete(RecordKey(of: first.identity)))
        }
        return changes + serveWaiting(at: now)
    }
}

// MARK: Identities

extension Publisher {
    /// The mark that the lease store shall hold. Ask after every other call; nothing is urgent but
    /// the first one, without which every endpoint with new labels is *initializing*.
    mutating func reservationNeeded(at now: Instant) -> UInt32? {
        allocator.reservationNeeded(at: now)
    }

    /// The lease store holds `mark` durably, and this publisher held the lease when it was written.
    mutating func reserved(upTo mark: UInt32, at now: Instant) -> [LedgerChange] {
        allocator.reserved(upTo: mark)
        return serveWaiting(at: now)
    }

    /// An endpoint goes into the ledger with a number in place of its labels.
    private mutating func endpoint(
        _ key: RecordKey, _ value: [UInt8]?, at now: Instant
    ) -> [LedgerChange] {
        let former = identityOf.removeValue(forKey: key)
        defer { if let former { leave(former, at: now) } }
        waiting.remove(key)
        // Undecodable reads as gone: a node never sends what it can't read itself.
        guard let value, let record = try? EndpointRecord(encoded: value)
        else { return [.delete(key)] }
        let labels = selection.labels(of: record, cluster: clusterName)
        guard
            let identity = allocator.identity(
                for: labels, claimed: record.identity.rawValue == 0 ? nil : record.identity,
                at: now)
        else {
            waiting.add(record, with: labels)
            return [.put(record.published(as: Identity(rawValue: 0)))]
        }
        return serve([record] + waiting.take(labels), as: identity, labels)
    }

    private mutating func serveWaiting(at now: Instant) -> [LedgerChange] {
        var changes: [LedgerChange] = []
        while let labels = waiting.first(),
            let identity = allocator.identity(for: labels, at: now)
        {
            changes += serve(waiting.take(labels), as: identity, labels)
        }
        return changes
    }

    private mutating func serve(
        _ records: [EndpointRecord], as identity: Identity, _ labels: Labels
    ) -> [LedgerChange] {
        var changes: [LedgerChange] = []
        if uses[identity] == nil {
            changes.append(.put(IdentityRecord(identity: identity, labels: labels)))
        }
        uses[identity, default: Use()].endpoints += records.count
        uses[identity]?.idleSince = nil
        for record in records {
            identityOf[record.key] = identity
            changes.append(.put(record.published(as: identity)))
        }
        return changes
    }

    private mutating func leave(_ identity: Identity, at now: Instant) {
        uses[identity]?.endpoints -= 1
        if uses[identity]?.endpoints == 0 { rest(identity, at: now) }
    }

    private mutating func rest(_ identity: Identity, at now: Instant) {
        uses[identity]?.idleSince = now
        idle.append((identity, now))
    }

    private var shortageDescription: String? {
        guard waiting.count > 0, let shortage = allocator.shortage else { return nil }
        let who =
            "\(waiting.count) endpoint(s) with \(waiting.labelSets) new set(s) of labels have no "
            + "identity yet and are treated as initializing: "
        switch shortage {
        case .unreserved:
            return who + "the lease store hasn't reserved more numbers; see whether it answers"
        case .exhausted:
            return who
                + "all \(Identity.localMaximum - Identity.firstAllocated + 1) numbers are in "
                + "use or were less than an hour ago; ignore labels that differ between replicas "
                + "(identityLabels.exclude)"
        }
    }
}

// MARK: After a restart

extension Publisher {
    /// What the ledger still holds from before and nobody says any more. An endpoint stays until its
    /// node has reported; a member until the API server's are known; everything else until all members
    /// have reported.
    mutating func sweep(
        reporters: Set<String>, members: Set<String>, at now: Instant
    ) -> [LedgerChange] {
        var gone = inherited.endpointsGone { reporters.contains($0) || !members.contains($0) }
        for key in gone.sorted() {
            if let former = identityOf.removeValue(forKey: key) { leave(former, at: now) }
        }
        if reporters.contains(ReportMerger.apiServer) { gone += inherited.membersGone() }
        if reporters.isSuperset(of: members) { gone += othersGone(at: now) }
        return gone.sorted().map { .delete($0) }
    }

    private mutating func othersGone(at now: Instant) -> [RecordKey] {
        let gone = inherited.othersGone()
        for key in gone where key.kind == .identity {
            // A record that contended with another one for its labels or its number.
            let identity = UInt32(key.name).map(Identity.init)
            if let identity, uses[identity] == nil { allocator.release(identity, at: now) }
        }
        return gone
    }
}

extension RecordKey {
    fileprivate init(of identity: Identity) {
        self.init(kind: .identity, name: String(identity.rawValue))
    }
}

extension EndpointRecord {
    fileprivate func published(as identity: Identity) -> EndpointRecord {
        EndpointRecord(
            object: object, node: node, addresses: addresses, identity: identity, labels: [:])
    }
}
