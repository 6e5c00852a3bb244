// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshSimulation
import Testing

@testable import MeshKubernetes

@Suite("A reflector and an API server that has bad days", .tags(.simulation))
struct ReflectorSimulationTests {
    private struct Outcome: Sendable {
        var lists = 0
        var requests = 0
        var faults = 0
        var problems: [String] = []
    }

    /// Ten minutes of faults, then rest.
    private static func day(_ seed: UInt64) -> Outcome {
        var world = ReflectorWorld(seed: seed)
        let storm = Duration.seconds(600)
        world.start(writesEvery: .seconds(20), faultsEvery: .seconds(60))
        world.run(for: storm)
        world.heal()
        let duringStorm = world.lists
        world.run(for: .seconds(300))
        var outcome = Outcome(
            lists: duringStorm, requests: world.requests, faults: world.faults,
            problems: world.violations)
        if !world.isCurrent { outcome.problems.append("the state isn't the server's") }
        if world.mirror.health.last != .synced { outcome.problems.append("not synced") }
        // 1 s, 2 s, 4 s … 60 s: that many lists fit into the storm, if every one of them fails.
        if duringStorm > 16 { outcome.problems.append("\(duringStorm) lists") }
        if world.lists - duringStorm > 2 { outcome.problems.append("lists though all is well") }
        guard seed % 10 == 0 else { return outcome }
        let calm = world.requests
        world.run(for: .seconds(1800))
        // A watch of 100 s and more, again and again, and no list.
        if world.requests - calm > 18 { outcome.problems.append("too many requests at rest") }
        if !world.isCurrent { outcome.problems.append("later the state isn't the server's") }
        return outcome
    }

    @Test("ends with exactly the server's state after 10,000 bad days, and never a storm of lists")
    func storms() async throws {
        let days = try await Replay.run(10_000) { Self.day($0) }
        for (seed, outcome) in days where !outcome.problems.isEmpty {
            Issue.record(
                """
                \(outcome.problems.prefix(3).joined(separator: ", ")): \
                \(Replay.hint(seed, filter: "ReflectorSimulationTests"))
                """)
        }
        let lists = days.map(\.result.lists)
        let faults = days.map(\.result.faults).reduce(0, +)
        print(
            "\(days.count) days, \(faults) faults: at most \(lists.max() ?? 0) lists in 10 min,",
            "on average \(lists.reduce(0, +) * 10 / max(days.count, 1)) tenths")
        // Otherwise the days are too good to show anything.
        #expect(faults > days.count * 8)
        #expect(lists.reduce(0, +) > days.count * 2)
    }
}
