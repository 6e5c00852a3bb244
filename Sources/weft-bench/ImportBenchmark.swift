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
        let source = try publisher(of: owner, key, count)
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

    private func publisher(
        of owner: ClusterID, _ key: P256.Signing.PrivateKey, _ count: Int
    ) throws -> Synchroniser {
        var source = Synchroniser()
        var effects: [ReplicationEffect] = []
        source.add(owner: owner, authority: LedgerAuthority([key.publicKey]), into: &effects)
        let ledgerKey = Curve25519.Signing.PrivateKey()
        let delegation = Delegation(
            owner: owner, epoch: 1, key: ledgerKey.publicKey, notAfter: .max)
        source.open(
            Ledger(
                try delegation.signed { Array(try key.signature(for: $0).rawRepresentation) },
                key: ledgerKey))
        for start in stride(from: 0, to: count, by: 50_000) {
            effects = []
            try source.publish(
                LedgerRecords.endpoints(start..<min(start + 50_000, count), of: owner),
                into: &effects)
        }
        return source
    }
}

/// One importing agent's replica and tables.
private struct Importer {
    private static let link = ReplicationLink(rawValue: 1)
    private var sink = Synchroniser()
    private let store = MeshStore()
    private var tables: RecordTables

    init(
        _ owner: ClusterID, _ key: P256.Signing.PrivateKey, from publisher: Synchroniser,
        _ count: Int
    ) throws {
        guard let node = ClusterID(rawValue: 1).flatMap({ NodeID(cluster: $0, name: "n") })
        else { throw LabError(.failed, "no node") }
        tables = RecordTables(own: node, store: store)
        var source = publisher
        var effects: [ReplicationEffect] = []
        sink.add(owner: owner, authority: LedgerAuthority([key.publicKey]), into: &effects)
        effects = []
        source.linkUp(Self.link, into: &effects)
        var toSink = messages(effects)
        effects = []
        sink.linkUp(Self.link, into: &effects)
        while true {
            let toSource = messages(effects)
            guard !toSource.isEmpty || !toSink.isEmpty else { break }
            effects = []
            for message in toSource {
                source.receive(message, from: Self.link, at: .zero, into: &effects)
            }
            toSink += messages(effects)
            effects = []
            for message in toSink {
                sink.receive(message, from: Self.link, at: .zero, into: &effects)
            }
            toSink = []
            for case .changed(let update) in effects { apply(update) }
        }
        guard store.read({ $0.endpoints.count }) == count else {
            throw LabError(.failed, "the tables hold \(store.read { $0.endpoints.count }) rows")
        }
    }

    private mutating func apply(_ update: LedgerUpdate) {
        var changes: RecordTables.Changes = [:]
        for change in update.changes {
            guard let key = RecordKey(change.key) else { continue }
            changes[key] = RecordChange(old: change.former, new: change.value)
        }
        tables.apply(changes, of: update.owner)
    }

    private func messages(_ effects: [ReplicationEffect]) -> [[UInt8]] {
        effects.compactMap { if case .send(let bytes, _) = $0 { bytes } else { nil } }
    }
}
