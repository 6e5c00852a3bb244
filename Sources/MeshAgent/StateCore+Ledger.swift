// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReplication
import MeshTransport

// MARK: Reports and the ledger

extension StateCore {
    mutating func take(
        _ report: Message.Report, from node: NodeID, at now: Instant,
        into effects: inout [StateEffect]
    ) {
        for put in report.puts where !put.isOwnWord(of: node.name, home: book.home) {
            effects.append(.note(.outOfTurn(from: node, "\(put.key)")))
        }
        let changed = book.apply(report, from: node.name)
        if book.isComplete(of: node.name) {
            applyOwn(
                view.setReport(of: node.name, book.values(of: node.name)), into: &effects)
        }
        guard isOpen else { return }
        publish(
            publisher?.apply(changed, of: node.name, from: book, at: now) ?? [], into: &effects)
        reserveIdentities(at: now, into: &effects)
        if report.closes { sweep(at: now, into: &effects) }
    }

    /// Runs `body` on the synchroniser and carries out what it wants.
    mutating func perform(
        _ effects: inout [StateEffect],
        _ body: (inout StateCore, inout [ReplicationEffect]) -> StateNote?
    ) {
        if carryOut(&effects, body) { settle(into: &effects) }
    }

    /// Like `perform`, but leaves settling to the caller, who goes through many ledgers.
    ///
    /// - Returns: whether rows changed.
    mutating func carryOut(
        _ effects: inout [StateEffect],
        _ body: (inout StateCore, inout [ReplicationEffect]) -> StateNote?
    ) -> Bool {
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
            case .append(let owner, let position, let message):
                effects.append(.append(owner, position, message: message))
            case .replaced(let owner): effects.append(.checkpoint(owner))
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
        return moved
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
        for change in update.changes { refusals[update.owner]?[change.key] = nil }
        for refused in update.refused {
            refuse(refused.key, of: update.owner, because: refused.reason, into: &effects)
        }
        if update.owner == configuration.cluster {
            // ``perform`` settles once every owner's rows are written: heads have moved already.
            writeOwn(view.applyLedger(update.changes))
        } else {
            importRecords(update.changes, of: update.owner, into: &effects)
        }
    }

    mutating func applyOwn(_ keys: Set<RecordKey>, into effects: inout [StateEffect]) {
        guard !keys.isEmpty else { return }
        writeOwn(keys)
        settle(into: &effects)
    }

    mutating func writeOwn(_ keys: Set<RecordKey>) {
        guard !keys.isEmpty else { return }
        tables.apply(
            Dictionary(keys.map { ($0, RecordChange(new: view.record(for: $0))) }) { first, _ in
                first
            },
            of: configuration.cluster)
    }
}
