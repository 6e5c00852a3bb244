// SPDX-License-Identifier: Apache-2.0

import MeshSimulation
import Testing

@testable import MeshAgent

@Suite("A set of small numbers")
struct NumberSetTests {
    @Test("finds and counts what it lacks in any range, across words and at their edges")
    func missing() {
        var random = SeededGenerator(seed: 1)
        let bound = 200
        var numbers = NumberSet(bound: bound)
        var model: Set<Int> = []
        for _ in 0..<2000 {
            let number = Int(random.next() % UInt64(bound))
            if random.chance(0.7) {
                numbers.insert(number)
                model.insert(number)
            } else {
                numbers.remove(number)
                model.remove(number)
            }
            #expect(numbers.contains(number) == model.contains(number))
            let edges = [0, 1, 63, 64, 65, 127, 128, 199, 200, number]
            let (one, other) = (edges.randomElement(using: &random)!, number)
            let range = min(one, other)..<max(one, other)
            let lacking = range.filter { !model.contains($0) }
            #expect(numbers.firstMissing(in: range) == lacking.first, "\(range)")
            #expect(numbers.missingCount(in: range) == lacking.count, "\(range)")
        }
    }
}
