// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes
import MeshModel
import Testing

@testable import MeshPolicy

@Suite("Random flows through random policies")
struct MillionFlowsTests {
    /// A million flows in all, in chunks that say which seeds they are of.
    static let chunks = 20
    static let worldsPerChunk = 100
    static let flowsPerWorld = 500

    @Test(
        "the engine, the compiled lists and an evaluator written from the specifications agree",
        .tags(.slow), arguments: 0..<chunks)
    func agreement(_ chunk: Int) throws {
        var answers: [String: Int] = [:]
        for number in 0..<Self.worldsPerChunk {
            let seed = UInt64(chunk * Self.worldsPerChunk + number)
            var judge = try Judge(RandomWorld(seed: seed))
            for _ in 0..<Self.flowsPerWorld {
                guard let difference = try judge.compare(&answers) else { continue }
                Issue.record("seed \(seed): \(difference)")
                return
            }
        }
        // Every tier both allows and denies often enough to be wrong.
        #expect(answers.count == 7)
        #expect(answers.values.allSatisfy { $0 > Self.worldsPerChunk * Self.flowsPerWorld / 1000 })
    }

    @Test("what is allowed to a peer of whom nothing is known is allowed to every peer there is")
    func unknownPeers() throws {
        var allowed = 0
        for seed in 0..<300 {
            var judge = try Judge(RandomWorld(seed: UInt64(1_000_000 + seed)))
            for _ in 0..<30 { try judge.checkUnknown(&allowed) }
        }
        #expect(allowed > 1000)
    }

    @Test("peers that come, change and go leave the lists that a fresh compilation has")
    func churn() throws {
        for seed in 0..<200 {
            var judge = try Judge(RandomWorld(seed: UInt64(2_000_000 + seed)))
            try judge.checkChurn()
        }
    }
}
