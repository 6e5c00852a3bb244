// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// What the test asks of one cluster: services of its own servers, and a policy for its own endpoints.
struct ConnectivityManifests {
    /// Asked by everybody, answered by everybody.
    static let shared = "shared"
    /// Answered by the own cluster as long as it can.
    static let near = "near"
    static let services = [shared, near]
    static let policyName = "guarded"

    let cluster: LabPlan.Cluster
    /// Of this cluster.
    let endpoints: [ConnectivityEndpoint]
    /// Cluster addresses of the services, by name.
    let addresses: [String: [String]]

    /// - Parameter nearIsServed: whether ``near`` has backends in this cluster.
    func services(nearIsServed: Bool) -> String {
        let manifests = LabManifests(plan: plan(nearIsServed: nearIsServed))
        guard let node = cluster.nodes.first else { return "" }
        let files = manifests.files(of: node, in: planned(nearIsServed: nearIsServed))
        // Pods and nodes are said by attaching, and by others.
        return files.filter { $0.key.hasPrefix("service-") || $0.key == "namespaces.yaml" }
            .sorted { $0.key < $1.key }.map(\.value).joined(separator: "---\n")
    }

    /// The guarded are for the clients of all clusters, and for nobody else.
    static func policy(clusters: [String]) -> String {
        let peers = clusters.map {
            "    - podSelector: {matchLabels: {role: client, io.weft.cluster: \(quote($0))}}\n"
        }
        return """
            apiVersion: networking.k8s.io/v1
            kind: NetworkPolicy
            metadata:
              name: \(policyName)
              namespace: \(ConnectivitySite.objectNamespace)
            spec:
              podSelector: {matchLabels: {role: guarded}}
              policyTypes: [Ingress]
              ingress:
              - from:

            """ + peers.joined()
    }

    private func planned(nearIsServed: Bool) -> LabPlan.Cluster {
        LabPlan.Cluster(
            name: cluster.name, id: cluster.id, serviceCIDRs: cluster.serviceCIDRs,
            nodes: cluster.nodes, etcd: cluster.etcd, apiServer: cluster.apiServer,
            authority: cluster.authority,
            certificateSeconds: cluster.certificateSeconds,
            endpoints: endpoints.filter { $0.role == .server(1) || $0.role == .server(2) }.map {
                LabPlan.Endpoint(
                    name: $0.name, objectNamespace: ConnectivitySite.objectNamespace,
                    node: $0.node, labels: ["near": "\(nearIsServed)", "test": "server"],
                    namespace: $0.networkNamespace, addresses: $0.addresses, command: nil)
            })
    }

    private func plan(nearIsServed: Bool) -> LabPlan {
        let port = ConnectivityEndpoint.port
        func service(_ name: String, _ selector: [String: String], _ affinity: ServiceAffinity)
            -> LabPlan.Service
        {
            LabPlan.Service(
                name: name, objectNamespace: ConnectivitySite.objectNamespace, selector: selector,
                ports: [
                    LabPlan.Port(name: "http", port: 80, targetPort: port, transport: "TCP"),
                    LabPlan.Port(name: "echo", port: 7, targetPort: port, transport: "UDP"),
                ], isGlobal: true, affinity: affinity.rawValue, sessionAffinitySeconds: 0,
                addresses: [cluster.name: addresses[name] ?? []])
        }
        return LabPlan(
            name: "", mesh: "", clusters: [planned(nearIsServed: nearIsServed)],
            services: [
                service(Self.shared, ["test": "server"], .none),
                service(Self.near, ["near": "true"], .local),
            ], apart: false)
    }
}

extension LabPlan.Cluster {
    /// Numbers of its service prefixes that the test takes from, the highest free ones first.
    private static let serviceNumbers: ClosedRange<UInt64> = 1...250

    /// An address of each family for each of `names` that nobody has yet.
    func connectivityAddresses(
        for names: [String], inUse: Set<String>
    ) throws(LabError) -> [String: [String]] {
        var result: [String: [String]] = [:]
        for isIPv4 in [true, false] {
            let prefixes = serviceCIDRs.compactMap { Prefix($0) }.filter { $0.isIPv4 == isIPv4 }
            guard let prefix = prefixes.first else { continue }
            let free = Self.serviceNumbers.reversed().lazy
                .map { prefix.address.advanced(by: $0) }
                .filter { prefix.contains($0) && !inUse.contains("\($0)") }
                .prefix(names.count)
            guard free.count == names.count else {
                throw LabError(
                    .failed, "no address is left in \(prefix) of cluster \(name) for a service")
            }
            for (name, address) in zip(names, free) {
                result[name, default: []].append("\(address)")
            }
        }
        return result
    }
}
