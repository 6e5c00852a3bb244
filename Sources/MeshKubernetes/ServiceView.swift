// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// One service as all clusters describe it.
struct ServiceView: Sendable {
    var services: [ClusterID: ServiceRecord] = [:]
    var slices: [ClusterID: [ObjectName: SliceRecord]] = [:]
    /// The own cluster's service that stands for this one in the whole mesh.
    var derived: ServiceRecord?

    var isEmpty: Bool {
        services.isEmpty && slices.values.allSatisfy(\.isEmpty) && derived == nil
    }

    /// Frontends of the own cluster: its cluster IPs × ports. Empty if it has no such service.
    ///
    /// - Parameters:
    ///   - node: whose frontends they are: of a service that stays on the client's node only this
    ///     one's backends count. Nil: all.
    ///   - zones: of nodes, for a service that prefers near backends.
    func frontends(
        own: ClusterID, node: NodeID?, zones: [NodeID: String]
    ) -> [FrontendKey: ServiceFrontend] {
        var frontends: [FrontendKey: ServiceFrontend] = [:]
        // One that stands for another service has its frontends there.
        let plain = services[own].flatMap { $0.derivedFrom.isEmpty ? $0 : nil }
        for service in [plain, derived].compactMap(\.self) {
            frontends.merge(
                self.frontends(of: service, own: own, node: node, zones: zones)
            ) { first, _ in first }
        }
        return frontends
    }

    /// Whether it counts where backends are.
    func isDistributed(own: ClusterID) -> Bool {
        [services[own], derived].contains { ($0?.distribution ?? .anywhere) != .anywhere }
    }

    private func frontends(
        of service: ServiceRecord, own: ClusterID, node: NodeID?, zones: [NodeID: String]
    ) -> [FrontendKey: ServiceFrontend] {
        var frontends: [FrontendKey: ServiceFrontend] = [:]
        for address in service.addresses {
            for port in service.ports {
                let key = FrontendKey(
                    address: address, port: port.port, transport: port.transport)
                let pools = self.pools(
                    own: own, node: service.isNodeLocal ? node : nil, service: service, port: port,
                    isIPv4: address.isIPv4)
                frontends[key] = ServiceFrontend(
                    key: key, service: service.object, portName: port.name,
                    isGlobal: service.isGlobal || !service.derivedFrom.isEmpty,
                    sessionAffinitySeconds: service.sessionAffinitySeconds,
                    slices: service.distribution == .anywhere
                        ? pools.slices
                        : pools.slices(by: {
                            service.distribution.distance(of: $0, from: node, zones)
                        }))
            }
        }
        return frontends
    }

    private func pools(
        own: ClusterID, node: NodeID?, service: ServiceRecord, port: ServicePort, isIPv4: Bool
    ) -> [ServicePool] {
        var pools: [ServicePool] = []
        for cluster in clusters(own: own, service: service) {
            guard let theirs = services[cluster],
                let port = !service.derivedFrom.isEmpty
                    ? theirs.exposed(port)
                    : cluster == own ? port : theirs.counterpart(of: port, in: service)
            else { continue }
            pools.append(
                pool(
                    cluster: cluster, node: node, tier: service.tier(isOwn: cluster == own),
                    port: port,
                    isIPv4: isIPv4))
        }
        // The own cluster comes first: a mesh beyond the maximum never loses it.
        return pools
    }

    /// The own cluster, then in the order of their IDs those whose backends it may use.
    private func clusters(own: ClusterID, service: ServiceRecord) -> [ClusterID] {
        guard service.derivedFrom.isEmpty else {
            // KEP-1645: the own cluster's backends count only if it exports them, too, and a headless
            // service's don't where the oldest export has addresses.
            let exporters = services.filter {
                $0.value.exportedAt > 0 && $0.value.isShared && !$0.value.addresses.isEmpty
            }
            return exporters.keys.sorted { $0 == own ? $1 != own : $1 != own && $0 < $1 }
        }
        guard service.isGlobal, !service.isNodeLocal else { return [own] }
        let others = services.filter { $0.key != own && $0.value.isGlobal && $0.value.isShared }
        return [own] + others.keys.sorted()
    }

    /// Backends that take new connections: the ready ones, or if there are none, those that still
    /// serve while they terminate, as kube-proxy does.
    private func pool(
        cluster: ClusterID, node: NodeID?, tier: UInt8, port: ServicePort, isIPv4: Bool
    ) -> ServicePool {
        var declared: [Backend] = []
        var ready: [Backend] = []
        var terminating: [Backend] = []
        for slice in (slices[cluster] ?? [:]).values {
            guard let number = slice.ports.first(where: { $0.serves(port) })?.port else { continue }
            for endpoint in slice.endpoints {
                // discovery/v1: no semantics are defined for addresses beyond the first.
                guard let address = endpoint.addresses.first, address.isIPv4 == isIPv4
                else { continue }
                let backend = Backend(
                    address: address, port: number,
                    node: NodeID(cluster: cluster, name: endpoint.node)
                        ?? .unplaced(in: cluster))
                guard node == nil || backend.node == node else { continue }
                if endpoint.isReady || !endpoint.isTerminating { declared.append(backend) }
                if endpoint.isReady {
                    ready.append(backend)
                } else if endpoint.isServing && endpoint.isTerminating {
                    terminating.append(backend)
                }
            }
        }
        return ServicePool(
            cluster: cluster, tier: tier, backends: unique(ready.isEmpty ? terminating : ready),
            declared: unique(declared).count, isReady: !ready.isEmpty)
    }

    /// Sorted, one per address and port: an endpoint may stand in several slices for a while.
    private func unique(_ backends: [Backend]) -> [Backend] {
        var result: [Backend] = []
        for backend in backends.sorted() {
            if let last = result.last, last.address == backend.address, last.port == backend.port {
                continue
            }
            result.append(backend)
        }
        return Array(result.prefix(ServiceFrontend.maximumBackendsPerCluster))
    }
}

extension ServiceRecord {
    /// The port that stands for `port` of `service` here: of the same name, or the only one.
    fileprivate func counterpart(of port: ServicePort, in service: ServiceRecord) -> ServicePort? {
        if let named = ports.first(where: { $0.serves(port) }) { return named }
        guard ports.count == 1, service.ports.count == 1, ports[0].transport == port.transport
        else { return nil }
        return ports[0]
    }

    /// The same port here, whatever its name: KEP-1645 has traffic to a port that clusters contend for
    /// go only to those that have it.
    fileprivate func exposed(_ port: ServicePort) -> ServicePort? {
        ports.first { $0.port == port.port && $0.transport == port.transport }
    }

    fileprivate func tier(isOwn: Bool) -> UInt8 {
        switch affinity {
        case .none: 0
        case .local: isOwn ? 0 : 1
        case .remote: isOwn ? 1 : 0
        }
    }
}

extension TrafficDistribution {
    /// How far a backend is for whoever is on `node`: 0 on it if that is preferred, 1 in its zone, which may
    /// be another cluster's, 2 elsewhere.
    fileprivate func distance(
        of backend: Backend, from node: NodeID?, _ zones: [NodeID: String]
    ) -> UInt8 {
        if self == .sameNode, backend.node == node { return 0 }
        guard let node, let zone = zones[node] else { return 2 }
        return zones[backend.node] == zone ? 1 : 2
    }
}

extension ServicePort {
    fileprivate func serves(_ other: ServicePort) -> Bool {
        name == other.name && transport == other.transport
    }
}
