// SPDX-License-Identifier: Apache-2.0

public import MeshModel
public import MeshStore
internal import Synchronization

extension Datapath {
    /// Makes a node reachable, and its outer addresses sources of its packets: added before the
    /// tunnel leads there, removed afterwards.
    public func applyNode(_ node: NodeTunnel) throws(DatapathError) {
        try core.state.withLock { state throws(DatapathError) in try state.nodes.apply(node) }
    }

    public func removeNode(_ node: NodeID) throws(DatapathError) {
        try core.state.withLock { state throws(DatapathError) in try state.nodes.remove(node) }
    }

    /// Nodes that the kernel has a tunnel or an outer source of.
    public func nodes() -> [NodeID] { core.state.withLock { $0.nodes.realised } }

    /// The name behind an index in a reading, nil for none.
    public func node(at index: UInt32) -> NodeID? {
        core.state.withLock { $0.nodes.name(of: index) }
    }

    public func apply(_ endpoint: EndpointEntry) throws(DatapathError) {
        if let error = apply([endpoint])[endpoint.address] { throw error }
    }

    /// Many endpoints, of different addresses, at once: a system call each to see what the kernel
    /// holds, and one for all that differ. Where one has another identity or other policies than
    /// before, open flows are judged anew.
    ///
    /// - Returns: those that failed. The kernel keeps what it held of them.
    public func apply(_ endpoints: [EndpointEntry]) -> [Address: DatapathError] {
        core.state.withLock { state in
            var failures: [Address: DatapathError] = [:]
            var entries: [(entry: EndpointEntry, node: UInt32)] = []
            for endpoint in endpoints {
                do throws(DatapathError) {
                    entries.append((endpoint, try state.nodes.index(of: endpoint.node)))
                } catch {
                    failures[endpoint.address] = error
                }
            }
            let applied = state.endpoints.apply(entries)
            if applied.changesVerdicts { core.renewVerdicts(clusters: state.nodes.clusters) }
            return failures.merging(applied.failures) { $1 }
        }
    }

    public func removeEndpoint(_ address: Address) throws(DatapathError) {
        try core.state.withLock { state throws(DatapathError) in
            try state.endpoints.remove(address)
        }
    }

    /// What the kernel holds, whoever put it there.
    public func endpointAddresses() throws(DatapathError) -> [Address] {
        try core.state.withLock { state throws(DatapathError) in try state.endpoints.addresses() }
    }

    /// Makes `prefixes` the pod prefixes of a cluster, and says how far its packets are believed.
    ///
    /// - Throws: `.conflict` when another cluster has one of them: nothing changed.
    public func applyPrefixes(
        _ cluster: ClusterID, _ prefixes: [Prefix], _ check: SourceCheck
    ) throws(DatapathError) {
        try core.state.withLock { state throws(DatapathError) in
            try state.prefixes.apply(cluster, prefixes, check)
        }
    }

    public func removePrefixes(_ cluster: ClusterID) throws(DatapathError) {
        try core.state.withLock { state throws(DatapathError) in
            try state.prefixes.remove(cluster)
        }
    }

    /// Clusters that have a prefix in the kernel.
    public func clustersWithPrefixes() -> Set<ClusterID> {
        core.state.withLock { $0.prefixes.realised }
    }

    /// How often maps were written, by this process.
    public var writeCount: WriteCounts { core.writes.counts }
}
