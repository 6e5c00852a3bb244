// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes
import MeshLease
import MeshModel
import MeshReachability
import MeshReplication

/// How far a publisher's revisions are safe.
struct Acknowledgement: Hashable, Sendable {
    /// Alone for so long, a publisher's own disk counts as enough.
    static let patience = Duration.seconds(1)

    /// On this node's disk.
    private(set) var durable = Position.origin
    /// On this node's disk, and held by a second node or by nobody else for ``patience``.
    private(set) var acknowledged = Position.origin
    /// Whether no second node holds what is acknowledged.
    private(set) var isAlone = false
    private var durableSince = Instant.zero

    mutating func becameDurable(_ position: Position, at now: Instant) {
        guard position > durable else { return }
        if acknowledged == durable { durableSince = now }
        durable = position
    }

    mutating func heldElsewhere(_ position: Position, at now: Instant) {
        let safe = min(durable, position)
        if safe > acknowledged {
            acknowledged = safe
            durableSince = now
            isAlone = false
        } else if acknowledged < durable, now - durableSince >= Self.patience {
            acknowledged = durable
            isAlone = true
        }
    }
}

// MARK: The lease

extension StateCore {
    /// The store answered, or told of a change.
    mutating func leaseAnswered(
        _ answer: LeaseAnswer, to id: UInt64, at now: Instant, into effects: inout [StateEffect]
    ) {
        withKeeper(at: now, into: &effects) {
            $0.keeper.receive(answer, to: id, at: now, using: &$0.generator)
        }
    }

    mutating func leaseObserved(
        _ state: LeaseState?, at now: Instant, into effects: inout [StateEffect]
    ) {
        withKeeper(at: now, into: &effects) {
            $0.keeper.observe(state, at: now, using: &$0.generator)
        }
    }

    /// Hands the lease over before this node stops.
    mutating func resign(at now: Instant, into effects: inout [StateEffect]) {
        withKeeper(at: now, into: &effects) {
            $0.keeper.release(at: now, using: &$0.generator)
        }
    }

    /// Tries for the lease again.
    mutating func reinstate(at now: Instant, into effects: inout [StateEffect]) {
        withKeeper(at: now, into: &effects) {
            $0.keeper.reinstate(at: now, using: &$0.generator)
        }
    }

    mutating func tickLease(at now: Instant, into effects: inout [StateEffect]) {
        withKeeper(at: now, into: &effects) {
            $0.keeper.step(at: now, using: &$0.generator)
        }
        // Overtaken by an epoch that this node had forgotten: it opens the next one on top.
        if isOpen, synchroniser.publishedEpoch == nil { close(into: &effects) }
        // Somebody else wrote in this epoch, too; only the next one is believed again.
        if frozen.contains(configuration.cluster) { close(into: &effects) }
        if mayOpen(at: now) { claimEpoch(at: now, into: &effects) }
        reserveIdentities(at: now, into: &effects)
    }

    /// Asks the lease store for identity numbers before they are needed.
    mutating func reserveIdentities(at now: Instant, into effects: inout [StateEffect]) {
        guard let tenure = candidacy?.keeper.tenure(at: now),
            let mark = publisher?.reservationNeeded(at: now),
            mark > max(tenure.identities, candidacy?.reserving ?? 0)
        else { return }
        withKeeper(at: now, into: &effects) { candidacy in
            let count = mark - max(tenure.identities, candidacy.reserving)
            guard
                let wanted = try? candidacy.keeper.reserve(
                    count, at: now, using: &candidacy.generator)
            else { return [] }
            candidacy.reserving = mark
            return wanted
        }
    }

