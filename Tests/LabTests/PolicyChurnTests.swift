// SPDX-License-Identifier: Apache-2.0

import MeshLab
import PolicyChurn
import Testing

@Suite(.tags(.lab), .serialized) struct PolicyChurnTests {
    @Test(
        "while endpoints, labels and policies change, every connection meets the engine's verdict")
    func churn() async throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed \(seed): scripts/bench policy churn --seconds 12 --seed \(seed)")
        try await withLab(try PolicyChurn.labFile()) { lab in
            let report = try await PolicyChurn.run(in: lab, seed: seed, for: .seconds(12))
            print(report.description)
            #expect(report.wrong == 0, "\(report.wrongFlows.joined(separator: "\n"))")
            #expect(report.ambiguousShare <= PolicyChurn.ambiguousShareMaximum)
            #expect(report.allowed > 100 && report.denied > 100)
            // A judge that overlooks a label finds fault with what happened: so would this one.
            #expect(report.wrongWithoutLabel > 0)
        }
    }
}
