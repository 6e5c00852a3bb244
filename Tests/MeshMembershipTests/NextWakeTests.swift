// SPDX-License-Identifier: Apache-2.0

import MeshMembership
import MeshModel
import MeshSimulation
import Testing

/// A member that has run and wants to run again at once keeps a processor busy for ever.
@Suite("No member keeps its shell awake", .tags(.simulation))
struct MembershipNextWakeTests {
    @Test("whatever happens to it, nobody wants to run again at once")
    func chaos() async throws {
        let broken = try await Replay.run(6) { seed -> String? in
            let size = [2, 3, 12][Int(seed % 3)]
            var world = MembershipMeasure.world(
                seed: seed, size: size, witnesses: Int(seed % 2) * 2, weather: .init(loss: 0.1))
            for _ in 0..<60 {
                let member = Int(world.simulation.generator.next() % UInt64(size))
                let isRunning = world.running.contains(member)
                switch world.simulation.generator.next() % 6 {
                case 0 where isRunning: world.crash(member)
                case 1 where !isRunning: world.restart(member)
                case 2 where isRunning: world.leave(member)
                case 3: world.pause(member, for: .milliseconds(40))
                case 4: world.pause(member, for: .seconds(3))
                default: world.isolate(member, isCut: world.simulation.generator.chance(0.5))
                }
                world.run(for: world.simulation.generator.duration(below: .seconds(4)))
            }
            return world.violations.first { $0.contains("at once") }
        }
        for (seed, finding) in broken {
            Issue.record("\(finding); \(Replay.hint(seed, filter: "MembershipNextWakeTests"))")
        }
    }

    @Test(
        "left alone it wakes some 20 times a second at most, also when it goes itself",
        arguments: [false, true], [0, 1, 2, 50])
    func alone(isLeaving: Bool, peers: Int) {
        var core = Membership(own: "me", seed: 1)
        var effects = MembershipEffects()
        var now = Instant(nanoseconds: 3_600_000_000_000)
        core.configure(
            roster: ["me"] + (0..<peers).map { "peer-\($0)" }, at: now, into: &effects)
        if isLeaving { core.leave(at: now, into: &effects) }
        let end = now + .seconds(60)
        var wakes = 0
        while let next = core.nextWake, next <= end, wakes <= 1500 {
            now = max(now, next)
            core.tick(at: now, into: &effects)
            wakes += 1
            #expect(core.nextWake.map { $0 > now } ?? true)
        }
        #expect(wakes <= 1500, "\(wakes) in 60 s")
    }
}
