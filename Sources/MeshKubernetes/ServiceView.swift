// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// One service as all clusters describe it.
struct ServiceView: Sendable {
    var services: [ClusterID: ServiceRecord] = [:]
    var slices: [ClusterID: [ObjectName: SliceRecord]] = [:]

    var isEmpty: Bool { services.isEmpty && slices.values.allSatisfy(\.isEmpty) }

    /// Frontends of the own cluster: its cluster IPs × ports. Empty if it has no such service.
    func frontends(own: ClusterID) -> [FrontendKey: ServiceFrontend] {
        guard let service = services[own] else { return [:] }
        var frontends: [FrontendKey: ServiceFrontend] = [:]
        for address in service.addresses {
            for port in service.ports {
                let key = FrontendKey(
                    address: address, port: port.port, transport: port.transport)
                frontends[key] = ServiceFrontend(
                    key: key, service: service.object, portName: port.name,
                    isGlobal: service.isGlobal,
                    sessionAffinitySeconds: service.sessionAffinitySeconds,
                    slices: clusterSlices(
                        own: own, service: service, port: port, isIPv4: address.isIPv4))
            }
        }
        return frontends
    }

    private func clusterSlices(
        own: ClusterID, service: ServiceRecord, port: ServicePort, isIPv4: Bool
    ) -> [ClusterSlice] {
        var pools: [ServicePool] = []
        for cluster in clusters(own: own, service: service) {
            guard let theirs = services[cluster],
                let port = cluster == own ? port : theirs.counterpart(of: port, in: service)
            else { continue }
            pools.append(
                pool(
                    cluster: cluster, tier: service.tier(isOwn: cluster == own), port: port,
                    isIPv4: isIPv4))
        }
        // The own cluster comes first in `pools`: a mesh beyond the maximum never loses it.
        return pools.slices
    }

    /// The own cluster, then in the order of their IDs those whose backends it may use.
    private func clusters(own: ClusterID, service: ServiceRecord) -> [ClusterID] {
        guard service.isGlobal else { return [own] }
        let others = services.filter { $0.key != own && $0.value.isGlobal && $0.value.isShared }
        return [own] + others.keys.sorted()
    }

    /// Backends that take new connections: the ready ones, or if there are none, those that still
    /// serve while they terminate, as kube-proxy does.
    private func pool(
        cluster: ClusterID, tier: UInt8, port: ServicePort, isIPv4: Bool
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

    fileprivate func tier(isOwn: Bool) -> UInt8 {
        switch affinity {
        case .none: 0
        case .local: isOwn ? 0 : 1
        case .remote: isOwn ? 1 : 0
        }
    }
}

extension ServicePort {
    fileprivate func serves(_ other: ServicePort) -> Bool {
        name == other.name && transport == other.transport
    }
}
