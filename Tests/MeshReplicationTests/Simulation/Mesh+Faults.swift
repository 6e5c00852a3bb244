// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshSimulation

@testable import MeshReplication

extension Mesh {
    /// One misfortune of those that the plan has.
    mutating func fault() {
        let bits = (0..<Trouble.count).filter { plan.has(Trouble(rawValue: 1 << $0)) }
        guard let bit = bits.randomElement(using: &simulation.generator) else { return }
        let node = Int.random(in: 0..<nodes.count, using: &simulation.generator)
        let pair = pairs[Int.random(in: 0..<pairs.count, using: &simulation.generator)]
        let owner = owners[Int.random(in: 0..<owners.count, using: &simulation.generator)]
        note("trouble \(bit)")
        switch Trouble(rawValue: 1 << bit) {
        case .breaks, .mangledLinks: breakLink(pair)
        case .crashes: if simulation.generator.chance(0.3) { crash(node) }
        case .fullDisks: fill(node)
        case .partitions: partition(pair)
        case .slowLinks: breakLink(pair)
        case .pauses:
            simulation.pause(node, for: simulation.generator.duration(below: .seconds(2)))
        case .clocks: disturbClock(node)
        case .twins: if simulation.generator.chance(0.3) { duplicateLease(of: owner) }
        case .deposed: if simulation.generator.chance(0.3) { elect(owner, isFenced: false) }
        case .filters:
            guard !nodes[node].isDown else { return }
            choose(node)
            for owner in owners {
                let interest = nodes[node].interests[owner] ?? .all
                perform(at: node) { $0.setInterest(interest, in: owner, into: &$1) }
            }
        default: if simulation.generator.chance(0.1) { elect(owner) }
        }
    }

    private mutating func breakLink(_ pair: Pair) {
        disconnect(pair)
        simulation.schedule(
            .connect(pair), for: Self.fate,
            at: now + simulation.generator.duration(below: .seconds(1)))
    }

    /// One direction, or both, of what passes between two nodes; the streams stay open.
    private mutating func partition(_ pair: Pair) {
        let isCut = simulation.generator.chance(0.6)
        setCut(from: pair.low, to: pair.high, isCut)
        if simulation.generator.chance(0.5) { setCut(from: pair.high, to: pair.low, isCut) }
    }

    private mutating func fill(_ node: Int) {
        let isFull = simulation.generator.chance(0.5)
        nodes[node].ledgerDisk.isFull = isFull
        nodes[node].replicaDisk.isFull = isFull
    }

    /// A monotonic clock may stand still; one that says what day it is may say anything.
    private mutating func disturbClock(_ node: Int) {
        if simulation.generator.chance(0.5) {
            nodes[node].stalled += simulation.generator.duration(below: .seconds(3))
        } else {
            let errors: [Int64] = [0, 400_000_000, -400_000_000, 200]
            nodes[node].realTimeError =
                errors[Int.random(in: 0..<errors.count, using: &simulation.generator)]
        }
    }

    mutating func clock(_ node: Int) -> Instant { nodes[node].clock(at: now) }

    /// What a node wants of others. Relays and publishers want everything.
    mutating func choose(_ node: Int) {
        guard plan.has(.filters), node < plan.nodes.count, !plan.relays.contains(node)
        else { return }
        let choices: [ShardSet] = [
            .all, .base, .base.union(.services(ofNamespace: "shop")), .base.union(.endpoints),
            .services(ofNamespace: "bank").union(.endpoints),
        ]
        for owner in owners where owner != nodes[node].cluster {
            nodes[node].interests[owner] =
                choices[Int.random(in: 0..<choices.count, using: &simulation.generator)]
        }
    }
}
