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

/// Workload addresses.
public struct EndpointTarget: ReconcileTarget {
    public typealias Rows = EndpointRows

    private let datapath: any Datapath

    public init(_ datapath: any Datapath) { self.datapath = datapath }

    public func realised() throws -> [Address] { try datapath.endpointAddresses() }

    public func update(_ row: EndpointRow) throws { try datapath.apply(EndpointEntry(row)) }

    public func update(_ rows: [EndpointRow]) -> [RowFailure<EndpointRow>] {
        datapath.apply(rows.map(EndpointEntry.init)).map { RowFailure(key: $0, error: $1) }
    }

    public func delete(_ key: Address) throws { try datapath.removeEndpoint(key) }
}

extension EndpointEntry {
    fileprivate init(_ row: EndpointRow) {
        self.init(address: row.address, identity: row.identity, node: row.node, local: row.local)
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
