// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

extension VerdictEngineTests {
    @Test(
        "what a broken path misses is no news, as long as a quorum of the others is heard",
        arguments: [
            ([15, 0, 0], Verdict.up), ([15, 3, 0], .up), ([15, 3, 1], .suspect),
            ([15, 6, 0], .suspect), ([15, 7, 0], .unreachable), ([15, 4, 3], .unreachable),
            ([15, 3], .up), ([15, 5], .suspect), ([15, 6], .unreachable),
            // Two of three are a quorum.
            ([15, 15, 0], .unreachable), ([15, 15, 15], .unreachable),
            ([15, 15], .unreachable), ([15], .unreachable),
        ] as [([Int], Verdict)])
    mutating func broken(missed: [Int], expected: Verdict) {
        report(missed.map { _ in 0 })
        settle()
        report(missed)
        #expect(verdict() == expected)
    }
}
