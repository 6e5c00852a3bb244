// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshSimulation

@testable import MeshReplication

extension Mesh {
    func isOpen(_ owner: ClusterID, at node: Int) -> Bool {
        !nodes[node].isDown && nodes[node].synchroniser.publication?.ledger.owner == owner
    }

    func openEpoch(at node: Int) -> UInt32? { nodes[node].synchroniser.publication?.ledger.epoch }

    // MARK: The lease

    /// Gives the lease of an owner to one of its nodes that is up, in an epoch above all others.
    ///
    /// - Parameter isFenced: whether the holder before has stopped, as it should have.
    mutating func elect(_ owner: ClusterID, isFenced: Bool = true) {
        guard owner != NewerPublisher.owner else { return }
        let candidates = nodes.indices.filter {
            nodes[$0].cluster == owner && !nodes[$0].isDown && !nodes[$0].isLiar
        }
        guard let node = candidates.randomElement(using: &simulation.generator) else { return }
        if isFenced {
            for other in candidates where other != node { close(at: other) }
        }
        epochs[owner, default: 0] += 1
        open(owner, at: node)
    }

    /// A fault of the lease: two nodes open the newest epoch.
    mutating func duplicateLease(of owner: ClusterID) {
        let candidates = nodes.indices.filter {
            nodes[$0].cluster == owner && !nodes[$0].isDown && !nodes[$0].isLiar
                && !isOpen(owner, at: $0)
        }
        guard let epoch = epochs[owner],
            let node = candidates.randomElement(using: &simulation.generator)
        else { return }
        forkedEpochs[owner] = epoch
        open(owner, at: node)
    }

    private mutating func open(_ owner: ClusterID, at node: Int) {
        writers &+= 1
        guard let epoch = epochs[owner],
            let ledger = try? ledger(
                of: owner.rawValue, epoch: epoch, writer: writers, notAfter: 1_700_100_000)
        else { return }
        note("\(node) opens \(owner) \(epoch)")
        perform(at: node) { core, _ in core.open(ledger, awaitsDurability: true) }
        if isHealed || simulation.generator.chance(0.8) { publish([], at: node) }
    }

    private mutating func close(at node: Int) {
        perform(at: node) { $0.close(into: &$1) }
    }

    // MARK: Changes

    mutating func publishSometimes(at node: Int) throws {
        guard !isHealed, !nodes[node].isLiar else { return }
        simulation.schedule(
            .publish, for: node,
            at: now + .milliseconds(100)
                + simulation.generator.duration(below: .milliseconds(900)))
        // A shell gathers what comes while the disk is busy.
        if nodes[node].synchroniser.publication?.pending.count ?? 0 < 2 {
            publish(changes(), at: node)
        }
        guard node == 0, newer != nil else { return }
        let changes = changes(newer: true)
        guard let (batch, before, messages) = try newer?.publish(changes) else { return }
        try truth.note(batch, over: before)
        for message in messages { hear(newer: message) }
    }

    private mutating func publish(_ changes: [LedgerChange], at node: Int) {
        let owner = nodes[node].cluster
        guard isOpen(owner, at: node) else { return }
        let before = nodes[node].synchroniser.head(of: owner) ?? .origin
        var expected = truth.records(at: before) ?? [:]
        for change in changes { expected[change.key] = change.value }
        var fault: CommitFault?
        perform(at: node, signing: (owner, before)) { core, effects in
            do throws(CommitFault) {
                try core.publish(changes, into: &effects)
            } catch {
                fault = error
            }
        }
        if fault != nil {
            // Somebody else publishes, or did: the shell steps down and asks for another epoch.
            close(at: node)
            simulation.schedule(.elect(owner), for: Self.fate, at: now + .milliseconds(300))
        } else if let head = nodes[node].synchroniser.head(of: owner),
            truth.records(at: head) != expected
        {
            fail("\(name(node)) committed something else than it was given")
        }
    }

    private mutating func changes(newer: Bool = false) -> [LedgerChange] {
        let count = Int.random(in: 0...5, using: &simulation.generator)
        var changes: [String: LedgerChange] = [:]
        for _ in 0..<count {
            let kind = Int.random(in: 0..<(newer ? 5 : 4), using: &simulation.generator)
            let kinds = ["service/shop", "slice/bank", "endpoint/shop", "node", "gizmo/x"]
            let number = Int.random(in: 0..<8, using: &simulation.generator)
            let key = "\(kinds[kind])/\(number)"
            let isLarge = !newer && plan.has(.largeRecords) && simulation.generator.chance(0.05)
            let length = isLarge ? 40_000 : Int.random(in: 0...9, using: &simulation.generator)
            let byte = UInt8.random(in: 0...255, using: &simulation.generator)
            let isDeletion = simulation.generator.chance(0.35)
            changes[key] = LedgerChange(
                key: key, value: isDeletion ? nil : .init(repeating: byte, count: length))
        }
        return changes.sorted { $0.key < $1.key }.map(\.value)
    }
}
