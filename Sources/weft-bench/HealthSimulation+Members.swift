// SPDX-License-Identifier: Apache-2.0

import MeshMembership
import MeshModel
import MeshSimulation

/// Weft's membership, and the same core as memberlist and as SWIM before Lifeguard.
private struct MembershipProfile: Sendable {
    let name: String
    let parameters: MembershipParameters
    let warmup: Duration
    let patience: Duration
    /// Of the crashes that the default sees: it is slower.
    let share: Int

    static let all = [
        MembershipProfile(
            name: "default", parameters: .default, warmup: .seconds(8), patience: .seconds(10),
            share: 1),
        MembershipProfile(
            name: "memberlist-lan", parameters: .memberlistLAN, warmup: .seconds(20),
            patience: .seconds(60), share: 4),
        MembershipProfile(
            name: "plain-swim", parameters: .plainSWIM, warmup: .seconds(20),
            patience: .seconds(60), share: 4),
    ]

    func world(_ seed: UInt64, _ size: Int) -> MembershipWorld {
        MembershipMeasure.world(seed: seed, size: size, parameters: parameters)
    }
}

extension HealthSimulation {
    /// - Parameter isAlone: of a cluster that is too large for the whole table.
    func members(_ sizes: [Int], isAlone: Bool) {
        for size in sizes {
            for profile in MembershipProfile.all where !isAlone || profile.share == 1 {
                if size < 1000 { crashes(size, profile) }
                guard size >= 100 else { continue }
                // A large cluster takes minutes to start: one serves all.
                var world = profile.world(1, size)
                world.run(for: .seconds(20))
                weather(&world, profile, isAlone: isAlone)
                if size == 100 { extrapolate(world, profile) }
                if size >= 1000 { crashes(&world, profile) }
            }
        }
        guard !isAlone else { return }
        remoteLoss()
        for profile in MembershipProfile.all { idle(profile) }
    }

    // MARK: Crashes

    private func crashes(_ size: Int, _ profile: MembershipProfile) {
        let times = MembershipMeasure.detection(
            [1, 2, 3, 4], crashes: max((quick ? 12 : 50) / profile.share, 5),
            warmup: profile.warmup, patience: profile.patience
        ) { profile.world($0, size) }
        report(times, size, profile)
    }

    private func crashes(_ world: inout MembershipWorld, _ profile: MembershipProfile) {
        world.weather = .init()
        world.run(for: .seconds(5))
        let times = MembershipMeasure.detection(
            &world, crashes: (quick ? 8 : 40) / profile.share, patience: profile.patience)
        report(times, world.size, profile)
    }

    private func report(
        _ times: MembershipMeasure.Times, _ size: Int, _ profile: MembershipProfile
    ) {
        let name = "crash.\(size).\(profile.name)"
        let goal = profile.share == 1 && size <= 100 ? "value<=2.3" : nil
        report(times: "\(name).all-know", times.all, goal: goal)
        report("\(name).counted", Double(times.all.count), "crashes")
        report("\(name).unknown", Double(times.missed), "crashes", goal: "value<=0")
    }

    private func remoteLoss() {
        var seconds: [Double] = []
        var missed = 0
        for seed in 1...UInt64(quick ? 1 : 4) {
            var world = MembershipProfile.all[0].world(seed, 100)
            world.run(for: .seconds(8))
            let found = NodeLossMeasure.remote(&world, crashes: quick ? 8 : 25)
            seconds += found.seconds
            missed += found.missed
        }
        report(times: "crash.100.default.out-remotely", seconds.sorted(), goal: "value<=2.6")
        report("crash.100.default.out-remotely.missed", Double(missed), "", goal: "value<=0")
    }

    // MARK: Mistakes

    /// One cluster in one weather after the other.
    private func weather(
        _ world: inout MembershipWorld, _ profile: MembershipProfile, isAlone: Bool
    ) {
        let seconds = (quick ? 6000 : isAlone ? 150_000 : 45_000) / world.size
        for loss in isAlone ? [1, 3] : [0, 1, 3, 5] {
            // At 5,000 there is always somebody held up, and gossip about it everywhere.
            for pause in isAlone ? [0] : [0, 300] {
                let mistakes = mistakes(&world, loss: loss, pause: pause, seconds: max(seconds, 5))
                let name =
                    "members.\(world.size).\(profile.name).loss-\(loss)%.pause-\(pause)ms"
                report("\(name).deaths", Double(mistakes.deaths), "nodes")
                report("\(name).suspicions", Double(mistakes.suspicions), "nodes")
                report("\(name).node-days", mistakes.nodeDays, "d")
            }
        }
    }

    /// - Parameters:
    ///   - loss: percent.
    ///   - pause: of each node once a minute, milliseconds.
    private func mistakes(
        _ world: inout MembershipWorld, loss: Int, pause: Int, seconds: Int
    ) -> MembershipMeasure.Mistakes {
        world.weather = .init(loss: Double(loss) / 100)
        let start = world.now
        let before = MembershipMeasure.accusations(world)
        for second in 0..<seconds {
            for member in world.members where pause > 0 && (member * 7 + second) % 60 == 0 {
                world.pause(member, for: .milliseconds(pause))
            }
            world.run(for: .seconds(1))
        }
        var mistakes = MembershipMeasure.Mistakes()
        mistakes.add(world, since: start, accusations: before)
        return mistakes
    }

    /// A false death is an accusation that wasn't contradicted in time. Accusations are computed; of
    /// these no larger share goes without contradiction than at 10 % loss, so what is counted there
    /// bounds the deaths here. None counted is taken for 3, as 95 % of such runs would have.
    private func extrapolate(_ warm: MembershipWorld, _ profile: MembershipProfile) {
        var share = 1.0
        for (loss, seconds) in [(10, 2600), (20, 240), (30, 120)] {
            var world = warm
            let mistakes = mistakes(
                &world, loss: loss, pause: 0, seconds: quick ? seconds / 20 : seconds)
            let computed = MembershipMeasure.accusationsPerNodeDay(
                loss: Double(loss) / 100, profile.parameters)
            let measured = Double(mistakes.accusations) / mistakes.nodeDays
            let name = "members.100.\(profile.name).loss-\(loss)%"
            report(
                "\(name).accusations-per-node-day", measured, "1/d", baseline: computed,
                ratio: measured / computed)
            report("\(name).deaths", Double(mistakes.deaths), "nodes")
            report("\(name).node-days", mistakes.nodeDays, "d")
            if loss == 10 {
                let deaths = mistakes.deaths > 0 ? Double(mistakes.deaths) : 3
                share = min(deaths / Double(max(mistakes.accusations, 1)), 1)
            }
        }
        for loss in [0, 1, 3, 5] {
            let accusations = MembershipMeasure.accusationsPerNodeDay(
                loss: Double(loss) / 100, profile.parameters)
            let name = "members.100.\(profile.name).loss-\(loss)%"
            report("\(name).accusations-per-node-day.computed", accusations, "1/d")
            report(
                "\(name).false-deaths-per-node-day.bound", accusations * share, "1/d",
                goal: profile.share == 1 && loss == 1 ? "value<=1e-3" : nil)
        }
    }

    // MARK: Cost

    private func idle(_ profile: MembershipProfile) {
        let traffic = MembershipMeasure.traffic(
            profile.world(1, 100), warmup: .seconds(60), over: .seconds(60))
        report("idle.100.\(profile.name).bytes", traffic.bytes, "bytes/s")
        report("idle.100.\(profile.name).datagrams", traffic.datagrams, "1/s")
    }
}
