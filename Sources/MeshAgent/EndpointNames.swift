// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReplication
import MeshStore

/// Names of endpoints by their addresses, for flows. The own cluster's stand in their rows, others'
/// in their ledgers, of which the last few answers are remembered.
struct EndpointNames {
    static let maximum = 4096

    private var known: [EndpointOwner: ObjectName] = [:]

    /// - Parameter ledger: of a cluster.
    mutating func name(
        of row: EndpointRow, in ledger: (ClusterID) async -> Replica?
    ) async -> ObjectName? {
        if let name = row.object ?? known[row.owner] { return name }
        guard let replica = await ledger(row.node.cluster) else { return nil }
        let record = replica.endpoints(with: row.record).lazy.compactMap(EndpointRecord.init)
            .first { $0.addresses.contains(row.address) }
        guard let record else { return nil }
        if known.count >= Self.maximum { known = [:] }
        known[row.owner] = record.object
        return record.object
    }
}

extension EndpointRecord {
    /// Nil for what isn't one, as it counts nowhere.
    init?(_ entry: LedgerEntry) {
        do throws(DecodingFault) {
            try self.init(encoded: entry.value)
        } catch {
            return nil
        }
        guard key.description == entry.key else { return nil }
    }
}

extension EndpointRows {
    /// How many endpoints there are by `key`; one with several addresses counts once.
    func census<Key: Hashable>(by key: (EndpointRow) -> Key) -> [Key: Int] {
        var seen: [Key: Set<EndpointOwner>] = [:]
        forEachBlock(of: 1024) { rows in
            for row in rows { seen[key(row), default: []].insert(row.owner) }
        }
        return seen.mapValues(\.count)
    }
}
