// SPDX-License-Identifier: Apache-2.0

import MeshLab
import PolicyChurn

/// Connections while policies, labels and endpoints change, held against the pure engine.
struct PolicyChurnReport {
    private static let lab = "benchchurn"

    let weft: String
    let seconds: Int
    let seed: UInt64

    /// - Throws: ``LabError`` if a verdict was wrong, or the run can't tell.
    func run() async throws {
        tell("policy churn --seconds \(seconds) --seed \(seed)")
        try await withLab(Self.lab, try PolicyChurn.labFile(), weft: weft) { lab in
            let report = try await PolicyChurn.run(in: lab, seed: seed, for: .seconds(seconds))
            tell(report.description)
            for text in report.wrongFlows { tell(text) }
            let windows = Sample(report.windows)
            for (name, value, goal) in [
                ("changes", Double(report.changes.values.reduce(0, +)), nil),
                ("connections", Double(report.flows), nil),
                ("to-be-allowed", Double(report.allowed), nil),
                ("to-be-denied", Double(report.denied), nil),
                ("without-policies", Double(report.astray), nil),
                ("wrong", Double(report.wrong), "value<=0"),
                ("wrong-without-a-label", Double(report.wrongWithoutLabel), nil),
            ] {
                Figure("policy.churn.\(name)", value, "", goal: goal).report()
            }
            Figure(
                "policy.churn.ambiguous", report.ambiguousShare, "",
                goal: "value<=\(PolicyChurn.ambiguousShareMaximum)"
            ).report()
            Figure("policy.churn.window.p50", windows.median, "ms").report()
            Figure("policy.churn.window.p99", windows.percentile(0.99), "ms").report()
            guard report.wrong == 0 else {
                throw LabError(.failed, "\(report.wrong) verdicts were wrong")
            }
            guard report.ambiguousShare <= PolicyChurn.ambiguousShareMaximum,
                report.wrongWithoutLabel > 0
            else { throw LabError(.failed, "the run can't tell right from wrong") }
        }
    }
}