    private mutating func withKeeper(
        at now: Instant, into effects: inout [StateEffect],
        _ body: (inout Candidacy) -> [LeaseEffect]
    ) {
        guard var candidacy else { return }
        let wanted = body(&candidacy)
        self.candidacy = candidacy
        for effect in wanted {
            switch effect {
            case .call(let call): effects.append(.lease(call))
            case .acquired(let tenure):
                effects.append(.note(.leaseAcquired(token: tenure.token)))
            case .opened(let epoch): open(epoch, at: now, into: &effects)
            case .reserved(let numbers):
                publish(
                    publisher?.reserved(upTo: numbers.upperBound, at: now) ?? [], into: &effects)
            case .lost(let loss):
                effects.append(.note(.leaseLost("\(loss)")))
                close(into: &effects)
            case .failed(let error): effects.append(.note(.leaseUnanswered("\(error)")))
            case .observed(let record):
                guard let holder = record?.holder, holder != .nobody else { continue }
                publisherNode = holder.node
            }
        }
    }

    // MARK: Epochs

    /// Whether the time has come to open an epoch: the lease is held, and whoever may know of later
    /// ones has been heard.
    private mutating func mayOpen(at now: Instant) -> Bool {
        guard let candidacy, candidacy.asked == nil, candidacy.keeper.tenure(at: now) != nil
        else { return false }
        guard !isOpen else { return delegationEnds }
        guard hasReadStore || !usesSharedStore else { return false }
        let hasPublished = candidacy.keeper.tenure(at: now).map { $0.epoch > 0 } ?? false
        if links.isEmpty, hasPublished, !isAlone, !restoredOwn,
            now - startedAt <= Self.lonelyOpeningWait
        {
            askingSince = now
            return false
        }
        let isInformed =
            !links.isEmpty
            && links.keys.allSatisfy { synchroniser.isCaughtUp(with: $0.replication) }
        let waited = now - askingSince
        return isAlone || waited > Self.openingWait || isInformed && waited > Self.openingWait / 3
    }

    private var delegationEnds: Bool {
        if delegationIsRefused { return true }
        // The former root will be believed no longer.
        if let candidacy, candidacy.openedUnder != candidacy.root() { return true }
        guard realTime > 0, let candidacy,
            let until = synchroniser.replica(of: configuration.cluster)?.delegatedUntil
        else { return false }
        // A CA near its own end can't delegate for longer: another epoch would gain nothing.
        let next = min(realTime + Candidacy.delegationSeconds, candidacy.authorityEnds())
        return realTime + Candidacy.delegationSeconds / 3 > until && next > until
    }

    private mutating func claimEpoch(at now: Instant, into effects: inout [StateEffect]) {
        guard let tenure = candidacy?.keeper.tenure(at: now) else { return }
        if !isOpen { candidacy?.mark = tenure.identities }
        let known = synchroniser.head(of: configuration.cluster)?.position.epoch ?? 0
        let epoch = max(known, tenure.epoch) + 1
        withKeeper(at: now, into: &effects) { candidacy in
            guard
                let wanted = try? candidacy.keeper.open(
                    epoch: epoch, at: now, using: &candidacy.generator)
            else { return [] }
            candidacy.asked = epoch
            return wanted
        }
        guard !isOpen else { return }
        // The first block comes with the epoch: without one every new endpoint is published twice.
        withKeeper(at: now, into: &effects) { candidacy in
            let first = tenure.identities == 0 ? Identity.firstAllocated : 0
            let count = first + IdentityAllocator.blockSize
            guard
                let wanted = try? candidacy.keeper.reserve(
                    count, at: now, using: &candidacy.generator)
            else { return [] }
            candidacy.reserving = tenure.identities + count
            return wanted
        }
    }

