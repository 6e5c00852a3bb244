// SPDX-License-Identifier: Apache-2.0

import APIServerDouble
import FoundationEssentials
import MeshLease
import MeshModel
import MeshSimulation
import Testing

@testable import MeshKubernetes

@Suite("The publisher's lease in Kubernetes")
struct KubernetesLeaseTests {
    private static let calm = Link(latency: .milliseconds(1), jitter: .milliseconds(9))

    /// A minute of clocks that run wrong, a slow server, conflicts and deletions; then calm.
    private static func storm(_ world: inout LeaseWorld, deletes: Bool = false) {
        world.simulation.schedule(.fault, for: .world, at: world.now + .seconds(5))
        world.run(for: .seconds(60)) { world in
            let index = Int.random(in: 0..<world.members.count, using: &world.simulation.generator)
            let keeper = LeaseWorld.Node.keeper(index)
            let duration = world.simulation.generator.duration(below: .seconds(6))
            switch Int.random(in: 0..<9, using: &world.simulation.generator) {
            case 0: world.simulation.pause(keeper, for: duration * 2)
            case 1: world.simulation.network.partition([keeper], [.server])
            case 2: world.simulation.network.partition([keeper], [.server], isCut: false)
            case 3: world.simulation.network[keeper, .server].jitter = duration / 2
            case 4: world.simulation.network[.server, keeper].jitter = duration / 2
            case 5: world.simulation.network[.server, keeper].loss = 0.4
            case 6: world.kill(index)
            case 7: if deletes { world.delete() } else { world.release(index) }
            default:
                world.edit()
                world.simulation.network[keeper, .server] = calm
                world.simulation.network[.server, keeper] = calm
            }
            for index in world.members.indices where world.simulation.generator.chance(0.3) {
                if world.members[index].keeper.isWithdrawn { world.kill(index) }
                world.revive(index)
            }
            let next = world.simulation.generator.duration(below: .seconds(2))
            world.simulation.schedule(.fault, for: .world, at: world.now + next)
        }
        for index in world.members.indices {
            world.simulation.network[.keeper(index), .server] = calm
            world.simulation.network[.server, .keeper(index)] = calm
            world.simulation.pause(.keeper(index), for: .zero)
            // One that let go is no candidate any more: its process ends and another begins.
            world.kill(index)
            world.revive(index)
        }
    }

    @Test(
        "has one holder at most, opens an epoch once, and has a holder again after healing",
        .tags(.simulation), arguments: [false, true])
    func storms(deletes: Bool) async throws {
        let worlds = try await Replay.run(100) { seed -> (Int, Int, [String]) in
            var world = LeaseWorld(seed: seed)
            Self.storm(&world, deletes: deletes)
            world.run(for: .seconds(16))
            var problems = Array(world.violations.prefix(3))
            if world.believers.count != 1 { problems.append("\(world.believers.count) holders") }
            return (world.acquisitions.count, world.conflicts, problems)
        }
        for (seed, outcome) in worlds where !outcome.2.isEmpty {
            Issue.record("\(outcome.2): \(Replay.hint(seed, filter: "KubernetesLeaseTests"))")
        }
        // Otherwise the storms are too weak, or too strong, to show anything.
        #expect(worlds.map(\.result.0).reduce(0, +) > 2 * worlds.count)
        #expect(worlds.map(\.result.1).reduce(0, +) > worlds.count)
    }

    @Test(
        "a server that forgot to compare versions, and renewals without a nonce, would be noticed",
        .tags(.simulation), arguments: [false, true])
    func planted(repeats: Bool) {
        let seed = (1...200).first { seed in
            var world = LeaseWorld(seed: UInt64(seed), isUnconditional: !repeats)
            world.repeatsItself = repeats
            Self.storm(&world)
            return !world.violations.isEmpty
        }
        #expect(seed != nil)
    }

    @Test("a candidate asks the server at most 2.75 times a second")
    func cost() {
        var world = LeaseWorld(seed: 3)
        world.run(for: .seconds(10))
        let before = world.requests
        world.run(for: .seconds(60))
        let each = Double(world.requests - before) / 60 / Double(world.members.count)
        print("a candidate asks \(each) times a second")
        #expect(each <= 2.75)
    }

    @Test("what was written is read back, with the token as the number of transitions")
    func roundTrip() throws {
        let lease = KubernetesLease(namespace: "a", name: "b", parameters: .contended)
        let record = LeaseRecord(
            holder: LeaseHolder(node: "node-1", instance: 7), token: 5, epoch: 9,
            identities: 2048)
        guard
            case .ask(let request) = lease.begin(
                .swap(record, replacing: nil), at: Date(), nonce: 1)
        else {
            throw Unreadable("no request")
        }
        var value = try JSONValue(request.body)
        #expect(value["spec"]["leaseTransitions"].integer == 5)
        value["metadata"]["resourceVersion"] = "12"
        let state = try LeaseState(lease: value.bytes)
        #expect(state.record == record)
        #expect(state.version.rawValue == "12")
    }

    @Test("a recorded Lease of another elector's is nobody's to take; an empty one is")
    func foreign() throws {
        var lease = try Recording("lease-takeover-200.http").json
        #expect(throws: KubernetesError.self) { try LeaseState(lease: lease.bytes) }
        lease["spec"] = .object([])
        #expect(try LeaseState(lease: lease.bytes).record == .initial)
        lease["spec"] = ["leaseTransitions": .number("\(Int32.max)")]
        #expect(throws: KubernetesError.self) { try LeaseState(lease: lease.bytes) }
    }

    @Test("times are written as a Lease wants them")
    func times() {
        let date = Date(timeIntervalSince1970: 1_795_348_800.25)
        #expect(KubernetesLease.microTime(date) == "2026-11-22T12:00:00.250000Z")
    }
}
