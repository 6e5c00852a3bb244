// SPDX-License-Identifier: Apache-2.0

import MeshSimulation
import Testing

@testable import MeshReplication

@Suite("Whatever happens to links, nodes, disks and clocks", .tags(.simulation))
struct StoryTests {
    @Test("replicas hold what was signed, and agree five seconds after it is over")
    func stories() async throws {
        let isTold = Replay.isSingle
        let failures = try await Replay.run(1000) { seed in
            try Mesh.tell(StoryPlan(seed: seed, isTold: isTold))
        }
        for (seed, failure) in failures {
            Issue.record("\(failure)\n\(Replay.hint(seed, filter: "StoryTests/stories"))")
        }
    }

    @Test("the same seed tells the same story", arguments: 1...5 as ClosedRange<UInt64>)
    func replay(seed: UInt64) throws {
        let (once, again) = (
            try Mesh.told(StoryPlan(seed: seed)), try Mesh.told(StoryPlan(seed: seed))
        )
        #expect(once.nodes.map(\.heads) == again.nodes.map(\.heads))
        #expect(once.connections.count == again.connections.count)
        var (left, right) = (once.simulation.generator, again.simulation.generator)
        #expect(left.next() == right.next())
    }
}

@Suite("Stories that nobody has told yet")
struct SoakTests {
    @Test(
        "end as well as the others",
        .enabled(if: Replay.soak != nil, "scripts/simulate asks for it"))
    func soak() async throws {
        let (seconds, first) = try #require(Replay.soak)
        let end = ContinuousClock.now + .seconds(seconds)
        var next = first
        var count = 0
        while ContinuousClock.now < end {
            let seeds = (0..<200).map { next &+ $0 }
            next &+= 200
            let failures = try await Replay.run(seeds) { try Mesh.tell(StoryPlan(seed: $0)) }
            for (seed, failure) in failures {
                Issue.record("\(failure)\n\(Replay.hint(seed, filter: "StoryTests/stories"))")
            }
            count += failures.count
            print("seeds \(first)..<\(next): \(count) failed")
        }
    }
}
