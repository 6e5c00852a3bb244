// SPDX-License-Identifier: Apache-2.0

import Crypto
import MeshModel
import MeshReplication
import MeshTransport

// MARK: Reports and the ledger

extension StateCore {
    mutating func take(
        _ report: Message.Report, from node: NodeID, at now: Instant,
        into effects: inout [StateEffect]
    ) {
        for put in report.puts where !put.isOwnWord(of: node.name) {
            effects.append(.note(.outOfTurn(from: node, "\(put.key)")))
        }
        let changed = book.apply(report, from: node.name)
        if book.isComplete(of: node.name) {
            applyOwn(
                view.setReport(of: node.name, book.values(of: node.name)), into: &effects)
        }
        guard isOpen else { return }
        publish(publisher?.apply(changed, of: node.name, from: book) ?? [], into: &effects)
        if report.closes { sweep(into: &effects) }
    }

    mutating func publish(_ changes: [LedgerChange], into effects: inout [StateEffect]) {
        guard !changes.isEmpty else { return }
        perform(&effects) { core, replication in
            do throws(CommitFault) {
                try core.synchroniser.publish(changes, into: &replication)
                return nil
            } catch {
                return .publishingFailed(error)
            }
        }
    }

    mutating func sweep(into effects: inout [StateEffect]) {
        let stale = publisher?.stale(
            in: synchroniser.view(of: configuration.cluster), reporters: book.complete,
            members: Set(configuration.members.map(\.name)))
        publish(stale ?? [], into: &effects)
    }

    mutating func open(at now: Instant, into effects: inout [StateEffect]) {
        guard let ledgerKey, !isOpen else { return }
        let isAlone = configuration.members.count == 1 && peers.isEmpty
        if links.isEmpty, storedEpoch > 0, !isAlone, now - startedAt <= Self.lonelyOpeningWait {
            askingSince = now
            return
        }
        let isInformed =
            !links.isEmpty
            && links.keys.allSatisfy { synchroniser.isCaughtUp(with: $0.replication) }
        let waited = now - askingSince
        guard isAlone || waited > Self.openingWait || isInformed && waited > Self.openingWait / 3
        else { return }
        let known = synchroniser.head(of: configuration.cluster)?.position.epoch ?? 0
        let epoch = max(known, storedEpoch) + 1
        storedEpoch = epoch
        effects.append(.persistEpoch(epoch))
        effects.append(.note(.opened(epoch: epoch)))
        synchroniser.open(Ledger(owner: configuration.cluster, epoch: epoch, key: ledgerKey))
        isOpen = true
        publisher?.adopt(synchroniser.view(of: configuration.cluster))
        for (node, records) in book.reports.sorted(by: { $0.key < $1.key }) {
            publish(
                publisher?.apply(records.keys, of: node, from: book) ?? [], into: &effects)
        }
        sweep(into: &effects)
    }

    /// Runs `body` on the synchroniser and carries out what it wants.
    mutating func perform(
        _ effects: inout [StateEffect],
        _ body: (inout StateCore, inout [ReplicationEffect]) -> StateNote?
    ) {
        var replication: [ReplicationEffect] = []
        if let note = body(&self, &replication) { effects.append(.note(note)) }
        var moved = false
        for effect in replication {
            switch effect {
            case .send(let bytes, let link):
                effects.append(
                    .send(Message.replication(bytes).encoded, over: LinkID(rawValue: link.rawValue))
                )
            case .changed(let update):
                moved = true
                apply(update, into: &effects)
            case .rejected(let reason, let link):
                effects.append(
                    .note(.rejected(reason, from: links[LinkID(rawValue: link.rawValue)])))
            case .frozen(let owner, let position):
                frozen.insert(owner)
                effects.append(.note(.frozen(owner, position)))
            case .thawed(let owner, let position):
                frozen.remove(owner)
                effects.append(.note(.thawed(owner, position)))
            }
        }
        if moved { settle(into: &effects) }
    }

    mutating func perform(
        _ effects: inout [StateEffect],
        _ body: (inout StateCore, inout [ReplicationEffect]) -> Void
    ) {
        perform(&effects) { core, replication -> StateNote? in
            body(&core, &replication)
            return nil
        }
    }

    mutating func apply(_ update: LedgerUpdate, into effects: inout [StateEffect]) {
        effects.append(.health(.moved(update.owner, update.position)))
        for key in update.puts.map(\.key) + update.deletes { refusals[update.owner]?[key] = nil }
        for refused in update.refused {
            refusals[update.owner, default: [:]][refused.key] = refused.reason
            effects.append(.note(.refused(update.owner, refused.reason)))
        }
        var changes: RecordTables.Changes = [:]
        for put in update.puts {
            if let key = RecordKey(put.key) { changes[key] = .some(put.value) }
        }
        for deleted in update.deletes {
            if let key = RecordKey(deleted) { changes[key] = .some(nil) }
        }
        guard update.owner == configuration.cluster else {
            tables.apply(changes, of: update.owner)
            return
        }
        // ``perform`` settles once every owner's rows are written: heads have moved already.
        writeOwn(
            view.applyLedger(
                puts: changes.compactMapValues { $0 },
                deletes: changes.filter { $0.value == nil }.map(\.key)))
    }

    mutating func applyOwn(_ keys: Set<RecordKey>, into effects: inout [StateEffect]) {
        guard !keys.isEmpty else { return }
        writeOwn(keys)
        settle(into: &effects)
    }

    mutating func writeOwn(_ keys: Set<RecordKey>) {
        guard !keys.isEmpty else { return }
        tables.apply(
            Dictionary(keys.map { ($0, view.record(for: $0)) }) { first, _ in first },
            of: configuration.cluster)
    }
}
