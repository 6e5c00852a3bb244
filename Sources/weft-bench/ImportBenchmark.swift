// SPDX-License-Identifier: Apache-2.0

import Crypto
import MeshLab
import MeshModel
import MeshReplication
import MeshStore

@testable import MeshAgent

/// What an agent holds in memory for each endpoint that it imports: the replica, and the tables that
/// the kernel's maps are made of. The maps themselves are the kernel's.
struct ImportBenchmark {
    let quick: Bool

    func run() throws {
        for count in quick ? [100_000] : [100_000, 1_000_000] { try measure(count) }
    }

    /// Imports twice: the first time fills what the allocator had left over.
    private func measure(_ count: Int) throws {
        guard let owner = ClusterID(rawValue: 2) else { throw LabError(.failed, "no cluster") }
        let key = P256.Signing.PrivateKey()
        var source = Synchroniser()
        try source.publish(endpoints: count, of: owner, by: key)
        let first = try Importer(owner, key, from: source, count)
        let before = try anonymousMemory()
        let begin = monotonicNow()
        let second = try Importer(owner, key, from: source, count)
        let imported = milliseconds(from: begin, to: monotonicNow())
        let held = try anonymousMemory() - before
        let name = "ledger.import.\(count / 1000)k"
        Figure(
            "\(name).memory", held / Double(count), "bytes/endpoint", goal: "value<=150"
        ).report()
        Figure("\(name).time", imported / 1000, "s").report()
        withExtendedLifetime((source, first, second)) {}
    }
}

/// One importing agent's replica and tables.
private struct Importer {
    private let sink: Synchroniser
    private let store = MeshStore()
    private var tables: RecordTables

    init(
        _ owner: ClusterID, _ key: P256.Signing.PrivateKey, from publisher: Synchroniser,
        _ count: Int
    ) throws {
        guard let node = ClusterID(rawValue: 1).flatMap({ NodeID(cluster: $0, name: "n") })
        else { throw LabError(.failed, "no node") }
        var tables = RecordTables(own: node, store: store)
        var sink = Synchroniser()
        var effects: [ReplicationEffect] = []
        sink.add(owner: owner, authority: LedgerAuthority([key.publicKey]), into: &effects)
        var exchange = LedgerExchange(from: publisher, to: sink)
        exchange.run { update in
            var changes: RecordTables.Changes = [:]
            for change in update.changes {
                guard let key = RecordKey(change.key) else { continue }
                changes[key] = RecordChange(old: change.former, new: change.value)
            }
            tables.apply(changes, of: update.owner)
        }
        self.sink = exchange.sink
        self.tables = tables
        guard store.read({ $0.endpoints.count }) == count else {
            throw LabError(.failed, "the tables hold \(store.read { $0.endpoints.count }) rows")
        }
    }
}
