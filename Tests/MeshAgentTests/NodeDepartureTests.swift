// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

@testable import MeshAgent

@Suite("A node that leaves")
struct NodeDepartureTests {
    typealias Burden = NodeDeparture.Burden
    private static let start = Instant(nanoseconds: 1_000_000_000_000)
    private var departure = NodeDeparture()

    @Test("goes when nobody needs it, and not before its word has had its time")
    mutating func inOrder() {
        #expect(departure.step(Burden(), at: Self.start) == false, "nobody asked it to")
        #expect(departure.leave(within: .seconds(60), at: Self.start) == true)
        #expect(
            departure.step(Burden(), at: Self.start + NodeDeparture.stay - .nanoseconds(1)) == false
        )
        let burdens = [
            Burden(isUnannounced: true), Burden(isRelay: true), Burden(paths: 1),
            Burden(connections: 1),
        ]
        for (second, burden) in burdens.enumerated() {
            #expect(departure.step(burden, at: Self.start + .seconds(second + 4)) == false)
            #expect(departure.phase == .draining && departure.burden.sentences.count == 1)
        }
        #expect(departure.step(Burden(), at: Self.start + .seconds(9)) == true)
        #expect(departure.phase == .left && departure.burden.sentences.isEmpty)
        #expect(departure.step(Burden(), at: Self.start + .seconds(10)) == false, "once")
        #expect(departure.leave(within: .zero, at: Self.start + .seconds(11)) == false)
    }

    @Test("goes when its time is over, and says what it left open; a new wish begins anew")
    mutating func timeout() {
        let burden = Burden(isRelay: true, paths: 3, connections: 2)
        #expect(departure.leave(within: .seconds(10), at: Self.start) == true)
        #expect(departure.step(burden, at: Self.start + .seconds(9)) == false)
        #expect(departure.leave(within: .seconds(5), at: Self.start + .seconds(9)) == true)
        #expect(departure.remaining(at: Self.start + .seconds(10)) == .seconds(4))
        #expect(departure.step(burden, at: Self.start + .seconds(13)) == false)
        #expect(departure.step(burden, at: Self.start + .seconds(14)) == true)
        #expect(departure.burden == burden && departure.remaining(at: Self.start) == nil)
        #expect(departure.stayAfterAll() == true)
        #expect(departure == NodeDeparture())
        #expect(departure.stayAfterAll() == false)
    }

    @Test("is where it was after a restart; what doesn't read is refused")
    mutating func disk() throws {
        #expect(NodeDeparture("\(departure)") == departure)
        _ = departure.leave(within: .seconds(90), at: Self.start)
        var restored = try #require(NodeDeparture("\(departure)"))
        #expect(restored.phase == .draining && restored.timeout == .seconds(90))
        // It waits anew, from the first look.
        #expect(restored.step(Burden(connections: 1), at: Self.start) == false)
        #expect(restored.step(Burden(connections: 1), at: Self.start + .seconds(89)) == false)
        #expect(restored.step(Burden(connections: 1), at: Self.start + .seconds(90)) == true)
        #expect(NodeDeparture("\(restored)\n")?.phase == .left)
        for text in [
            "", "left", "gone 3", "left -1", "left x", "left 9223372036854775807", "left 1 2",
        ] {
            #expect(NodeDeparture(text) == nil, "\(text)")
        }
    }
}
