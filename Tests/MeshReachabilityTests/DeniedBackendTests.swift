// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability
import Testing

@Suite("A backend that a policy keeps from some clients")
struct DeniedBackendTests {
    private static let backend = BackendWorld.backend(2, 1)

    /// Counters after some openings failed, of which some turned out to be denied.
    private static func evidence(
        silent: UInt32, openings: UInt32, retracted: UInt32 = 0, retractedOpenings: UInt32 = 0,
        at now: Instant
    ) -> BackendEvidence {
        var evidence = BackendEvidence(
            backend: backend, node: BackendWorld.node(2, "x"), interface: 5)
        evidence.silent = .init(silent, last: now)
        evidence.failedOpenings = openings
        evidence.retracted = retracted
        evidence.retractedOpenings = retractedOpenings
        if retractedOpenings > 0 { evidence.denied = now }
        return evidence
    }

    @Test("is accused of nothing that was taken back, whenever that is read")
    func retracted() {
        let start = Instant(nanoseconds: 1_000_000_000_000)
        func isSuspect(_ readings: [(UInt32, UInt32, UInt32, UInt32)]) -> Bool {
            var health = BackendHealth(own: BackendWorld.node(1, "a"))
            _ = health.observe([], at: start)
            for (index, reading) in readings.enumerated() {
                let now = start + .milliseconds(250 * (index + 1))
                let (silent, openings, retracted, retractedOpenings) = reading
                _ = health.observe(
                    [
                        Self.evidence(
                            silent: silent, openings: openings, retracted: retracted,
                            retractedOpenings: retractedOpenings, at: now)
                    ], at: now)
            }
            return !health.concerned.isEmpty
        }
        #expect(isSuspect([(2, 1, 0, 0), (3, 2, 0, 0)]))
        // At once, later, before others' failures, and after.
        #expect(!isSuspect([(3, 2, 3, 2)]))
        #expect(!isSuspect([(2, 1, 0, 0), (2, 1, 2, 1), (4, 3, 2, 1)]))
        #expect(!isSuspect([(1, 1, 0, 0), (3, 3, 2, 2), (4, 4, 2, 2)]))
        #expect(!isSuspect([(3, 2, 0, 0), (3, 2, 1, 1)]))
        // The others' count in full.
        #expect(isSuspect([(2, 1, 2, 1), (4, 2, 2, 1), (5, 3, 2, 1)]))
        // A row that was forgotten meanwhile can't owe anything.
        #expect(!isSuspect([(1, 1, 9, 9), (2, 2, 9, 9)]))
    }

    @Test("comes back by time if its probes are denied, and stays if they fail")
    func probes() throws {
        for isDenied in [false, true] {
            var (world, backends) = BackendHealthTests.world()
            world.conditions[backends[0]] = .silent
            world.run(for: .seconds(5))
            let found = try #require(world.first(.quarantined(backends[0])))
            world.deniesProbes = isDenied
            world.run(for: .seconds(9))
            #expect(world.events().contains(.probed(backends[0], isDenied ? .denied : .silent)))
            #expect(world.quarantined[backends[0]] != nil)
            world.run(for: .seconds(5))
            let back = world.first(.released(backends[0], .expired))
            #expect((back != nil) == isDenied)
            if let back { #expect(back - found >= .seconds(10)) }
        }
    }

    @Test("lives on a node that lives")
    func sign() {
        var world = BackendWorld()
        let backends = world.addService([(2, ["x", "x", "y"])])
        world.run(for: .seconds(5))
        for backend in backends.prefix(2) { world.conditions[backend] = .silent }
        let node = Suspicion.Subject.node(BackendWorld.node(2, "x"))
        while world.first(.suspicion(node, true)) == nil, world.now.nanoseconds < 1_020_000_000_000
        {
            world.run(for: .milliseconds(250))
        }
        #expect(world.first(.suspicion(node, true)) != nil)
        #expect(world.first(.suspicion(node, false)) == nil)
        world.deny(backends[0], retracting: 0, 0)
        world.run(for: .milliseconds(500))
        #expect(world.first(.suspicion(node, false)) != nil)
    }
}
