// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability
import MeshSimulation
import Testing

@Suite("A backend's health")
struct BackendHealthTests {
    /// Three backends on two nodes of cluster 2, five seconds of good weather behind them.
    static func world(
        _ nodes: [String] = ["x", "y", "z"], _ parameters: BackendHealthParameters = .default
    ) -> (BackendWorld, [BackendKey]) {
        var world = BackendWorld(parameters: parameters)
        let backends = world.addService([(2, nodes)])
        world.run(for: .seconds(5))
        return (world, backends)
    }

    @Test(
        "under traffic a dead backend gets no new flows within three seconds",
        arguments: [2.0, 4, 10, 20])
    func silence(rate: Double) throws {
        var (world, backends) = Self.world()
        world.rate = rate
        world.conditions[backends[0]] = .silent
        let death = world.now
        world.run(for: .seconds(5))
        let found = try #require(world.first(.quarantined(backends[0])))
        #expect(found - death <= .seconds(3))
        #expect(world.quarantined.keys.sorted() == [backends[0]])
        let quarantine = try #require(world.quarantined[backends[0]])
        #expect(quarantine.failure == .silent && quarantine.openings >= 2)
    }

    @Test(
        "what says that it is closed is out with its second opening",
        arguments: [BackendWorld.Condition.refusing, .unreachable])
    func refusal(condition: BackendWorld.Condition) throws {
        var (world, backends) = Self.world()
        world.conditions[backends[0]] = condition
        let death = world.now
        world.run(for: .seconds(2))
        let found = try #require(world.first(.quarantined(backends[0])))
        #expect(found - death <= .milliseconds(850))
    }

    @Test("probes bring it back once it answers twice, and its clients' traffic doesn't")
    func returns() throws {
        var (world, backends) = Self.world()
        world.conditions[backends[0]] = .refusing
        world.run(for: .seconds(10))
        #expect(world.events().count { $0 == .quarantined(backends[0]) } == 1)
        #expect(world.events().count { $0 == .probed(backends[0], .refused) } >= 3)
        let recovery = world.now
        world.conditions[backends[0]] = .answering
        world.run(for: .seconds(20))
        let back = try #require(world.first(.released(backends[0], .answered)))
        #expect(back - recovery <= .seconds(11))
        let probes = world.events(since: recovery).count { $0 == .probed(backends[0], .answered) }
        #expect(probes == 2)
        #expect(world.quarantined.isEmpty)
    }

    @Test("probes come less and less often, but never too seldom")
    func backOff() {
        var (world, backends) = Self.world()
        world.conditions[backends[0]] = .silent
        world.run(for: .seconds(120))
        let probes = world.log.filter { $0.event == .probed(backends[0], .silent) }.map(\.at)
        let gaps = zip(probes.dropFirst(), probes).map { $0 - $1 }
        #expect(gaps.first! < .seconds(2))
        #expect(gaps.allSatisfy { $0 <= .seconds(10) })
        #expect((15...25).contains(probes.count))
    }

    @Test("a backend that relapses stays out twice as long each time, up to a bound")
    func flapping() throws {
        var (world, backends) = Self.world()
        var out: [Duration] = []
        for _ in 0..<9 {
            let start = world.now
            world.conditions[backends[0]] = .refusing
            while world.quarantined[backends[0]] == nil, world.now - start < .seconds(10) {
                world.run(for: .milliseconds(250))
            }
            let since = try #require(world.quarantined[backends[0]]?.since)
            world.conditions[backends[0]] = .answering
            while world.quarantined[backends[0]] != nil, world.now - since < .seconds(100) {
                world.run(for: .milliseconds(250))
            }
            out.append(world.now - since)
        }
        #expect(out[0] < .seconds(3))
        #expect(out[3] > .seconds(6) && out[3] > out[1])
        #expect(out.allSatisfy { $0 < .seconds(75) })
        // A long time later that is forgiven.
        world.run(for: .seconds(400))
        world.conditions[backends[0]] = .refusing
        world.run(for: .seconds(2))
        #expect(world.quarantined[backends[0]]?.relapses == 0)
    }

