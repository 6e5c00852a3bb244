// SPDX-License-Identifier: Apache-2.0

import Testing

@Suite("What fuzzing reached, and what it once broke")
struct CorpusTests {
    @Test(
        "no bytes crash a reader, read differently twice or break what holds of the rest",
        arguments: try fuzzTargets.flatMap { try $0.samples() })
    func corpus(_ sample: CorpusSample) throws { try sample.target.check(sample.bytes) }
}
