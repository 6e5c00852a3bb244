// SPDX-License-Identifier: Apache-2.0

import MeshDatapath
import MeshModel
import Testing

@testable import MeshAgent

@Suite struct FlowLedgerTests {
    @Test("flows are counted by the clusters at their ends")
    func counts() throws {
        let ledger = FlowLedger()
        for _ in 0..<2 {
            var batch = FlowLedger.Batch()
            batch.add(try event(.opened, to: 2))
            batch.add(try event(.closed, to: 2, bytes: 700))
            batch.add(try event(.denied, to: nil))
            batch.add(try event(.audited, to: nil))
            ledger.add(batch)
        }
        let counts = ledger.counts.sorted { $0.count.opened > $1.count.opened }
        #expect(counts.map(\.pair.from?.rawValue) == [1, 1])
        #expect(counts.map(\.pair.to?.rawValue) == [2, nil])
        #expect(counts.map(\.count.opened) == [2, 0] && counts.map(\.count.closed) == [2, 0])
        #expect(counts.map(\.count.bytes) == [1400, 0] && counts.map(\.count.packets) == [8, 0])
        #expect(counts.map(\.count.refused) == [0, 2])
    }

    @Test("the newest refusals are kept, in order; what is gone is counted, whatever the batches")
    func refusals() throws {
        for sizes in [[1, 1, 1], [300], [200, 200, 7], [1000, 3], [256, 256]] {
            let ledger = FlowLedger()
            var number: UInt64 = 0
            for size in sizes {
                var batch = FlowLedger.Batch()
                for _ in 0..<size {
                    number += 1
                    batch.add(try event(.dropped, to: nil, at: number))
                }
                ledger.add(batch)
            }
            let all = ledger.refusals(after: nil, atMost: 64)
            #expect(all.position == number && all.lost == 0)
            let kept = min(number, 64)
            #expect(all.events.map(\.nanoseconds) == Array(number - kept + 1...number))
            #expect(ledger.refusals(after: number, atMost: 64).events.isEmpty)
            #expect(ledger.refusals(after: number - 1, atMost: 64).events.count == 1)
            let since = ledger.refusals(after: 0, atMost: 1_000)
            #expect(since.events.count == min(Int(number), 256))
            #expect(since.lost + UInt64(since.events.count) == number)
            // A position of an earlier life.
            #expect(ledger.refusals(after: number + 9, atMost: 64).events == all.events)
        }
    }

    private func event(
        _ kind: FlowEvent.Kind, to cluster: UInt16?, at time: UInt64 = 0, bytes: UInt64 = 0
    ) throws -> FlowEvent {
        func side(_ cluster: UInt16?) throws -> FlowSide {
            FlowSide(
                at: FlowAddress(address: .unspecified, port: 80),
                identity: Identity(rawValue: cluster.map { UInt32($0) << 20 | 256 } ?? 2))
        }
        return FlowEvent(
            kind: kind, nanoseconds: time, transport: 6, source: try side(1),
            destination: try side(cluster), frontend: nil, cluster: nil, reason: nil,
            packets: kind == .closed ? 4 : 0, bytes: bytes, interface: 1)
    }
}
