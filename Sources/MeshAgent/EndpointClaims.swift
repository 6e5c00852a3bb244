// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshStore

/// Which record has an address, when several claim it.
///
/// An endpoint of this node wins, then one of the own cluster, then the lower cluster's, then the
/// lower hash of the record's key: every agent decides alike, whatever it learns first.
/// While only one record claims an address nothing is kept here.
struct EndpointClaims {
    /// Claims of one cluster to one address that are remembered, the best ones: more are no accident,
    /// and one that was forgotten counts again when its record is written again.
    static let maximum = 16

    private let own: ClusterID
    /// Two or more rows of one address, the best first.
    private var contested: [Address: [EndpointRow]] = [:]

    init(own: ClusterID) { self.own = own }

    mutating func claim(_ row: EndpointRow, in rows: inout EndpointRows) {
        var claims = contested[row.address] ?? []
        if claims.isEmpty {
            guard let current = rows[row.address], current.owner != row.owner else {
                rows.upsert(row)
                return
            }
            claims = [current]
        }
        claims.removeAll { $0.owner == row.owner }
        claims.insert(row, at: claims.firstIndex { isBetter(row, $0) } ?? claims.count)
        let ofCluster = claims.indices.filter { claims[$0].node.cluster == row.node.cluster }
        if ofCluster.count > Self.maximum { claims.remove(at: ofCluster[Self.maximum]) }
        settle(claims, on: row.address, in: &rows)
    }

    mutating func release(_ address: Address, of owner: EndpointOwner, in rows: inout EndpointRows)
    {
        guard var claims = contested[address] else {
            if rows[address]?.owner == owner { rows.delete(address) }
            return
        }
        claims.removeAll { $0.owner == owner }
        settle(claims, on: address, in: &rows)
    }

    private mutating func settle(
        _ claims: [EndpointRow], on address: Address, in rows: inout EndpointRows
    ) {
        contested[address] = claims.count > 1 ? claims : nil
        rows.upsert(claims[0])
    }

    private func isBetter(_ row: EndpointRow, _ other: EndpointRow) -> Bool {
        func rank(_ row: EndpointRow) -> (Int, EndpointOwner) {
            (row.local != nil ? 0 : row.node.cluster == own ? 1 : 2, row.owner)
        }
        return rank(row) < rank(other)
    }
}

/// The record that a row comes from.
struct EndpointOwner: Hashable, Comparable {
    let cluster: ClusterID
    let record: RecordHash

    init(cluster: ClusterID, record: RecordHash) {
        self.cluster = cluster
        self.record = record
    }

    init(cluster: ClusterID, key: RecordKey) {
        self.init(cluster: cluster, record: RecordHash(of: key.description.utf8))
    }

    static func < (left: Self, right: Self) -> Bool {
        (left.cluster, left.record) < (right.cluster, right.record)
    }
}

extension EndpointRow {
    var owner: EndpointOwner { EndpointOwner(cluster: node.cluster, record: record) }
}
