// SPDX-License-Identifier: Apache-2.0

import MeshLease
import MeshModel
import Testing

@Suite struct BootClockTests {
    @Test("what is older than the machine's start has an instant, too")
    func beforeStart() {
        let now = Instant.bootNow
        let old = now - .seconds(10 * 365 * 86_400)
        #expect(now - old == .seconds(10 * 365 * 86_400))
    }
}
