// SPDX-License-Identifier: Apache-2.0

import Glibc
import Logging
import MeshEtcd
import MeshLab
import MeshLease
import MeshModel
import MeshReplication

/// The same hundred thousand records in Debian's etcd: one writer with transactions as large as etcd
/// takes, one watcher, both through this project's client.
struct EtcdBaseline {
    let quick: Bool
    let folder: String

    func run() async throws {
        guard access("/usr/bin/etcd", X_OK) == 0 else {
            tell("etcd isn't installed: no baseline (apt-get install etcd-server)")
            return
        }
        let server = try EtcdProcess(folder: "\(folder)/etcd")
        defer { server.stop() }
        var log = Logger(label: "bench")
        log.logLevel = .critical
        let client = try EtcdClient(
            EtcdConfiguration(
                endpoints: [EtcdEndpoint(host: "127.0.0.1", port: server.port)], credentials: nil),
            logger: log)
        let running = Task { await client.run() }
        defer { running.cancel() }
        try await measure(client, server)
    }

    private func measure(_ client: EtcdClient, _ server: EtcdProcess) async throws {
        guard let cluster = ClusterName(rawValue: "c1"), let owner = ClusterID(rawValue: 1),
            let tenure = try await hold(client, cluster)
        else { throw LabError(.failed, "etcd doesn't give the lease") }
        let store = EtcdLedgerStore(client: client, cluster: cluster)
        let total = quick ? 10_000 : 100_000
        let groups = stride(from: 0, to: total, by: EtcdLimit.changes).map {
            LedgerRecords.endpoints($0..<min($0 + EtcdLimit.changes, total), of: owner)
        }
        let batches = groups.count
        let watcher = Task { () -> UInt64 in
            var seen = 0
            for await event in store.events() {
                if case .batch = event { seen += 1 }
                if seen == batches { break }
            }
            return monotonicNow()
        }
        try await Task.sleep(for: .milliseconds(500))
        let begin = monotonicNow()
        var position = EtcdLedgerPosition.empty
        for group in groups {
            let batch = EtcdBatch(
                changes: group.map { EtcdRecordChange(key: $0.key, value: $0.value) },
                head: [1], message: [UInt8](repeating: 0, count: 64))
            position = try await commit(batch, to: store, as: tenure, after: position)
        }
        let written = monotonicNow()
        let last = await watcher.value
        let name = "ledger.etcd.\(total / 1000)k"
        Figure("\(name).commit", milliseconds(from: begin, to: written), "ms").report()
        Figure("\(name).watched", milliseconds(from: begin, to: last), "ms").report()
        let cold = monotonicNow()
        let snapshot = try await store.snapshot()
        Figure("\(name).snapshot", milliseconds(from: cold, to: monotonicNow()), "ms").report()
        guard snapshot.records.count == total else {
            throw LabError(.failed, "etcd holds \(snapshot.records.count) records")
        }
        Figure(
            "\(name).memory", try server.residentBytes() / Double(total), "bytes/endpoint"
        ).report()
    }

    /// As the agent does: a connection that breaks is made again, and the batch repeated.
    private func commit(
        _ batch: EtcdBatch, to store: EtcdLedgerStore, as tenure: LeaseTenure,
        after position: EtcdLedgerPosition
    ) async throws -> EtcdLedgerPosition {
        while true {
            do throws(EtcdError) {
                return try await store.commit(batch, as: tenure, after: position)
            } catch {
                guard error.code == .unavailable else { throw error }
                try await Task.sleep(for: .milliseconds(200))
            }
        }
    }

    /// A server that is still starting doesn't answer; the keeper asks again.
    private func hold(_ client: EtcdClient, _ cluster: ClusterName) async throws -> LeaseTenure? {
        let store = EtcdLeaseStore(client: client, cluster: cluster)
        var keeper = LeaseKeeper(
            holder: LeaseHolder(node: "bench", instance: 1), parameters: store.parameters)
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<200 {
            let now = Instant(nanoseconds: monotonicNow())
            var effects = keeper.step(at: now, using: &generator)
            while let effect = effects.popLast() {
                guard case .call(let call) = effect else { continue }
                let answer = await store.answer(to: call.request)
                effects += keeper.receive(
                    answer, to: call.id, at: Instant(nanoseconds: monotonicNow()),
                    using: &generator)
            }
            if let tenure = keeper.tenure(at: Instant(nanoseconds: monotonicNow())) {
                return tenure
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        return nil
    }
}
