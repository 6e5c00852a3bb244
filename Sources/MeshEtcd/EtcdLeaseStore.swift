// SPDX-License-Identifier: Apache-2.0

import Logging
public import MeshLease
public import MeshModel

/// The publisher's lease as a key of etcd, without an etcd lease on it.
///
/// etcd could delete the key of a holder that stopped renewing, but that would save nothing and cost
/// the guarantees: its time to live has whole seconds and begins anew when etcd elects a leader; the
/// token and the epochs, which must outlive every holder, would need another key anyway; and a
/// candidate's waiting would rest on etcd's clock here and on its own in the other stores. So the
/// record stays, and candidates watch it stand still, as the Kubernetes electors do.
public struct EtcdLeaseStore: LeaseStore {
    public let parameters: LeaseParameters
    private let client: EtcdClient
    private let keys: EtcdKeys

    public init(
        client: EtcdClient, cluster: ClusterName, parameters: LeaseParameters = .contended
    ) {
        self.client = client
        self.parameters = parameters
        keys = EtcdKeys(cluster: cluster)
    }

    public func read() async throws(LeaseStoreError) -> LeaseState? {
        do {
            let reply = try await client.range(WireRangeRequest(EtcdRange(key: keys.lease)))
            return try state(reply.kvs.first)
        } catch {
            throw LeaseStoreError(error)
        }
    }

    public func swap(
        _ record: LeaseRecord, replacing version: LeaseVersion?
    ) async throws(LeaseStoreError) -> LeaseSwap {
        guard let revision = version.map({ Int64($0.rawValue) }) ?? 0 else {
            throw LeaseStoreError(.refused, "not a version of etcd's: \(version?.rawValue ?? "")")
        }
        var request = WireTxnRequest()
        request.compare = [.written(keys.lease, at: revision)]
        request.success = [
            .put(keys.lease, Array(record.description.utf8)),
            .put(
                keys.tenure, EtcdKeys.tenureText(token: record.token, holder: record.holder)),
        ]
        request.failure = [.get(keys.lease)]
        do {
            let reply = try await client.transact(request)
            guard !reply.succeeded else { return .swapped(LeaseVersion(reply.header.revision)) }
            return .conflict(try state(reply.entry(0)))
        } catch {
            throw LeaseStoreError(error)
        }
    }

    public func changes() -> AsyncStream<LeaseState?> {
        EtcdOutlet.makeStream { [client, keys] outlet in
            await EtcdFollower(
                client: client, range: EtcdRange(key: keys.lease),
                list: {
                    let listing = try await client.list(EtcdRange(key: keys.lease))
                    await outlet.send(try state(listing.entries.first))
                    return listing.revision
                },
                change: { change in
                    guard let event = change.events.last else { return }
                    await outlet.send(event.type == .delete ? nil : try state(event.kv))
                },
                reset: { _ in },
                interrupted: { error in
                    client.logger.debug(
                        "the lease's watch was interrupted", metadata: ["error": "\(error)"])
                }
            ).run()
        }
    }
}

private func state(_ entry: WireKeyValue?) throws(EtcdError) -> LeaseState? {
    guard let entry else { return nil }
    guard let text = String(validating: entry.value, as: UTF8.self), let record = LeaseRecord(text)
    else { throw EtcdError(.malformed, "the lease key holds no lease record") }
    return LeaseState(record: record, version: LeaseVersion(entry.modRevision))
}

extension LeaseVersion {
    init(_ revision: Int64) { self.init(rawValue: String(revision)) }
}

extension LeaseStoreError {
    init(_ error: EtcdError) {
        let code: Code =
            switch error.code {
            case .malformed: .malformed
            case .refused, .tooLarge, .configuration: .refused
            default: .unavailable
            }
        self.init(code, error.message)
    }
}
