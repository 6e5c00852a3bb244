// SPDX-License-Identifier: Apache-2.0

import MeshSimulation
import Testing

@testable import MeshMembership

@Suite("Stories of a cluster", .tags(.simulation))
struct StoryTests {
    @Test("the invariant holds", arguments: Story.all)
    func holds(_ story: Story) async throws {
        let broken = try await Replay.run(3) { story.tell($0, .default, []) }
        for (seed, finding) in broken {
            Issue.record("\(finding); \(Replay.hint(seed, filter: "StoryTests"))")
        }
    }
}

/// A simulator that finds nothing proves nothing: these are bugs that it must find.
@Suite("The simulator finds", .tags(.simulation))
struct PlantedBugTests {
    struct Bug: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let flaw: Flaws
        let story: Story
        /// Part of the sentence that catches it.
        let finding: String
    }

    static let bugs = [
        Bug(
            testDescription: "one that never contradicts", flaw: .noRefutation,
            story: .weather, finding: "for dead"),
        Bug(
            testDescription: "confirmations that shorten nothing", flaw: .confirmationsIgnored,
            story: .crash, finding: "wasn't known"),
        Bug(
            testDescription: "tables that kill", flaw: .tablesKill,
            story: .lostOne, finding: "for dead"),
        Bug(
            testDescription: "a health score that multiplies nothing", flaw: .scoreIgnored,
            story: .deafness, finding: "accused"),
        Bug(
            testDescription: "dead ones that return as they were", flaw: .deadReturn,
            story: .revival, finding: "which had died"),
        Bug(
            testDescription: "a process that takes its own sleep for others' silence",
            flaw: .latenessIgnored, story: .pause, finding: "for dead"),
        Bug(
            testDescription: "gossip that never ends", flaw: .gossipNeverEnds, story: .silence,
            finding: "nothing to tell"),
        Bug(
            testDescription: "dead ones that nobody speaks to", flaw: .deadAreShunned,
            story: .partition, finding: "didn't heal"),
        Bug(
            testDescription: "one cut off that blames the others", flaw: .isolationIgnored,
            story: .exile, finding: "isolated one"),
        Bug(
            testDescription: "deaths of those that were never asked", flaw: .nobodyIsCalled,
            story: .missed, finding: "member 17 took 5 for dead"),
    ]

    @Test(arguments: bugs)
    func finds(_ bug: Bug) {
        var findings: [String] = []
        for seed in UInt64(1)...10 {
            guard let finding = bug.story.tell(seed, .default, bug.flaw) else { continue }
            if finding.contains(bug.finding) {
                print("\(bug.testDescription): seed \(seed), \(finding)")
                return
            }
            findings.append(finding)
        }
        Issue.record("not found by 10 seeds; instead: \(findings.prefix(5))")
    }
}
