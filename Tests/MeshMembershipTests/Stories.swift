// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshSimulation
import Testing

@testable import MeshMembership

/// What happens to a cluster, and what must hold then. Each returns a sentence if it doesn't.
struct Story: Sendable {
    let name: String
    let tell: @Sendable (UInt64, MembershipParameters, Flaws) -> String?

    static func world(
        _ seed: UInt64, _ size: Int, witnesses: Int = 0,
        weather: MembershipWorld.Weather = .init(), _ parameters: MembershipParameters = .default,
        _ flaws: Flaws = []
    ) -> MembershipWorld {
        MembershipWorld(seed: seed, size: size, witnesses: witnesses, weather: weather) {
            var core = Membership(own: $0, parameters: parameters, seed: $1)
            core.flaws = flaws
            return core
        }
    }

    /// Deaths of well members, but for those of `subjects` and those taken by `observers`.
    static func wrong(
        _ world: MembershipWorld, apartFrom excused: [Int] = [], since start: Instant = .zero
    ) -> String? {
        world.falseDeaths(since: start)
            .first { !excused.contains($0.subject) && !excused.contains($0.observer) }
            .map { "member \($0.observer) took \($0.subject) for dead, by \($0.change.accusers)" }
            ?? world.violations.first
    }

    static let crash = Story(name: "a crash is known to everybody") { seed, parameters, flaws in
        var world = world(seed, 30, parameters, flaws)
        world.run(for: .seconds(5))
        world.crash(7)
        world.run(for: .milliseconds(3300))
        return world.allHold(.dead, of: [7])
            ? wrong(world, apartFrom: [7]) : "the crash wasn't known after 3.3 s"
    }

    static let weather = Story(name: "10 % loss kills nobody") { seed, parameters, flaws in
        var world = world(seed, 30, weather: .init(loss: 0.1), parameters, flaws)
        world.run(for: .seconds(30))
        return wrong(world)
    }

    static let partition = Story(name: "a partition heals") { seed, parameters, flaws in
        var world = world(seed, 20, parameters, flaws)
        let (left, right) = (Array(0..<7), Array(7..<20))
        world.run(for: .seconds(5))
        world.partition(left, right)
        world.run(for: .seconds(45))
        guard world.allHold(.dead, of: right, seenBy: left),
            world.allHold(.dead, of: left, seenBy: right),
            world.allHold(.alive, of: left, seenBy: left)
        else { return "the partition wasn't noticed" }
        world.partition(left, right, isCut: false)
        let healed = world.now
        world.run(for: .seconds(5))
        guard world.allHold(.alive, of: left + right) else { return "it didn't heal within 5 s" }
        world.run(for: .seconds(5))
        return wrong(world, since: healed)
    }

    static let revival = Story(name: "no death is undone but by the dead one") {
        seed, parameters, flaws in
        var weather = MembershipWorld.Weather(loss: 0.05)
        weather.link.jitter = .milliseconds(80)
        weather.duplication = 0.1
        var world = world(seed, 12, weather: weather, parameters, flaws)
        world.run(for: .seconds(5))
        world.crash(3)
        world.pause(4, for: .seconds(6))
        world.run(for: .seconds(8))
        world.restart(3)
        world.run(for: .seconds(8))
        return world.violations.first
            ?? (world.allHold(.alive, of: [3, 4]) ? nil : "who came back isn't alive everywhere")
    }

    static let pause = Story(name: "one that was stopped accuses nobody for it") {
        seed, parameters, flaws in
        var world = world(seed, 20, parameters, flaws)
        world.run(for: .seconds(5))
        for _ in 0..<5 {
            // Suspected, and contradicting while the other one is stopped.
            world.pause(5, for: .milliseconds(800))
            world.run(for: .milliseconds(700))
            world.pause(3, for: .seconds(4))
            world.run(for: .seconds(5))
        }
        let isAccuser = world.changes.contains {
            $0.isSubjectWell && $0.subject != 3 && $0.change.accusers.first == "node-3"
        }
        return isAccuser
            ? "the stopped member accused one that was well"
            : world.falseDeaths().first { $0.subject != 3 }.map {
                "member \($0.observer) took \($0.subject) for dead"
            }
    }

    static let deafness = Story(name: "one that hears late accuses few") {
        seed, parameters, flaws in
        var world = world(seed, 20, parameters, flaws)
        world.run(for: .seconds(5))
        for other in world.members where other != 3 {
            world.simulation.network[other, 3].latency = .milliseconds(250)
        }
        world.run(for: .seconds(60))
        let accusations = world.core(3).counters.accusations
        return accusations > 60 ? "it accused \(accusations) times in 60 s" : nil
    }

    static let lostOne = Story(name: "what one cut off believed harms nobody when it is back") {
        seed, parameters, flaws in
        var world = world(seed, 12, parameters, flaws)
        world.run(for: .seconds(5))
        world.isolate(3)
        world.run(for: .seconds(20))
        world.isolate(3, isCut: false)
        world.run(for: .milliseconds(50))
        // They ask around what they missed.
        for other in 4..<7 { world.restart(other) }
        world.run(for: .seconds(10))
        return wrong(world, apartFrom: [3])
            ?? (world.allHold(.alive, of: Array(world.members)) ? nil : "not all alive after 10 s")
    }

    static let silence = Story(name: "idle, only pings and acks are sent") {
        seed, parameters, flaws in
        var world = world(seed, 20, parameters, flaws)
        world.run(for: .seconds(20))
        let before = world.core(0).counters.bytesSent
        world.run(for: .seconds(20))
        let rate = (world.core(0).counters.bytesSent - before) / 20
        return rate > 210 ? "\(rate) bytes per second with nothing to tell" : nil
    }

    static let exile = Story(name: "with witnesses, one cut off kills nobody") {
        seed, parameters, flaws in
        for size in [2, 3, 8] {
            var world = world(seed, size, witnesses: 2, parameters, flaws)
            world.run(for: .seconds(5))
            world.isolate(0)
            world.run(for: .seconds(30))
            if let death = world.changes.first(where: { $0.observer == 0 && $0.change.to == .dead })
            {
                return "of \(size), the isolated one took \(death.subject) for dead"
            }
            guard world.allHold(.dead, of: [0], seenBy: Array(1..<size)) else {
                return "of \(size), the others didn't notice"
            }
            world.isolate(0, isCut: false)
            world.run(for: .seconds(5))
            if let wrong = wrong(world, apartFrom: [0]) { return wrong }
            guard world.allHold(.alive, of: Array(world.members)) else {
                return "of \(size), not all were alive after 5 s"
            }
        }
        return nil
    }

    static let missed = Story(name: "who missed what a suspect said for itself asks it") {
        seed, parameters, flaws in
        var world = world(seed, 40, parameters, flaws)
        let deaf = 17
        let others = world.members.filter { $0 != deaf }
        world.run(for: .seconds(5))
        world.pause(5, for: .milliseconds(900))
        for _ in 0..<45 where world.state(of: 5, seenBy: deaf) != .suspect {
            world.run(for: .milliseconds(20))
        }
        world.simulation.network.cut(from: others, to: [deaf])
        world.run(for: .milliseconds(1100))
        world.simulation.network.cut(from: others, to: [deaf], isCut: false)
        world.run(for: .seconds(5))
        return world.falseDeaths().first { $0.subject != deaf }.map {
            "member \($0.observer) took \($0.subject) for dead"
        } ?? world.violations.first
    }

    static let all = [
        crash, weather, partition, revival, pause, deafness, lostOne, silence, exile, missed,
    ]
}

extension Story: CustomTestStringConvertible {
    var testDescription: String { name }
}
