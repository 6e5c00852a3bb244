// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MeshEtcd

private func message(_ revisions: [Int64], fragment: Bool = false) -> WireWatchResponse {
    var message = WireWatchResponse()
    message.fragment = fragment
    message.events = revisions.map { revision in
        var event = WireEvent()
        event.kv.modRevision = revision
        return event
    }
    return message
}

@Suite("Messages of a watch")
struct EtcdWatchReadingTests {
    @Test("make one change of each revision, whole even if it comes in fragments")
    func grouping() throws {
        var reading = EtcdWatchReading(start: 5)
        func receive(_ message: WireWatchResponse) throws -> [[Int64]] {
            try reading.receive(message).map { [$0.revision, Int64($0.events.count)] }
        }
        #expect(try receive(message([5, 5, 6])) == [[5, 2], [6, 1]])
        #expect(try receive(message([7, 8], fragment: true)) == [[7, 1]])
        #expect(try receive(message([8, 8], fragment: true)) == [])
        #expect(try receive(message([8, 9])) == [[8, 4], [9, 1]])
        #expect(try receive(message([])) == [])
    }

    @Test("say why the watch is over")
    func ends() {
        var compacted = WireWatchResponse()
        compacted.canceled = true
        compacted.compactRevision = 7
        var refused = WireWatchResponse()
        refused.canceled = true
        refused.cancelReason = "permission denied"
        var behind = WireWatchResponse()
        behind.created = true
        behind.header.revision = 3
        for (message, code) in [
            (compacted, EtcdError.Code.compacted), (refused, .refused), (behind, .future),
        ] {
            var reading = EtcdWatchReading(start: 5)
            #expect { _ = try reading.receive(message) } throws: {
                ($0 as? EtcdError)?.code == code
            }
        }
        var level = behind
        level.header.revision = 4
        var reading = EtcdWatchReading(start: 5)
        #expect(throws: Never.self) { _ = try reading.receive(level) }
    }
}
