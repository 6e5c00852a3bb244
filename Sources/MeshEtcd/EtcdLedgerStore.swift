// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
public import MeshLease
public import MeshModel

/// A cluster's ledger in etcd: the publisher writes it, the cluster's own nodes read it.
public struct EtcdLedgerStore: Sendable {
    private let client: EtcdClient
    private let keys: EtcdKeys

    public init(client: EtcdClient, cluster: ClusterName) {
        self.client = client
        keys = EtcdKeys(cluster: cluster)
    }

    // MARK: Writing

    /// Writes a batch in one transaction, if the tenure is still the one in etcd and the last batch
    /// is still the one that the caller knows.
    ///
    /// - Parameter position: of the last batch. It fences a transaction of this very publisher that
    ///   was long under way: without it, an old batch could land on top of a newer one.
    /// - Throws: ``EtcdError``. `.unavailable`: unknown; commit the same batch again, which does
    ///   nothing if it did take effect. `.deposed`, `.conflict`, `.tooLarge`, `.refused`: nothing
    ///   was written.
    public func commit(
        _ batch: EtcdBatch, as tenure: LeaseTenure, after position: EtcdLedgerPosition
    ) async throws(EtcdError) -> EtcdLedgerPosition {
        let (count, bytes) = (batch.changes.count, batch.byteCount)
        guard count <= EtcdLimit.changes, bytes <= EtcdLimit.transactionBytes else {
            throw EtcdError(.tooLarge, "a batch of \(count) changes and \(bytes) bytes")
        }
        let fence = EtcdKeys.tenureText(token: tenure.token, holder: tenure.holder)
        var request = WireTxnRequest()
        request.compare = [
            .holds(keys.tenure, fence), .written(keys.head, at: position.revision),
        ]
        request.success = batch.changes.map { change in
            change.value.map { .put(keys.records + change.key, $0) }
                ?? .delete(EtcdRange(key: keys.records + change.key))
        }
        request.success += [.put(keys.head, batch.head), .put(keys.batch, batch.message)]
        request.failure = [.get(keys.tenure), .get(keys.head), .get(keys.batch)]
        let reply = try await client.transact(request)
        if reply.succeeded { return EtcdLedgerPosition(revision: reply.header.revision) }
        let head = reply.entry(1)
        if let head, head.modRevision > position.revision, Array(head.value) == batch.head,
            reply.entry(2).map({ Array($0.value) }) == batch.message
        {
            return EtcdLedgerPosition(revision: head.modRevision)
        }
        guard reply.entry(0).map({ Array($0.value) }) == fence else {
            throw EtcdError(.deposed, "the lease is no longer \(tenure.holder)'s")
        }
        throw EtcdError(.conflict, "the last batch is another one")
    }

    // MARK: Reading

    /// The ledger as it is now.
    public func snapshot() async throws(EtcdError) -> EtcdLedgerSnapshot { try await read().0 }

    /// A snapshot, then every batch after it. Ends when its consumer does; reconnects by itself.
    public func events() -> AsyncStream<EtcdLedgerEvent> {
        EtcdOutlet.makeStream { outlet in
            await EtcdFollower(
                client: client, range: EtcdRange(key: keys.batch),
                list: {
                    let (snapshot, revision) = try await read()
                    await outlet.send(.snapshot(snapshot))
                    return revision
                },
                change: { change in
                    guard let event = change.events.last, event.type == .put else {
                        throw EtcdError(.malformed, "the batch was deleted")
                    }
                    await outlet.send(
                        .batch(
                            Array(event.kv.value), EtcdLedgerPosition(revision: change.revision)))
                },
                reset: { await outlet.send(.reset($0)) },
                interrupted: { await outlet.send(.interrupted($0)) }
            ).run()
        }
    }

    private func read() async throws(EtcdError) -> (EtcdLedgerSnapshot, revision: Int64) {
        let listing = try await client.list(EtcdRange(prefix: keys.records))
        let head = try await client.list(EtcdRange(key: keys.head), at: listing.revision)
        let batch = try await client.list(EtcdRange(key: keys.batch), at: listing.revision)
        let length = keys.records.utf8.count
        let snapshot = EtcdLedgerSnapshot(
            records: listing.entries.map { entry in
                EtcdLedgerSnapshot.Record(
                    key: String(decoding: entry.key.dropFirst(length), as: UTF8.self),
                    value: Array(entry.value))
            },
            head: Array(head.entries.first?.value ?? Data()),
            message: Array(batch.entries.first?.value ?? Data()),
            position: EtcdLedgerPosition(revision: head.entries.first?.modRevision ?? 0))
        return (snapshot, listing.revision)
    }
}
