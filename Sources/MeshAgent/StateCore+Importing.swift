// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReplication

// MARK: Other clusters' records

extension StateCore {
    /// Lets in what the exporter's charter allows; what it refuses reads as gone, whatever it said
    /// before.
    mutating func importRecords(
        _ changes: [LedgerReplacement], of owner: ClusterID, into effects: inout [StateEffect]
    ) {
        var admitted: RecordTables.Changes = [:]
        // First what goes: it makes room for what comes.
        for change in changes where change.value == nil { gate.removed(change.key, of: owner) }
        for change in changes {
            var value = change.value
            if let proposed = value {
                let entry = LedgerEntry(key: change.key, value: proposed)
                if case .refuse(let reason) = gate.judge(entry, of: owner) {
                    refuse(change.key, of: owner, because: reason, into: &effects)
                    value = nil
                }
            }
            guard let key = RecordKey(change.key) else { continue }
            // What was refused before claimed no address: nothing comes of naming it.
            admitted[key] = RecordChange(old: change.former, new: value)
        }
        tables.apply(admitted, of: owner)
    }

    /// Lets in records that a quota kept out, as far as there is room now.
    mutating func readmit(into effects: inout [StateEffect]) {
        for peer in peers {
            var changes: [LedgerReplacement] = []
            if gate.mustRescan(of: peer.id) {
                changes = synchroniser.entries(of: peer.id)
                    .filter { !gate.isAccepted($0.key, of: peer.id) }
                    .sorted { $0.key < $1.key }
                    .map { LedgerReplacement(key: $0.key, former: nil, value: $0.value) }
            } else if let replica = synchroniser.replica(of: peer.id) {
                changes = gate.readmissible(of: peer.id).map {
                    LedgerReplacement(
                        key: $0, former: nil, value: RecordKey($0).flatMap(replica.value))
                }
            }
            guard !changes.isEmpty else { continue }
            for change in changes { refusals[peer.id]?[change.key] = nil }
            importRecords(changes, of: peer.id, into: &effects)
            settle(into: &effects)
        }
    }

    mutating func refuse(
        _ key: String, of owner: ClusterID, because reason: String,
        into effects: inout [StateEffect]
    ) {
        // An exporter far over its quota must not fill this node's memory with sentences.
        guard refusals[owner, default: [:]].count < Self.refusalsShown else { return }
        refusals[owner, default: [:]][key] = reason
        effects.append(.note(.refused(owner, reason)))
    }

    /// Wants of other clusters' services only those of namespaces where this cluster has some. What
    /// isn't needed any more goes once everybody's state is here, so that a restart drops nothing.
    mutating func updateInterest(into effects: inout [StateEffect]) {
        guard configuration.imports == .needed else { return }
        var wanted = Set(tables.affinities.keys.map(\.namespace)).reduce(
            into: ShardSet([.base, .endpoints])
        ) { $0.formUnion(.services(ofNamespace: $1)) }
        if !isComplete { wanted.formUnion(interest) }
        guard wanted != interest else { return }
        interest = wanted
        perform(&effects) { core, replication -> Void in
            for peer in core.peers {
                core.synchroniser.setInterest(wanted, in: peer.id, into: &replication)
            }
        }
    }

    // MARK: From the journal

    /// Takes up the owners' replicas as this node's disk holds them, before there are links.
    ///
    /// - Parameter ages: how old each was when this process began, as far as known.
    mutating func restore(
        _ ledgers: some Sequence<StoredLedger>, ages: [ClusterID: Duration] = [:],
        at now: Instant, into effects: inout [StateEffect]
    ) {
        var moved = false
        for stored in ledgers {
            let changes = carryOut(&effects) { core, replication in
                do throws(RestoreFault) {
                    try core.synchroniser.restore(
                        stored.owner, header: stored.header, buckets: stored.buckets,
                        log: stored.messages, age: ages[stored.owner], at: now,
                        into: &replication)
                } catch {
                    return .unrestored(stored.owner, error)
                }
                guard let replica = core.synchroniser.replica(of: stored.owner) else { return nil }
                if stored.owner == core.configuration.cluster { core.restoredOwn = true }
                return .restored(stored.owner, replica.position, records: replica.count)
            }
            moved = moved || changes
        }
        if moved { settle(into: &effects) }
    }
}

/// An owner's replica as the journal hands it back.
struct StoredLedger: Sendable {
    let owner: ClusterID
    let header: [UInt8]
    let buckets: [ReplicaCheckpoint.Bucket]
    /// Of the batches behind the checkpoint, in order.
    let messages: [[UInt8]]
}
