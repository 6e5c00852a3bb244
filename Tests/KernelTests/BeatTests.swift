// SPDX-License-Identifier: Apache-2.0

import BPF
import CMeshABI
import KernelTestSupport
import MeshModel
import Testing

@Suite("A heartbeat inside the overlay", .tags(.kernel))
struct BeatTests {
    @Test(
        "is handed to the agent with its outer source, and goes no further", arguments: [1, 1024])
    func taken(length: Int) throws {
        try inOwnNamespace {
            let world = try World.withOverlay()
            let ring = try RingBuffer(world.object.map(named: "weft_beats"))
            let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 7) }
            let outcome = try world.receive(beat: bytes)
            #expect(outcome.action == Action.drop)
            var taken: [(weft_beat, [UInt8])] = []
            try ring.consume { record in
                let beat = record.loadUnaligned(as: weft_beat.self)
                taken.append((beat, Array(record[24..<24 + Int(beat.length)])))
            }
            #expect(taken.count == 1)
            #expect(taken.first.map { Address($0.0.outer) } == World.outer(cluster: 2))
            #expect(taken.first?.1 == bytes)
            #expect(try world.takeEvents().isEmpty, "no packet was dropped")
        }
    }

    @Test("of nobody who may send one is dropped, with its reason")
    func refused() throws {
        try inOwnNamespace {
            let world = try World.withOverlay()
            let ring = try RingBuffer(world.object.map(named: "weft_beats"))
            let health = World.identity(cluster: 2, 4)
            _ = try world.receive(beat: [1], outer: Address("203.0.113.5")!, identity: health)
            // Another cluster's node, and a workload.
            _ = try world.receive(beat: [1], outer: World.outer(cluster: 3), identity: health)
            _ = try world.receive(beat: [1], identity: World.identity(cluster: 2, 300))
            #expect(try world.count(WEFT_DROP_UNKNOWN_NODE) == 3)
            _ = try world.receive(beat: [1], outer: nil)
            #expect(try world.count(WEFT_DROP_NO_IDENTITY) == 1)
            _ = try world.receive(beat: [UInt8](repeating: 1, count: 1025))
            #expect(try world.count(WEFT_DROP_MALFORMED) == 1)
            #expect(try ring.consume { _ in } == 0)
            // Behind an address translation nobody is known by his address.
            try world.settings.update(
                2,
                weft_cluster_settings(
                    cluster: 2, source_check: UInt8(WEFT_SOURCE_CHECK_OFF.rawValue), pad: 0))
            _ = try world.receive(beat: [1], outer: Address("203.0.113.5")!, identity: health)
            #expect(try ring.consume { _ in } == 1)
        }
    }
}

extension World {
    func receive(
        beat bytes: [UInt8], outer: Address? = World.outer(cluster: 2),
        identity: UInt32 = World.identity(cluster: 2, 4)
    ) throws -> Outcome {
        let gateway: [UInt8] = [0x02, 0, 0x77, 0x65, 0x66, 0x74]
        return try receive(
            gateway + gateway + [0x88, 0xb5] + bytes, outer: outer, identity: identity)
    }
}
