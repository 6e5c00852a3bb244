// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import MeshLab
import MeshModel

/// Kills a whole cluster under load, in a fresh lab each time so that nothing is held back because
/// it flapped before.
struct FailoverBenchmark: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "failover",
        abstract: "What clients notice when a cluster dies, and what it costs the agent.",
        discussion: """
            A new connection every 5 ms, talkers, and readers that only wait. Times count from the \
            moment the first cable is pulled: switch is the last new connection sent to the dead \
            cluster, verdict is when the client's node holds it for unreachable, release is the end \
            of the last connection that hung, gap is the longest time without an answer.
            """)
    private static let lab = "benchfail"
    private static let victim = "beta"

    @OptionGroup var options: BenchOptions

    func run() async throws {
        let weft = try options.product()
        var outcomes: [KillOutcome] = []
        let kills = options.quick ? 2 : 20
        for number in 1...kills {
            let outcome = try await withLab(Self.lab, .builtIn, weft: weft) { lab in
                try await KillExperiment(lab: lab, victim: Self.victim).run()
            }
            tell("kill \(number) of \(kills): \(outcome)")
            outcomes.append(outcome)
        }
        report(outcomes)
        try await MapWrites(weft: weft, services: 5000).run()
    }

    private func report(_ outcomes: [KillOutcome]) {
        func figures(_ name: String, _ seconds: (KillOutcome) -> Double, limit: Double?) {
            let sample = Sample(outcomes.map(seconds))
            let goal = limit.map { "value<=\($0)" }
            Figure("failover.\(name).p50", sample.median, "s", goal: goal).report()
            Figure("failover.\(name).p99", sample.percentile(0.99), "s", goal: goal).report()
            Figure("failover.\(name).max", sample.largest, "s", goal: goal).report()
        }
        figures("switch", { $0.switchSeconds }, limit: 0.9)
        figures("verdict", { $0.verdictSeconds }, limit: 0.9)
        figures("release", { $0.releaseSeconds }, limit: nil)
        figures("gap", { $0.gapSeconds }, limit: nil)
        let sum = { (count: (KillOutcome) -> Int) in Double(outcomes.reduce(0) { $0 + count($1) }) }
        Figure("failover.hung", sum { $0.hung }, "connections", goal: "value<=0").report()
        Figure("failover.lost", sum { $0.lost }, "connections").report()
        Figure("failover.kills", Double(outcomes.count), "kills").report()
    }
}
