// SPDX-License-Identifier: Apache-2.0

import MeshSimulation
import Testing

@testable import MeshReplication

/// A simulator that finds nothing proves nothing: these are bugs that it must find.
@Suite("The simulator finds", .tags(.simulation))
struct PlantedBugTests {
    struct Bug: CustomTestStringConvertible, Sendable {
        let testDescription: String
        var core: Flaws = []
        var shell: PlantedFlaws = []
        /// Part of the sentence of the invariant that catches it.
        let finding: String
        var seeds = 60
    }

    static let bugs = [
        Bug(
            testDescription: "a log window that is off by one", core: .windowOffByOne,
            finding: "not converged"),
        Bug(
            testDescription: "bodies that nobody compares with their hashes",
            core: .bodyUnchecked, finding: "accuses an honest owner"),
        Bug(
            testDescription: "states that nobody compares with their roots", core: .rootUnchecked,
            finding: "holds something else"),
        Bug(
            testDescription: "an epoch that goes back", core: .epochGoesBack,
            finding: "went back"),
        Bug(
            testDescription: "a snapshot that sweeps nothing", core: .noSweep,
            finding: "not converged"),
        Bug(
            testDescription: "two histories taken for one", core: .forksIgnored,
            finding: "changed over to another history", seeds: 200),
        Bug(
            testDescription: "the age of a cache in place of the age of what it holds",
            core: .agesForgotten, finding: "outdated"),
        Bug(
            testDescription: "revisions released before they are durable",
            shell: .releasedBeforeDurable, finding: "had acknowledged"),
        Bug(
            testDescription: "a checkpoint that loses a bucket", shell: .checkpointLosesBucket,
            finding: "unusable"),
        Bug(
            testDescription: "a journal that skips batches", shell: .journalSkipsBatches,
            finding: "restores"),
        Bug(
            testDescription: "tables that keep what a ledger deleted", shell: .tablesKeepRecords,
            finding: "shows something else"),
    ]

    @Test(arguments: bugs)
    func finds(_ bug: Bug) throws {
        var findings: [String] = []
        for seed in 1...UInt64(bug.seeds) {
            let plan = StoryPlan(seed: seed, flaws: bug.shell, coreFlaws: bug.core)
            guard let finding = try Mesh.tell(plan) else { continue }
            if finding.contains(bug.finding) {
                print("\(bug.testDescription): seed \(seed), \(finding)")
                return
            }
            findings.append(finding)
        }
        Issue.record("not found by \(bug.seeds) seeds; instead: \(findings.prefix(5))")
    }
}
