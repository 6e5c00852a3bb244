// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability
import MeshSimulation

extension HealthSimulation {
    // MARK: A whole cluster is lost

    /// Thirty clusters of three relays and an ordinary node: twelve die one after the other, less
    /// than half.
    func losses() {
        let count = quick ? 12 : 30
        let victims = Array(1...count * 2 / 5).map { $0 * 2 }
        for loss in [0, 1, 3] {
            let share = Double(loss) / 100
            losses("rtt-80ms.loss-\(loss)%", victims, goal: "value<=0.55") {
                MeshWorld(
                    seed: $0, sizes: sizes(count), spares: 1, loss: share)
            }
            losses("regions.loss-\(loss)%", victims, goal: nil) {
                MeshWorld(seed: $0, sizes: sizes(count), spares: 1, drift: 1e-4) {
                    Region.link($0, $1, loss: share)
                }
            }
        }
    }

    private func sizes(_ count: Int) -> [Int] { Array(repeating: 3, count: count) }

    /// - Parameter goal: for no new flows.
    private func losses(
        _ name: String, _ victims: [Int], goal: String?, world: (UInt64) -> MeshWorld
    ) {
        var times = MeshMeasure.Times()
        var seconds = 0.0
        for seed in 1...UInt64(quick ? 1 : 2) {
            var world = world(seed)
            let start = world.now
            world.run(for: .seconds(4))
            let found = MeshMeasure.detection(&world, victims: victims, patience: .seconds(1.5))
            times.suspect += found.suspect
            times.unreachable += found.unreachable
            times.missed += found.missed
            times.wrong += found.wrong
            seconds += (world.now - start).seconds
        }
        let name = "cluster-lost.\(name)"
        report(times: "\(name).no-new-flows", times.suspect.sorted(), goal: goal)
        report(times: "\(name).unreachable", times.unreachable.sorted(), goal: "value<=1")
        report("\(name).observations", Double(times.unreachable.count), "nodes")
        report("\(name).missed", Double(times.missed), "nodes", goal: "value<=0")
        report("\(name).wrong", Double(times.wrong), "verdicts", goal: "value<=0")
        report("\(name).simulated", seconds, "s")
    }

    // MARK: Loss

    /// Four clusters that hear each other over one, two or three paths.
    func mistakes() {
        for paths in 1...3 {
            let model = FalseVerdictModel(paths: paths)
            var measured = 0.0
            var computed = 0.0
            for (loss, seconds) in [(10, 21_600), (15, 14_400), (20, 7_200)] {
                var mistakes = MeshMeasure.Mistakes()
                for seed in 1...UInt64(quick ? 1 : 2) {
                    var world = MeshWorld(
                        seed: seed, sizes: Array(repeating: paths, count: 4),
                        loss: Double(loss) / 100)
                    let start = world.now
                    world.run(for: .seconds(quick ? seconds / 20 : seconds / 2))
                    mistakes.add(world, since: start)
                }
                let rate = model.perDay(loss: Double(loss) / 100)
                measured += Double(mistakes.hard)
                computed += rate * mistakes.pairDays
                let name = "false-verdicts.paths-\(paths).loss-\(loss)%"
                report(
                    "\(name).hard-per-pair-day", mistakes.hardPerDay, "1/d", baseline: rate,
                    ratio: mistakes.hardPerDay / rate)
                report("\(name).counted", Double(mistakes.hard), "verdicts")
                report("\(name).pair-days", mistakes.pairDays, "d")
            }
            let name = "false-verdicts.paths-\(paths)"
            report("\(name).measured-to-computed", nil, "", ratio: measured / computed)
            for loss in [0, 1, 3, 5] {
                let goal = [1: "value<=1e-6", 3: "value<=1e-3", 5: "value<=0.02"][loss]
                report(
                    "\(name).loss-\(loss)%.hard-per-pair-day.computed",
                    model.perDay(loss: Double(loss) / 100), "1/d", goal: goal)
            }
        }
    }

    // MARK: Bursts

    /// Every path between two of four clusters is lost for a while.
    func bursts() {
        for length in [300, 400, 500, 600, 800, 1000, 2000] {
            var soft = 0
            var hard = 0
            var judges = 0
            for seed in 1...UInt64(quick ? 20 : 200) {
                var world = MeshWorld(seed: seed, sizes: sizes(4))
                world.run(for: .seconds(2.5))
                world.run(for: world.simulation.generator.duration(below: .milliseconds(200)))
                let start = world.now
                world.partition(1, 2)
                world.run(for: .milliseconds(length))
                world.partition(1, 2, isCut: false)
                world.run(for: .seconds(1))
                for node in world.nodes(of: 1) + world.nodes(of: 2) {
                    let taken = Set(
                        world.changes(since: start).filter { $0.observer == node }
                            .map(\.change.word.verdict))
                    judges += 1
                    if taken.contains(.suspect) { soft += 1 }
                    if taken.contains(.unreachable) { hard += 1 }
                }
            }
            let name = "burst.\(length)ms"
            report("\(name).suspect", Double(soft) / Double(judges), "share of nodes")
            report(
                "\(name).unreachable", Double(hard) / Double(judges), "share of nodes",
                goal: length < 400 ? "value<=0" : nil)
        }
    }
}
