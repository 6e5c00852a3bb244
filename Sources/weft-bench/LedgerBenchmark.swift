// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import FoundationEssentials
import Glibc
import MeshAgent
import MeshJournal
import MeshLab
import MeshModel
import MeshReplication
import MeshTransport
import MeshTrust

/// From a commit to its arrival at another cluster: durable at the publisher, over mutual TLS.
struct LedgerBenchmark: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ledger",
        abstract: "How fast and at what cost clusters learn each other's state.",
        discussion: """
            Two ends in this process, on loopback, each with the synchroniser, the journal and the \
            streams of an agent; then a relay of a thousand clusters; then the same load in etcd.
            """)

    @OptionGroup var options: BenchOptions

    func run() async throws {
        let folder = FileManager.default.temporaryDirectory.path + "/weft-bench-\(getpid())"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await changes(folder: folder)
        try await volume(folder: folder)
        try ImportBenchmark(quick: options.quick).run()
        try RelayBenchmark(quick: options.quick).run()
        try await EtcdBaseline(quick: options.quick, folder: folder).run()
    }

    /// Two connected ends; the first publishes.
    private func withPair(
        _ folder: String, _ name: String,
        _ body: (LedgerPeer, LedgerPeer, ClusterID, _ connect: () -> Void) async throws -> Void
    ) async throws {
        let home = "\(folder)/\(name)"
        try FileManager.default.createDirectory(
            atPath: home, withIntermediateDirectories: true)
        let clusters = try [LedgerCluster(1, folder: home), LedgerCluster(2, folder: home)]
        let publisher = try LedgerPeer(
            clusters[0], of: clusters, journal: "\(home)/1/own.db", durability: .full)
        let reader = try LedgerPeer(
            clusters[1], of: clusters, journal: "\(home)/2/replicas.db", durability: .normal)
        await publisher.open(try clusters[0].ledger(epoch: 1))
        let address = try await publisher.links.start()
        _ = try await reader.links.start()
        let target = LinkTarget(
            address: address.address, port: address.port, cluster: clusters[0].name)
        let runs = [Task { await publisher.run() }, Task { await reader.run() }]
        defer { for run in runs { run.cancel() } }
        try await body(publisher, reader, clusters[0].id) {
            reader.links.updateTargets([target])
        }
        try await publisher.close()
        try await reader.close()
    }

    // MARK: Latency

    private func changes(folder: String) async throws {
        try await withPair(folder, "changes") { publisher, reader, owner, connect in
            connect()
            try await publisher.publish(LedgerRecords.endpoints(0..<1000, of: owner))
            try await publisher.idle()
            var changes = LedgerRecords.Churn(of: owner)
            for (rate, count) in [(10, options.quick ? 100 : 300), (1000, 5000)] {
                try await pace(rate, count, &changes, publisher, reader, owner)
            }
            try await burst(&changes, publisher, reader, owner)
        }
    }

    private func pace(
        _ rate: Int, _ count: Int, _ changes: inout LedgerRecords.Churn,
        _ publisher: LedgerPeer, _ reader: LedgerPeer, _ owner: ClusterID
    ) async throws {
        await reader.forgetArrivals()
        var begins: [(position: Position, moment: UInt64)] = []
        let interval = 1e9 / Double(rate)
        let start = monotonicNow()
        for number in 0..<count {
            let due = start + UInt64(Double(number) * interval)
            let now = monotonicNow()
            if due > now { try await Task.sleep(for: .nanoseconds(Int64(due - now))) }
            let moment = monotonicNow()
            begins.append((try await publisher.publish([changes.next()]), moment))
        }
        try await publisher.idle()
        guard let last = await publisher.synchroniser.head(of: owner)?.position else { return }
        _ = await reader.arrival(of: owner, at: last)
        let arrivals = await reader.arrivals.sorted { $0.key < $1.key }
        var times = Sample()
        var next = arrivals.startIndex
        for (position, moment) in begins {
            while next < arrivals.endIndex, arrivals[next].key < position { next += 1 }
            guard next < arrivals.endIndex else { break }
            times.add(milliseconds(from: moment, to: arrivals[next].value))
        }
        let goals = rate == 10 ? ["value<=10", "value<=25"] : [nil, nil]
        Figure("ledger.commit.\(rate)/s.p50", times.percentile(0.5), "ms", goal: goals[0]).report()
        Figure("ledger.commit.\(rate)/s.p99", times.percentile(0.99), "ms", goal: goals[1]).report()
    }

    private func burst(
        _ changes: inout LedgerRecords.Churn, _ publisher: LedgerPeer, _ reader: LedgerPeer,
        _ owner: ClusterID
    ) async throws {
        var times = Sample()
        for _ in 0..<11 {
            let begin = monotonicNow()
            for _ in 0..<1000 { try await publisher.publish([changes.next()]) }
            try await publisher.idle()
            guard let last = await publisher.synchroniser.head(of: owner)?.position else { return }
            let end = await reader.arrival(of: owner, at: last)
            times.add(milliseconds(from: begin, to: end))
        }
        Figure("ledger.burst.1000.p50", times.median, "ms", goal: "value<=300").report()
        Figure("ledger.burst.1000.max", times.largest, "ms", goal: "value<=300").report()
    }

    // MARK: Volume

    private func volume(folder: String) async throws {
        let count = 100_000
        try await withPair(folder, "volume") { publisher, reader, owner, connect in
            let commit = monotonicNow()
            try await publisher.publish(LedgerRecords.endpoints(0..<count, of: owner))
            try await publisher.idle()
            Figure("ledger.commit.100k", milliseconds(from: commit, to: monotonicNow()), "ms")
                .report()
            guard let full = await publisher.synchroniser.head(of: owner)?.position else { return }
            await publisher.forgetArrivals()
            let cold = monotonicNow()
            connect()
            let arrival = await reader.arrival(of: owner, at: full)
            Figure("ledger.snapshot.100k", milliseconds(from: cold, to: arrival), "ms").report()
            Figure(
                "ledger.snapshot.bytes", Double(await publisher.sentBytes) / Double(count),
                "bytes/endpoint"
            ).report()

            // Ten minutes of changes while the link is cut, one commit each.
            await reader.cut()
            for number in 0..<count / 100 {
                try await publisher.publish([
                    LedgerRecords.endpoint(number * 100, of: owner, version: 1)
                ])
                try await publisher.idle()
            }
            guard let last = await publisher.synchroniser.head(of: owner)?.position else { return }
            await publisher.forgetArrivals()
            await reader.forgetArrivals()
            let healed = monotonicNow()
            connect()
            let end = await reader.arrival(of: owner, at: last)
            Figure(
                "ledger.resync.1%", milliseconds(from: healed, to: end) / 1000, "s",
                goal: "value<=2"
            ).report()
            Figure("ledger.resync.snapshots", Double(await reader.snapshots), "", goal: "value<=0")
                .report()
            Figure(
                "ledger.resync.bytes", Double(await publisher.sentBytes) / Double(count / 100),
                "bytes/change"
            ).report()
        }
        try restart(folder: "\(folder)/volume", count: count)
    }

    private func restart(folder: String, count: Int) throws {
        let path = "\(folder)/2/replicas.db"
        let size = try FileManager.default.attributesOfItem(atPath: path)[.size] as? UInt64
        Figure("ledger.disk", Double(size ?? 0) / Double(count), "bytes/endpoint").report()
        let begin = monotonicNow()
        let opening = try Journal.open(path, durability: .normal)
        for stored in opening.replicas {
            var synchroniser = Synchroniser()
            var effects: [ReplicationEffect] = []
            guard let cluster = try? storedAuthority(folder, stored.owner) else { continue }
            synchroniser.add(owner: stored.owner, authority: cluster, into: &effects)
            try synchroniser.restore(
                stored.owner, header: stored.header,
                buckets: stored.buckets.map { .init(index: $0.index, bytes: $0.bytes) },
                log: stored.log.map(\.message), at: .monotonicNow, into: &effects)
            Figure(
                "ledger.restart.100k", milliseconds(from: begin, to: monotonicNow()) / 1000, "s",
                goal: "value<=1"
            ).report()
        }
        try opening.journal.close()
    }

    private func storedAuthority(_ folder: String, _ owner: ClusterID) throws -> LedgerAuthority {
        guard let name = ClusterName(rawValue: "c\(owner.rawValue)") else {
            throw LabError(.failed, "no cluster \(owner)")
        }
        return try LedgerAuthority(
            CertificateAuthority.load(
                cluster: name, mesh: LedgerCluster.mesh, from: "\(folder)/c\(owner.rawValue)"
            ).bundle, denials: DenyBook(mesh: LedgerCluster.mesh))
    }
}
