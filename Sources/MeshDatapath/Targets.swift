// SPDX-License-Identifier: Apache-2.0

public import MeshModel
public import MeshReconciler
public import MeshStore

// What the reconcilers make equal to the tables of the store.

/// Frontends and their backends, but for those in quarantine. Does not return clusters or nodes to
/// the state they had.
public struct FrontendTarget: ReconcileTarget {
    private let datapath: any Datapath
    private let store: MeshStore

    public init(_ datapath: any Datapath, _ store: MeshStore) {
        self.datapath = datapath
        self.store = store
    }

    public func realised() -> [FrontendKey] { datapath.frontendKeys() }
    /// As of now: whoever changes a quarantine touches the rows that it concerns.
    public func update(_ row: ServiceFrontend) throws {
        try datapath.apply(row.leavingOut(store.read { $0.quarantines }))
    }
    public func delete(_ key: FrontendKey) throws { try datapath.removeFrontend(key) }
}

/// What policies say to an endpoint of this node.
public struct EndpointPlacement: Hashable, Sendable {
    public let policySet: UInt32
    /// What its policies deny is reported, and let through.
    public let isAudited: Bool

    public init(policySet: UInt32, isAudited: Bool = false) {
        self.policySet = policySet
        self.isAudited = isAudited
    }
}

/// Workload addresses.
public struct EndpointTarget: ReconcileTarget {
    public typealias Rows = EndpointRows

    /// An endpoint of this node that nobody has said yet which policies it has: it stays without its
    /// row, and so reaches nobody.
    public struct Unplaced: Error, CustomStringConvertible {
        public static let sentence = "it waits for its policies"
        public var description: String { Self.sentence }
    }

    private let datapath: any Datapath
    /// Of this node's endpoints.
    public var placements: [Address: EndpointPlacement]

    public init(_ datapath: any Datapath, placements: [Address: EndpointPlacement] = [:]) {
        self.datapath = datapath
        self.placements = placements
    }

    public func realised() throws -> [Address] { try datapath.endpointAddresses() }

    public func update(_ row: EndpointRow) throws {
        guard let entry = EndpointEntry(row, placements) else { throw Unplaced() }
        try datapath.apply(entry)
    }

    public func update(_ rows: [EndpointRow]) -> [RowFailure<EndpointRow>] {
        let entries = rows.compactMap { EndpointEntry($0, placements) }
        var failures = datapath.apply(entries).map { RowFailure<EndpointRow>(key: $0, error: $1) }
        guard entries.count < rows.count else { return failures }
        for row in rows where row.local != nil && placements[row.address] == nil {
            failures.append(RowFailure(key: row.address, error: Unplaced()))
        }
        return failures
    }

    public func delete(_ key: Address) throws { try datapath.removeEndpoint(key) }
}

extension EndpointEntry {
    /// Nil for an endpoint of this node without a placement.
    fileprivate init?(_ row: EndpointRow, _ placements: [Address: EndpointPlacement]) {
        let placement = row.local.flatMap { _ in placements[row.address] }
        guard row.local == nil || placement != nil else { return nil }
        self.init(
            address: row.address, identity: row.identity, node: row.node, local: row.local,
            policySet: placement?.policySet ?? 0, isAudited: placement?.isAudited ?? false)
    }
}

/// Where nodes are reached.
public struct NodeTarget: ReconcileTarget {
    private let datapath: any Datapath

    public init(_ datapath: any Datapath) { self.datapath = datapath }

    public func realised() -> [NodeID] { datapath.nodes() }

    public func update(_ row: NodeRow) throws {
        try datapath.applyNode(NodeTunnel(id: row.id, outerAddresses: row.outerAddresses))
    }

    public func delete(_ key: NodeID) throws { try datapath.removeNode(key) }
}

/// Prefixes and source checks of clusters. Verdicts on clusters are not in the table: they go to
/// the datapath directly.
public struct ClusterTarget: ReconcileTarget {
    private let datapath: any Datapath

    public init(_ datapath: any Datapath) { self.datapath = datapath }

    public func realised() -> [ClusterID] { datapath.clustersWithPrefixes().sorted() }

    public func update(_ row: ClusterRow) throws {
        try datapath.applyPrefixes(row.id, row.podPrefixes, row.sourceCheck)
    }

    public func delete(_ key: ClusterID) throws { try datapath.removePrefixes(key) }
}
