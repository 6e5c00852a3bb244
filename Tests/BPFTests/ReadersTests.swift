// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import BPF

@Suite("waiting for running programs", .tags(.kernel))
struct ReadersTests {
    @Test("both ways return: the barrier, and the map of maps where that one can't be trusted")
    func waits() throws {
        try Readers.waitForAll()
        try Readers.waitByNestedMap()
    }
}
