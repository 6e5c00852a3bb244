// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshSimulation

@testable import MeshReplication

// MARK: Writing

extension Mesh {
    mutating func append(
        _ owner: ClusterID, _ position: Position, _ message: [UInt8], at node: Int
    ) {
        if plan.flaws.contains(.journalSkipsBatches), position.revision % 3 == 0 { return }
        write(.append(owner, position, message), of: owner, position, at: node)
    }

    /// Writes a checkpoint; a whole one if something of the owner was refused before.
    mutating func save(_ owner: ClusterID, at node: Int) {
        let isWhole = nodes[node].unsaved.contains(owner)
        guard
            var checkpoint = nodes[node].synchroniser.takeCheckpoint(of: owner, whole: isWhole)
        else { return }
        nodes[node].unsaved.remove(owner)
        if plan.flaws.contains(.checkpointLosesBucket) {
            checkpoint = ReplicaCheckpoint(
                owner: owner, position: checkpoint.position, header: checkpoint.header,
                buckets: checkpoint.buckets.dropLast(), isWhole: checkpoint.isWhole)
        }
        write(.checkpoint(checkpoint), of: owner, checkpoint.position, at: node)
    }

    /// Once a second.
    mutating func keepJournal(at node: Int) {
        let isFull = nodes[node].ledgerDisk.isFull
        for owner in owners {
            let isDue =
                nodes[node].unsaved.contains(owner) && !isFull
                || nodes[node].synchroniser.isCheckpointDue(of: owner)
            if isDue || simulation.generator.chance(0.2) { save(owner, at: node) }
            // What isn't written down has no age either.
            guard !nodes[node].unsaved.contains(owner),
                let age = nodes[node].synchroniser.age(
                    of: owner, at: clock(node))
            else { continue }
            write(.age(owner, age, at: now), of: owner, nil, at: node)
        }
        if simulation.generator.chance(0.5) { nodes[node].replicaDisk.flush() }
    }

    /// Owns a position if somebody waits for it to be durable.
    private mutating func write(
        _ transaction: StoredLedgers.Transaction, of owner: ClusterID, _ position: Position?,
        at node: Int
    ) {
        guard !nodes[node].isLiar, !nodes[node].unsaved.contains(owner) else { return }
        guard owner == nodes[node].cluster else {
            if !nodes[node].replicaDisk.write(transaction) { nodes[node].unsaved.insert(owner) }
            return
        }
        guard nodes[node].ledgerDisk.write(transaction) else {
            nodes[node].unsaved.insert(owner)
            return
        }
        simulation.schedule(
            .written(position ?? .origin), for: node, at: now + plan.diskLatency)
        if plan.flaws.contains(.releasedBeforeDurable), let position {
            release(position, at: node)
        }
        guard !isHealed, plan.has(.crashes), simulation.generator.chance(0.03) else { return }
        // At once, before anything else happens: between any two writes.
        simulation.schedule(.fault, for: node, at: now)
    }

    /// The oldest transaction of the own ledger is durable.
    mutating func written(_ position: Position, at node: Int) {
        nodes[node].ledgerDisk.flush(1)
        release(position, at: node)
    }

    private mutating func release(_ position: Position, at node: Int) {
        perform(at: node) { $0.release(through: position, into: &$1) }
        guard let released = nodes[node].synchroniser.publication?.released,
            released.position > nodes[node].acknowledged.position
        else { return }
        nodes[node].acknowledged = released
    }
}

// MARK: Crashing

extension Mesh {
    mutating func crash(_ node: Int) {
        guard !nodes[node].isDown, !nodes[node].isLiar else { return }
        note("\(node) crashes")
        nodes[node].isDown = true
        simulation.kill(node)
        for pair in pairs where pair.has(node) { disconnect(pair) }
        simulation.schedule(
            .restart(node), for: Self.fate,
            at: now + simulation.generator.duration(below: .seconds(1)))
    }

    mutating func restart(_ node: Int) {
        guard nodes[node].isDown else { return }
        nodes[node].isDown = false
        simulation.revive(node)
        let before = nodes[node]
        var fresh = MeshNode(cluster: before.cluster)
        fresh.interests = before.interests
        fresh.ledgerDisk = before.ledgerDisk
        fresh.replicaDisk = before.replicaDisk
        fresh.acknowledged = before.acknowledged
        let disks = [
            fresh.ledgerDisk.crash(using: &simulation.generator),
            fresh.replicaDisk.crash(using: &simulation.generator),
        ]
        nodes[node] = fresh
        start(node)
        for owner in owners {
            let disk = disks[owner == before.cluster ? 0 : 1]
            guard let stored = disk.owners[owner] else { continue }
            restore(owner, stored, noted: disk.ages[owner], at: node)
        }
        let head = nodes[node].synchroniser.head(of: before.cluster) ?? .origin
        if head.position < before.acknowledged.position {
            fail(
                "\(name(node)) stands at \(head.position) after a crash and had acknowledged "
                    + "\(before.acknowledged.position)")
        }
        for pair in pairs where pair.has(node) {
            let delay = simulation.generator.duration(below: .milliseconds(300))
            simulation.schedule(.connect(pair), for: Self.fate, at: now + delay)
        }
        simulation.schedule(
            .elect(before.cluster), for: Self.fate, at: now + .milliseconds(500))
    }

    private mutating func restore(
        _ owner: ClusterID, _ stored: StoredLedgers.Stored,
        noted: (age: Duration, instant: Instant)?, at node: Int
    ) {
        let age = noted.map { $0.age + (now - $0.instant) }
        let buckets = stored.buckets.sorted { $0.key < $1.key }.map {
            ReplicaCheckpoint.Bucket(index: $0.key, bytes: $0.value)
        }
        let local = clock(node)
        var fault: RestoreFault?
        perform(at: node) { core, effects in
            do throws(RestoreFault) {
                try core.restore(
                    owner, header: stored.header, buckets: buckets,
                    log: stored.log.map(\.message), age: age, at: local, into: &effects)
            } catch {
                fault = error
            }
        }
        if let fault {
            fail("\(name(node)) finds its journal of owner \(owner) unusable: \(fault)")
        }
        let last = stored.log.last?.position ?? stored.position
        let position = nodes[node].synchroniser.head(of: owner)?.position ?? .origin
        if position < last {
            fail("\(name(node)) restores owner \(owner) at \(position), not at \(last)")
        }
    }
}
