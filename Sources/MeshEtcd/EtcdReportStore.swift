// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
public import MeshModel

public enum EtcdReportEvent: Hashable, Sendable {
    /// Every node's report; replaces whatever the reader holds.
    case snapshot([String: [UInt8]])
    /// A node's newest report. Nil: it was removed. A report that is replaced at once may be left out.
    case report(node: String, [UInt8]?)
    /// What is stored for a node can't be read; its last report stays in force. The others go on.
    case unreadable(node: String, EtcdError)
    case reset(EtcdReset)
    case interrupted(EtcdError)
}

/// What the nodes of a cluster tell their publisher by way of etcd: one opaque value a node.
///
/// A report that fits a transaction is one key. A longer one is written in parts under a generation
/// of its own first; the key then names the generation, and the same transaction deletes the parts
/// of every other one. A reader therefore never sees parts of two reports.
public struct EtcdReportStore: Sendable {
    /// Bytes of one report.
    public static let maximumBytes = 32 * 1024 * 1024
    static let partBytes = EtcdLimit.transactionBytes / 2

    private let client: EtcdClient
    private let keys: EtcdKeys

    public init(client: EtcdClient, cluster: ClusterName) {
        self.client = client
        keys = EtcdKeys(cluster: cluster)
    }

    /// Replaces the report of a node. One call at a time for each node.
    ///
    /// - Throws: ``EtcdError``: the old report or, after `.unavailable`, perhaps the new one is there.
    public func put(_ report: [UInt8], of node: NodeID) async throws(EtcdError) {
        guard report.count <= Self.maximumBytes else {
            throw EtcdError(.tooLarge, "a report of \(report.count) bytes")
        }
        let parts = keys.parts + node.name + "/"
        var request = WireTxnRequest()
        if report.count <= Self.partBytes {
            request.success = [
                .put(keys.reports + node.name, EtcdReportEntry.whole(report).encoded),
                .delete(EtcdRange(prefix: parts)),
            ]
        } else {
            let generation = try await nextGeneration()
            let own = EtcdRange(prefix: parts + "\(generation)/")
            let count = try await write(report, below: parts + "\(generation)/")
            let entry = EtcdReportEntry.parts(generation: generation, count: count)
            let all = EtcdRange(prefix: parts)
            request.success = [
                .put(keys.reports + node.name, entry.encoded),
                .delete(EtcdRange(all.key, to: own.key)),
                .delete(EtcdRange(own.end ?? own.key, to: all.end ?? all.key)),
            ]
        }
        _ = try await client.transact(request)
    }

    /// Forgets a node that was removed from its cluster.
    public func remove(_ node: NodeID) async throws(EtcdError) {
        var request = WireTxnRequest()
        request.success = [
            .delete(EtcdRange(key: keys.reports + node.name)),
            .delete(EtcdRange(prefix: keys.parts + node.name + "/")),
        ]
        _ = try await client.transact(request)
    }

    /// All reports, then each new one. Ends when its consumer does; reconnects by itself.
    public func events() -> AsyncStream<EtcdReportEvent> {
        EtcdOutlet.makeStream { outlet in
            await EtcdFollower(
                client: client, range: EtcdRange(prefix: keys.reports),
                list: {
                    let listing = try await client.list(EtcdRange(prefix: keys.reports))
                    var reports: [String: [UInt8]] = [:]
                    var others: [EtcdReportEvent] = []
                    for entry in listing.entries {
                        let event = try await event(for: entry, at: listing.revision)
                        if case .report(let node, let report) = event {
                            reports[node] = report
                        } else {
                            others.append(event)
                        }
                    }
                    await outlet.send(.snapshot(reports))
                    for event in others { await outlet.send(event) }
                    return listing.revision
                },
                change: { change in
                    for event in change.events {
                        await outlet.send(
                            event.type == .delete
                                ? .report(node: node(of: event.kv), nil)
                                : try await self.event(for: event.kv, at: change.revision))
                    }
                },
                reset: { await outlet.send(.reset($0)) },
                interrupted: { await outlet.send(.interrupted($0)) }
            ).run()
        }
    }

    // MARK: Parts

    /// The store's revision: no two reports of one node are written at the same.
    private func nextGeneration() async throws(EtcdError) -> UInt64 {
        let reply = try await client.range(WireRangeRequest(EtcdRange(key: keys.reports)))
        return UInt64(clamping: reply.header.revision)
    }

    private func write(
        _ report: [UInt8], below prefix: String
    ) async throws(EtcdError) -> UInt32 {
        var count: UInt32 = 0
        var rest = report[...]
        while !rest.isEmpty {
            var request = WireTxnRequest()
            request.success = [
                .put(prefix + EtcdReportEntry.index(count), Array(rest.prefix(Self.partBytes)))
            ]
            _ = try await client.transact(request)
            rest = rest.dropFirst(Self.partBytes)
            count += 1
        }
        return count
    }

    private func node(of entry: WireKeyValue) -> String {
        String(decoding: entry.key.dropFirst(keys.reports.utf8.count), as: UTF8.self)
    }

    /// - Throws: ``EtcdError`` other than `.malformed`: the report isn't known yet.
    private func event(
        for entry: WireKeyValue, at revision: Int64
    ) async throws(EtcdError) -> EtcdReportEvent {
        let node = node(of: entry)
        do {
            return .report(node: node, try await report(in: entry, at: revision))
        } catch {
            guard error.code == .malformed else { throw error }
            return .unreadable(node: node, error)
        }
    }

    private func report(
        in entry: WireKeyValue, at revision: Int64
    ) async throws(EtcdError) -> [UInt8] {
        switch try EtcdReportEntry(entry.value) {
        case .whole(let report): return report
        case .parts(let generation, let count):
            let prefix = keys.parts + node(of: entry) + "/\(generation)/"
            let parts = try await client.list(EtcdRange(prefix: prefix), at: revision)
            guard parts.entries.count == Int(count) else {
                throw EtcdError(.malformed, "a report lacks some of its \(count) parts")
            }
            return parts.entries.flatMap { Array($0.value) }
        }
    }
}

/// What the key of a node's report holds.
enum EtcdReportEntry: Hashable {
    case whole([UInt8])
    case parts(generation: UInt64, count: UInt32)

    var encoded: [UInt8] {
        var writer = ByteWriter()
        switch self {
        case .whole(let report):
            writer.write(UInt8(0))
            writer.write(raw: report)
        case .parts(let generation, let count):
            writer.write(UInt8(1))
            writer.write(generation)
            writer.write(count)
        }
        return writer.bytes
    }

    init(_ bytes: Data) throws(EtcdError) {
        var reader = ByteReader(bytes)
        do {
            switch try reader.read(UInt8.self) {
            case 0: self = .whole(Array(try reader.read(raw: reader.remaining)))
            case 1: self = .parts(generation: try reader.read(), count: try reader.read())
            case let other: throw DecodingFault.unsupportedVersion(other)
            }
        } catch {
            throw EtcdError(.malformed, "a report: \(error)")
        }
    }

    /// Ten digits, so that the parts' keys are in the order of the parts.
    static func index(_ index: UInt32) -> String {
        let digits = String(index)
        return String(repeating: "0", count: 10 - digits.count) + digits
    }
}
