// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshSimulation

@testable import MeshReplication

// MARK: The course of a story

extension Mesh {
    static let healing = Duration.seconds(5)

    /// Tells a story from its beginning to its end.
    ///
    /// - Returns: what went wrong, nil if nothing did.
    static func tell(_ plan: StoryPlan) throws -> String? { try told(plan).failures.first }

    /// The world at the end of a story.
    static func told(_ plan: StoryPlan) throws -> Mesh {
        var mesh = Mesh(plan)
        try mesh.begin()
        try mesh.run(until: mesh.now + plan.chaos)
        mesh.heal()
        let end = mesh.now + healing
        while mesh.failures.isEmpty, mesh.now < end {
            try mesh.run(until: min(mesh.now + .milliseconds(250), end))
            // Elections may be still to come.
            if mesh.now > end - .seconds(3), mesh.disagreement == nil { return mesh }
        }
        if mesh.failures.isEmpty, let disagreement = mesh.disagreement {
            mesh.fail("not converged \(healing) after everything healed: \(disagreement)")
        }
        return mesh
    }

    private mutating func begin() throws {
        if plan.has(.newer) { newer = try NewerPublisher() }
        for pair in pairs {
            latencies[pair] =
                plan.has(.slowLinks) && simulation.generator.chance(0.4)
                ? .milliseconds(200) + simulation.generator.duration(below: .milliseconds(400))
                : plan.latency
        }
        for node in nodes.indices {
            choose(node)
            start(node)
        }
        for pair in pairs { connect(pair) }
        for owner in owners where owner != NewerPublisher.owner { elect(owner) }
        simulation.schedule(.fault, for: Self.fate, at: now + .milliseconds(500))
    }

    /// Gives a node a core without history, and its timers.
    mutating func start(_ node: Int) {
        var core = Synchroniser(receiptsOf: nodes[node].cluster)
        core.flaws = nodes[node].isLiar ? [] : plan.coreFlaws
        nodes[node].synchroniser = core
        for owner in owners {
            let interest = nodes[node].interests[owner] ?? .all
            let rate = owner == nodes[node].cluster || !plan.has(.rates) ? nil : Self.rate
            perform(at: node) { [window = plan.window] in
                $0.add(
                    owner: owner, authority: Authorities.of(owner), interest: interest,
                    rate: rate, window: window, into: &$1)
            }
        }
        simulation.schedule(
            .tick, for: node, at: now + simulation.generator.duration(below: .seconds(1)))
        simulation.schedule(.publish, for: node, at: now + .milliseconds(100))
        if node == 0, newer != nil {
            perform(at: node) { $0.linkUp(NewerPublisher.link, into: &$1) }
        }
    }

    private static var rate: ChangeRateLimit { ChangeRateLimit(perSecond: 40, burst: 20) }

    mutating func run(until end: Instant) throws {
        while failures.isEmpty, let (node, event) = simulation.next(until: end) {
            switch event {
            case .tick: tick(node)
            case .arrival(let pipe): deliver(pipe: pipe, to: node)
            case .written(let position): written(position, at: node)
            case .publish:
                try publishSometimes(at: node)
            case .fault where node != Self.fate: crash(node)
            case .fault:
                guard !isHealed else { break }
                fault()
                simulation.schedule(
                    .fault, for: Self.fate,
                    at: now + .milliseconds(20)
                        + simulation.generator.duration(below: .milliseconds(300)))
            case .restart(let node): restart(node)
            case .connect(let pair): if pairs.contains(pair) { connect(pair) }
            case .elect(let owner): elect(owner)
            case .newer(let message):
                let local = clock(node)
                perform(at: node) {
                    $0.receive(message, from: NewerPublisher.link, at: local, into: &$1)
                }
            }
        }
    }

    private mutating func tick(_ node: Int) {
        let local = clock(node)
        let seconds = Int64(1_700_000_000 + now.nanoseconds / 1_000_000_000)
        let realTime = UInt64(max(seconds + nodes[node].realTimeError, 1))
        perform(at: node) { $0.tick(at: local, realTime: realTime, into: &$1) }
        if !nodes[node].isLiar {
            keepJournal(at: node)
            checkBounds(node)
        }
        simulation.schedule(.tick, for: node, at: now + .seconds(1))
    }

    /// What was broken is whole again, and nothing new happens.
    private mutating func heal() {
        note("heals")
        isHealed = true
        for pair in pairs where nodes[pair.high].isLiar || isMangled(pair) { disconnect(pair) }
        for node in nodes.indices {
            nodes[node].realTimeError = 0
            nodes[node].wakeClock(at: now)
            nodes[node].ledgerDisk.isFull = false
            nodes[node].replicaDisk.isFull = false
            for other in cuts[node]?.sorted() ?? [] { setCut(from: node, to: other, false) }
            restart(node)
        }
        hasten()
        for pair in pairs where !nodes[pair.high].isLiar { connect(pair) }
        for owner in owners where owner != NewerPublisher.owner {
            let holders = nodes.indices.filter { isOpen(owner, at: $0) }
            let isSettled =
                holders.count == 1 && forkedEpochs[owner] != epochs[owner]
                && openEpoch(at: holders[0]) == epochs[owner]
                && nodes[holders[0]].heads[owner]?.position.epoch == epochs[owner]
                && nodes.allSatisfy { !$0.frozen.contains(owner) }
            if !isSettled {
                simulation.schedule(.elect(owner), for: Self.fate, at: now + .seconds(1))
            }
        }
    }

    private func isMangled(_ pair: Pair) -> Bool {
        links[pair].flatMap { connections[$0]?.isMangled } ?? false
    }
}

/// The CAs of all owners, made once: they are the same in every story.
enum Authorities {
    private static let all: [LedgerAuthority] = (0...9).map { number in
        (try? authority(number)) ?? LedgerAuthority([])
    }

    static func of(_ owner: ClusterID) -> LedgerAuthority { all[Int(owner.rawValue)] }
}
