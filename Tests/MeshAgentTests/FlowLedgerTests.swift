// SPDX-License-Identifier: Apache-2.0

import MeshDatapath
import MeshModel
import MeshStore
import Testing

@testable import MeshAgent

@Suite struct FlowLedgerTests {
    @Test("flows are counted by the clusters at their ends")
    func counts() throws {
        let ledger = FlowLedger()
        for _ in 0..<2 {
            var batch = FlowLedger.Batch { _ in nil }
            batch.add(try event(.opened, to: 2))
            batch.add(try event(.closed, to: 2, bytes: 700))
            batch.add(try event(.denied, to: nil))
            batch.add(try event(.audited, to: nil))
            ledger.add(batch, at: .zero)
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
                var batch = FlowLedger.Batch { _ in nil }
                for _ in 0..<size {
                    number += 1
                    batch.add(try event(.dropped, to: nil, at: number))
                }
                ledger.add(batch, at: .zero)
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

    private func workload(_ number: Int) -> FlowLedger.Workload {
        FlowLedger.Workload(namespace: "shop", name: "w\(number)")
    }

    /// Workloads whose addresses are their numbers.
    private func batch(_ numbers: some Sequence<Int>, _ kind: FlowEvent.Kind) throws
        -> FlowLedger.Batch
    {
        var batch = FlowLedger.Batch { address in
            address.ipv4.flatMap { $0 == 0 ? nil : workload(Int($0)) }
        }
        for number in numbers {
            batch.add(try event(kind, from: Address(ipv4: UInt32(number)), to: 2, bytes: 10))
        }
        return batch
    }

    @Test("a flood of workloads makes no more series than there may be; nothing goes uncounted")
    func flood() throws {
        let ledger = FlowLedger()
        for round in 0..<20 {
            ledger.add(try batch(1...500, .opened), at: .zero + .seconds(round))
            ledger.add(try batch(1...500, .closed), at: .zero + .seconds(round))
        }
        let (series, folded) = ledger.byWorkload
        #expect(series.count == FlowLedger.seriesMaximum)
        #expect(series.allSatisfy { $0.count.opened == 20 && $0.count.bytes == 200 })
        #expect(folded.opened == UInt64(20 * (500 - FlowLedger.seriesMaximum)))
        #expect(ledger.counts.map(\.count.opened) == [10_000])
        #expect(ledger.counts.map(\.count.bytes) == [100_000])
    }

    @Test("a workload that is long gone makes room for another; the page's sums stay")
    func idle() throws {
        let ledger = FlowLedger()
        ledger.add(try batch(1...FlowLedger.seriesMaximum, .opened), at: .zero)
        ledger.add(try batch(2...FlowLedger.seriesMaximum, .opened), at: .zero + .seconds(899))
        ledger.add(try batch([1000], .opened), at: .zero + .seconds(899))
        #expect(ledger.byWorkload.folded.opened == 1)
        ledger.add(try batch([1001], .denied), at: .zero + .seconds(900))
        let (series, folded) = ledger.byWorkload
        #expect(series.count == FlowLedger.seriesMaximum && folded.opened == 1)
        #expect(series.first { $0.series.workload == workload(1001) }?.count.denied == 1)
        #expect(!series.contains { $0.series.workload == workload(1) })
        #expect(ledger.counts.map(\.count.opened) == [UInt64(2 * FlowLedger.seriesMaximum)])
        #expect(ledger.counts.map(\.count.refused) == [1])
    }

    @Test("a flow is the workload's that opened it, else the one's it goes to, as it sees it")
    func ends() throws {
        let ledger = FlowLedger()
        var batch = FlowLedger.Batch { address in
            [1, 2].contains(address.ipv4) ? workload(Int(address.ipv4 ?? 0)) : nil
        }
        let (one, two, afar) = (Address(ipv4: 1), Address(ipv4: 2), Address(ipv4: 9))
        batch.add(try event(.opened, from: one, toAddress: two, to: 1))
        batch.add(try event(.opened, from: one, toAddress: afar, to: 2))
        batch.add(try event(.denied, from: afar, toAddress: two, fromCluster: 2, to: 1))
        batch.add(try event(.dropped, from: afar, toAddress: afar, to: nil))
        ledger.add(batch, at: .zero)
        let told = ledger.byWorkload.series.map { row in
            "\(row.series.workload?.name ?? "-") \(row.series.direction) "
                + "\(row.series.peer.map(\.description) ?? "-")"
        }
        #expect(told.sorted() == ["- ingress 1", "w1 egress 1", "w1 egress 2", "w2 ingress 2"])
    }

    @Test(
        "a workload has the name that all its replicas have",
        arguments: [
            (["app.kubernetes.io/name": "api", "app": "x"], "api"), (["k8s-app": "dns"], "dns"),
            (["app": "web"], "web"), (["app": ""], "web-7"), ([:], "web-7"),
        ])
    func names(labels: Labels, name: String) {
        func row(_ workload: LocalWorkload?) -> EndpointRow {
            EndpointRow(
                address: Address(ipv4: 1), record: RecordHash(rawValue: 1),
                object: ObjectName(namespace: "shop", name: "web-7"), identity: .world, node: own,
                local: nil, workload: workload)
        }
        #expect(
            FlowLedger.Workload(row(LocalWorkload(labels: labels)))
                == FlowLedger.Workload(namespace: "shop", name: name))
        #expect(FlowLedger.Workload(row(nil)) == nil && FlowLedger.Workload(nil) == nil)
    }

    private func event(
        _ kind: FlowEvent.Kind, from source: Address = .unspecified,
        toAddress destination: Address = .unspecified, fromCluster: UInt16 = 1,
        to cluster: UInt16?, at time: UInt64 = 0, bytes: UInt64 = 0
    ) throws -> FlowEvent {
        func side(_ address: Address, _ cluster: UInt16?) -> FlowSide {
            FlowSide(
                at: FlowAddress(address: address, port: 80),
                identity: Identity(rawValue: cluster.map { UInt32($0) << 20 | 256 } ?? 2))
        }
        return FlowEvent(
            kind: kind, nanoseconds: time, transport: 6, source: side(source, fromCluster),
            destination: side(destination, cluster), frontend: nil, cluster: nil, reason: nil,
            packets: kind == .closed ? 4 : 0, bytes: bytes, interface: 1)
    }
}
