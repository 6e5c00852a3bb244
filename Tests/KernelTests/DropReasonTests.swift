// SPDX-License-Identifier: Apache-2.0

import BPF
import CMeshABI
import KernelTestSupport
import MeshModel
import Testing

/// A packet that is dropped for a reason, and the world that makes it so.
struct DropCase: Sendable, CustomTestStringConvertible {
    let reason: weft_drop_reason
    /// Told to the sender: the packet comes back changed instead of vanishing.
    var isAnswered = false
    let run: @Sendable () throws -> (World, Outcome)

    var testDescription: String { String(cString: weft_drop_label(reason.rawValue)) }
}

@Suite("Every drop has a reason", .tags(.kernel))
struct DropReasonTests {
    @Test("that is counted and told", arguments: DropCase.all)
    func counted(drop: DropCase) throws {
        try inOwnNamespace {
            let (world, outcome) = try drop.run()
            #expect(outcome.action == (drop.isAnswered ? Action.redirect : Action.drop))
            #expect(try world.count(drop.reason) == 1)
            let told = try world.takeEvents().filter { UInt32($0.reason) == drop.reason.rawValue }
            #expect(told.count == 1)
            let type =
                switch drop.reason {
                case WEFT_DROP_POLICY_DENIED: WEFT_EVENT_DENIED
                case WEFT_DROP_PEER_DEAD: WEFT_EVENT_RESET
                default: WEFT_EVENT_DROPPED
                }
            #expect(told.first.map { UInt32($0.type) } == type.rawValue)
            // Nothing else was counted as dropped.
            for other in 1..<WEFT_DROP_END.rawValue where other != drop.reason.rawValue {
                #expect(try world.count(weft_drop_reason(other)) == 0)
            }
        }
    }

    @Test("and every reason a test")
    func complete() {
        let tested = Set(DropCase.all.map(\.reason.rawValue))
        #expect(tested == Set(1..<WEFT_DROP_END.rawValue))
    }

    @Test("a flood of drops leaves room in the ring for others")
    func flood() throws {
        try inOwnNamespace {
            let world = try World()
            let spoofed = udp(Peer(Family.ipv4.remote, 1), Peer(Family.ipv4.neighbour, 2))
            for _ in 0..<2000 { _ = try world.send(spoofed) }
            #expect(try world.count(WEFT_DROP_INVALID_SOURCE) == 2000)
            let told = try world.takeEvents().count
            #expect(told >= 256 && told < 2000)
            #expect(try world.count(WEFT_COUNTER_EVENTS_LOST) == 2000 - UInt64(told))
        }
    }
}