    /// The epoch is this node's.
    private mutating func open(
        _ epoch: UInt32, at now: Instant, into effects: inout [StateEffect]
    ) {
        candidacy?.asked = nil
        guard let candidacy, let tenure = candidacy.keeper.tenure(at: now) else { return }
        let ledger: Ledger
        do {
            ledger = try candidacy.delegate(epoch)
            self.candidacy?.fault = nil
            self.candidacy?.openedUnder = candidacy.root()
        } catch {
            self.candidacy?.fault = "\(error)"
            effects.append(.note(.delegationFailed("\(error)")))
            return
        }
        flush(into: &effects)
        synchroniser.open(ledger, awaitsDurability: true)
        delegationIsRefused = false
        publisherNode = configuration.node.name
        effects.append(.note(.opened(epoch: epoch)))
        if !isOpen {
            isOpen = true
            publisher = Publisher(
                cluster: configuration.cluster, name: configuration.clusterName,
                labels: configuration.identityLabels,
                mark: candidacy.mark,
                ledger: synchroniser.entries(of: configuration.cluster), at: now)
            if tenure.identities > candidacy.mark {
                publish(
                    publisher?.reserved(upTo: tenure.identities, at: now) ?? [], into: &effects)
            }
            reserveIdentities(at: now, into: &effects)
            for (node, records) in book.reports.sorted(by: { $0.key < $1.key }) {
                publish(
                    publisher?.apply(records.keys, of: node, from: book, at: now) ?? [],
                    into: &effects)
            }
            publish(
                publisher?.apply(objects: (view.objects ?? [:]).mapValues { $0 }) ?? [],
                into: &effects)
        }
        sweep(at: now, into: &effects)
        // An epoch begins with a batch even if nothing changes.
        commit([], into: &effects)
        sayThatPublishing(into: &effects)
    }

    func sayThatPublishing(into effects: inout [StateEffect]) {
        guard isOpen, let position = synchroniser.releasedPosition else { return }
        tellOwn(.publisher(position), into: &effects)
    }

    mutating func close(into effects: inout [StateEffect]) {
        candidacy?.asked = nil
        candidacy?.reserving = 0
        guard isOpen else { return }
        isOpen = false
        publisher = nil
        relayKeeper.resign()
        gathered = []
        perform(&effects) { core, replication in core.synchroniser.close(into: &replication) }
    }

    /// A node of the own cluster says that it publishes.
    mutating func heardPublisher(
        _ node: String, at position: Position, _ now: Instant
    ) {
        let known = synchroniser.head(of: configuration.cluster)?.position.epoch ?? 0
        guard position.epoch >= known, !isOpen else { return }
        publisherNode = node
        heardPublisher(at: now)
        synchroniser.confirm(position, of: configuration.cluster, at: now)
    }
}

// MARK: Changes

extension StateCore {
    /// Commits changes, or gathers them while the disk is busy with those before.
    mutating func publish(_ changes: [LedgerChange], into effects: inout [StateEffect]) {
        gathered += changes
        if !synchroniser.hasUnreleased { flush(into: &effects) }
    }

    mutating func flush(into effects: inout [StateEffect]) {
        guard !gathered.isEmpty else { return }
        let changes = gathered
        gathered = []
        commit(changes, into: &effects)
    }

    private mutating func commit(
        _ changes: [LedgerChange], into effects: inout [StateEffect]
    ) {
        perform(&effects) { core, replication in
            do throws(CommitFault) {
                try core.synchroniser.publish(changes, into: &replication)
                return nil
            } catch {
                return .publishingFailed(error)
            }
        }
    }

    /// Own revisions up to `position` are on this node's disk.
    mutating func durable(
        through position: Position, at now: Instant, into effects: inout [StateEffect]
    ) {
        perform(&effects) { core, replication in
            core.synchroniser.release(through: position, into: &replication)
        }
        acknowledgement.becameDurable(position, at: now)
        if usesSharedStore { acknowledgement.heldElsewhere(position, at: now) }
        if !synchroniser.hasUnreleased { flush(into: &effects) }
    }

    mutating func sweep(at now: Instant, into effects: inout [StateEffect]) {
        // Who isn't known to belong would lose what it had.
        guard knowsMembers else { return }
        var reporters = book.complete
        var members = Set(members.map(\.name))
        if configuration.kubernetes != nil {
            members.insert(ReportMerger.apiServer)
            if view.objects != nil { reporters.insert(ReportMerger.apiServer) }
        }
        publish(
            publisher?.sweep(reporters: reporters, members: members, at: now) ?? [],
            into: &effects)
    }
}