    @Test("an answer to any opening outweighs the failures before it")
    func answers() {
        var (world, backends) = Self.world()
        for _ in 0..<20 {
            world.conditions[backends[0]] = .silent
            world.run(for: .milliseconds(600))
            world.conditions[backends[0]] = .answering
            world.run(for: .milliseconds(600))
        }
        #expect(world.events().isEmpty)
        #expect(world.quarantined.isEmpty)
    }

    @Test("a single connection's failures, however many, are no proof")
    func oneClient() {
        var (world, backends) = Self.world()
        world.rate = 0.01
        world.conditions[backends[0]] = .silent
        world.run(for: .seconds(60))
        let evidence = world.evidence[backends[0]]
        #expect(evidence?.failedOpenings == 1 && (evidence?.silent.count ?? 0) >= 4)
        #expect(world.quarantined.isEmpty)
    }

    @Test("a UDP backend comes back by time, for nothing can probe it")
    func udp() throws {
        var world = BackendWorld()
        let backends = world.addService([(2, ["x", "y", "z"])], .udp)
        world.run(for: .seconds(5))
        world.conditions[backends[0]] = .unreachable
        world.run(for: .seconds(3))
        let found = try #require(world.first(.quarantined(backends[0])))
        world.conditions[backends[0]] = .answering
        world.run(for: .seconds(12))
        let back = try #require(world.first(.released(backends[0], .expired)))
        #expect((Duration.seconds(10)...Duration.milliseconds(10_500)).contains(back - found))
        #expect(!world.events().contains { if case .probed = $0 { true } else { false } })
    }

    @Test("without an endpoint that could probe, time brings it back")
    func nobodyToProbe() throws {
        var (world, backends) = Self.world()
        world.canProbe = false
        world.conditions[backends[0]] = .refusing
        world.run(for: .seconds(3))
        world.conditions[backends[0]] = .answering
        world.run(for: .seconds(14))
        #expect(world.first(.released(backends[0], .expired)) != nil)
        #expect(world.quarantined.isEmpty)
    }

    @Test("what was counted before the agent started is no news")
    func restart() {
        var (world, backends) = Self.world()
        world.conditions[backends[0]] = .refusing
        world.run(for: .seconds(3))
        #expect(world.quarantined.count == 1)
        world.conditions[backends[0]] = .answering
        var fresh = BackendHealth(own: BackendWorld.node(1, "a"))
        _ = fresh.observe(Array(world.evidence.values), at: world.now)
        _ = fresh.observe(Array(world.evidence.values), at: world.now + .milliseconds(250))
        #expect(fresh.concerned.isEmpty)
    }

    @Test("a restarted agent goes on with the quarantine that it finds, and probes")
    func restored() throws {
        var (world, backends) = Self.world()
        world.conditions[backends[0]] = .refusing
        world.run(for: .seconds(3))
        world.conditions[backends[1]] = .silent
        world.run(for: .milliseconds(1300))
        #expect(Array(world.quarantined.keys) == [backends[0]])
        world.restart()
        #expect(Array(world.quarantined.keys) == [backends[0]])
        world.conditions = [:]
        world.run(for: .seconds(5))
        #expect(world.quarantined.isEmpty)
        #expect(world.events().count { $0 == .quarantined(backends[1]) } == 0)
    }

    @Test("counters that nothing was added to for a minute are deleted")
    func forgetting() {
        var (world, backends) = Self.world()
        world.conditions[backends[0]] = .silent
        world.run(for: .milliseconds(1500))
        world.conditions[backends[0]] = .answering
        world.run(for: .seconds(10))
        #expect(world.evidence.count == 1)
        world.run(for: .seconds(60))
        #expect(world.evidence.isEmpty)
    }
}
