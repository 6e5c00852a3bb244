// SPDX-License-Identifier: Apache-2.0

import MeshSimulation
import Testing

@Suite("Stories of a mesh", .tags(.simulation))
struct MeshStoryTests {
    @Test("the invariant holds", arguments: MeshStory.all)
    func holds(_ story: MeshStory) async throws {
        let broken = try await Replay.run(story.seeds) { story.tell($0) }
        for (seed, finding) in broken {
            Issue.record("\(finding); \(Replay.hint(seed, filter: "MeshStoryTests"))")
        }
    }
}

extension MeshStory: CustomTestStringConvertible {
    var testDescription: String { name }
}
