// SPDX-License-Identifier: Apache-2.0

import MeshMembership
import MeshModel
import MeshSimulation

/// Membership in virtual time, beside the same core with memberlist's parameters: how soon a crash is
/// known, and who is taken for dead without cause.
struct HealthSimulation {
    private struct Profile {
        let name: String
        let parameters: MembershipParameters
        let warmup: Duration
        let patience: Duration
    }

    private static let profiles = [
        Profile(
            name: "default", parameters: .default, warmup: .seconds(8), patience: .seconds(10)),
        Profile(
            name: "memberlist-lan", parameters: .memberlistLAN, warmup: .seconds(20),
            patience: .seconds(60)),
        Profile(
            name: "plain-swim", parameters: .plainSWIM, warmup: .seconds(20),
            patience: .seconds(60)),
    ]
    /// Of the default profile; of the slower ones a quarter.
    private var crashes: Int { quick ? 25 : 100 }
    /// Simulated time of one cluster, four seeds.
    private var seconds: Int { quick ? 60 : 450 }

    let quick: Bool

    func run() {
        for size in [3, 10, 100] {
            for profile in Self.profiles { detection(size, profile) }
        }
        for loss in [0, 1, 3, 5] {
            for pause in [0, 300] {
                for profile in Self.profiles { mistakes(loss, pause, profile) }
            }
        }
        for profile in Self.profiles {
            let traffic = MembershipMeasure.traffic(
                MembershipMeasure.world(seed: 1, size: 100, parameters: profile.parameters),
                warmup: .seconds(60), over: .seconds(60))
            let name = "health.simulated.idle.100.\(profile.name)"
            Figure("\(name).bytes", traffic.bytes, "bytes/s").report()
            Figure("\(name).datagrams", traffic.datagrams, "1/s").report()
        }
    }

    private func detection(_ size: Int, _ profile: Profile) {
        let isDefault = profile.name == "default"
        let times = MembershipMeasure.detection(
            [1, 2, 3, 4], crashes: isDefault ? crashes : max(crashes / 4, 5),
            warmup: profile.warmup, patience: profile.patience
        ) {
            MembershipMeasure.world(seed: $0, size: size, parameters: profile.parameters)
        }
        let name = "health.simulated.crash.\(size).\(profile.name)"
        let goal = isDefault ? "value<=2.3" : nil
        func percentile(_ share: Double) -> Double {
            MembershipMeasure.Times.percentile(share, of: times.all)
        }
        Figure("\(name).all-know.p50", percentile(0.5), "s").report()
        Figure("\(name).all-know.p99", percentile(0.99), "s", goal: goal).report()
        Figure("\(name).unknown", Double(times.missed), "crashes", goal: "value<=0").report()
    }

    /// - Parameters:
    ///   - loss: percent.
    ///   - pause: of each node once a minute, milliseconds.
    private func mistakes(_ loss: Int, _ pause: Int, _ profile: Profile) {
        var mistakes = MembershipMeasure.Mistakes()
        for seed in 1...UInt64(4) {
            var world = MembershipMeasure.world(
                seed: seed, size: 100, weather: .init(loss: Double(loss) / 100),
                parameters: profile.parameters)
            world.run(for: .seconds(20))
            let start = world.now
            for second in 0..<seconds {
                for member in world.members where pause > 0 && (member * 7 + second) % 60 == 0 {
                    world.pause(member, for: .milliseconds(pause))
                }
                world.run(for: .seconds(1))
            }
            mistakes.add(world, since: start)
        }
        let name = "health.simulated.loss-\(loss)%.pause-\(pause)ms.\(profile.name)"
        Figure("\(name).node-days", mistakes.nodeDays, "days").report()
        Figure("\(name).deaths", Double(mistakes.deaths), "nodes").report()
        Figure("\(name).suspicions", Double(mistakes.suspicions), "nodes").report()
    }
}
