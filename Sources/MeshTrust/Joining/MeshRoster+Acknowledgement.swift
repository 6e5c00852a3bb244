// SPDX-License-Identifier: Apache-2.0

public import MeshModel

extension MeshRoster {
    /// The sequence of the newest announcement that is known of each other cluster: what this one
    /// publishes, so that whoever announces something knows who has heard it.
    public var heard: [ClusterName: UInt64] {
        durable.claims.compactMapValues { claims in
            claims.map(\.announcement.content.sequence).max()
        }
    }

    /// Whether this cluster has said that it leaves.
    public var hasLeft: Bool { announcement.content.hasLeft }
}

extension RosterMember {
    /// The cluster as its peers shall see it: with the charter in force.
    ///
    /// - Throws: never for a description that was read or made.
    public func inForce() throws(TrustError) -> ClusterDescription {
        try ClusterDescription(
            id: description.id, bundle: bundle, addresses: description.addresses,
            charter: charter)
    }
}

extension ClusterDescription {
    /// For a record of the cluster's own ledger.
    public func encoded() throws(TrustError) -> [UInt8] {
        var writer = ByteWriter()
        try encode(into: &writer)
        return writer.bytes
    }

    /// Reads ``encoded()``; what a later version appended is ignored.
    public init(encoded: [UInt8]) throws(DecodingFault) {
        var reader = ByteReader(encoded)
        try self.init(from: &reader)
    }
}
