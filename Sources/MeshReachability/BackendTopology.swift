// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// Which services some backends belong to, and what else is where they are: what ``BackendHealth``
/// must know before it takes a backend away.
public struct BackendTopology: Sendable {
    /// One frontend with every backend it has.
    struct Service: Sendable {
        struct Member: Sendable {
            let backend: BackendKey
            let node: NodeID
        }

        let members: [Member]
    }

    /// Frontends that have one of the backends.
    private(set) var services: [Service] = []
    /// Indexes of `services`.
    private(set) var servicesOf: [BackendKey: [Int]] = [:]
    /// Nodes and clusters that have two of the backends or more, with the addresses of all services'
    /// backends there: all, or twice as many as are asked about, for more make no difference.
    private(set) var addressesOnNode: [NodeID: Set<Address>] = [:]
    private(set) var addressesInCluster: [ClusterID: Set<Address>] = [:]
    /// Whether a backend without a service has none; false while services aren't all known.
    let isComplete: Bool

    /// - Complexity: proportional to all backends of all frontends: 10 ms for 100,000.
    public init(
        of backends: Set<BackendKey>, in frontends: some Sequence<ServiceFrontend>,
        isComplete: Bool = true
    ) {
        self.isComplete = isComplete
        guard !backends.isEmpty else { return }
        var onNode: [NodeID: Set<Address>] = [:]
        var inCluster: [ClusterID: Set<Address>] = [:]
        for frontend in frontends {
            let concerned = frontend.members { backends.contains($0) }
            guard !concerned.isEmpty else { continue }
            for member in concerned {
                servicesOf[member.backend, default: []].append(services.count)
                onNode[member.node, default: []].insert(member.backend.address)
                inCluster[member.node.cluster, default: []].insert(member.backend.address)
            }
            services.append(Service(members: frontend.members { _ in true }))
        }
        addressesOnNode = onNode.filter { $0.value.count > 1 }
        addressesInCluster = inCluster.filter { $0.value.count > 1 }
        takeCensus(
            of: frontends, nodes: addressesOnNode.mapValues { $0.count * 2 },
            clusters: addressesInCluster.mapValues { $0.count * 2 })
    }

    /// - Parameters:
    ///   - nodes: addresses to look for at most, by node.
    ///   - clusters: the same by cluster. Every node's cluster is among them.
    private mutating func takeCensus(
        of frontends: some Sequence<ServiceFrontend>, nodes: [NodeID: Int],
        clusters: [ClusterID: Int]
    ) {
        var nodesLeft = Set(nodes.keys)
        var clustersLeft = Set(clusters.keys)
        for frontend in frontends {
            if nodesLeft.isEmpty, clustersLeft.isEmpty { return }
            for slice in frontend.slices {
                guard let clusterLimit = clusters[slice.cluster] else { continue }
                for backend in slice.backends {
                    if clustersLeft.contains(slice.cluster) {
                        addressesInCluster[slice.cluster]?.insert(backend.address)
                        if addressesInCluster[slice.cluster]?.count == clusterLimit {
                            clustersLeft.remove(slice.cluster)
                        }
                    }
                    if nodesLeft.contains(backend.node) {
                        addressesOnNode[backend.node]?.insert(backend.address)
                        if addressesOnNode[backend.node]?.count == nodes[backend.node] {
                            nodesLeft.remove(backend.node)
                        }
                    }
                }
            }
        }
    }

    /// Where a backend is; nil if it belongs to no service.
    func node(of backend: BackendKey) -> NodeID? {
        guard let index = servicesOf[backend]?.first else { return nil }
        return services[index].members.first { $0.backend == backend }?.node
    }
}

extension ServiceFrontend {
    fileprivate func members(
        where isWanted: (BackendKey) -> Bool
    ) -> [BackendTopology.Service.Member] {
        var members: [BackendTopology.Service.Member] = []
        for slice in slices {
            for backend in slice.backends {
                let key = BackendKey(
                    address: backend.address, port: backend.port, transport: self.key.transport)
                if isWanted(key) {
                    members.append(
                        BackendTopology.Service.Member(backend: key, node: backend.node))
                }
            }
        }
        return members
    }
}
