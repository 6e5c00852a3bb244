// SPDX-License-Identifier: Apache-2.0

/// Everything a lab consists of: names, addresses, folders. Computed from a ``LabFile`` without
/// touching the system, and kept in the lab's folder.
public struct LabPlan: Codable, Hashable, Sendable {
    /// Where every lab has a folder.
    public static let folder = "/run/weft-lab"

    public let name: String
    public let mesh: String
    public let clusters: [Cluster]
    public let services: [Service]
    /// Whether the clusters don't know each other at first.
    public let apart: Bool

    public struct Cluster: Codable, Hashable, Sendable {
        public let name: String
        public let id: UInt16
        public let serviceCIDRs: [String]
        public let nodes: [Node]
        /// Whether an etcd on the last node keeps the ledger and the publisher's lease.
        public let etcd: Bool
        /// Whether an API server on the last node has the objects, the nodes and the publisher's lease.
        public let apiServer: Bool
        /// Whether its authority is no node; see ``authorityNodes``.
        public let authority: Bool
        /// How long its nodes' certificates last; nil: as agents have it.
        public let certificateSeconds: Int?
        public let endpoints: [Endpoint]

        /// The node that holds the cluster's manifests.
        public var first: Node { nodes[0] }
        /// The nodes that may sequence the cluster's ledger.
        public var publishers: [Node] {
            authority ? [] : etcd || apiServer ? nodes.dropLast() : [first]
        }
        /// In whose networks the replicas of an authority that is no node run.
        public var authorityNodes: [Node] { authority ? Array(nodes.prefix(2)) : [] }
        public var podPrefixes: [String] { nodes.flatMap(\.podPrefixes) }
    }

    public struct Node: Codable, Hashable, Sendable {
        public let name: String
        public let zone: String
        /// Name of the network namespace.
        public let namespace: String
        /// Name of the node's cable on the underlay's side.
        public let port: String
        public let underlay: String
        public let podPrefixes: [String]
    }

    public struct Endpoint: Codable, Hashable, Sendable {
        public let name: String
        /// The Kubernetes namespace.
        public let objectNamespace: String
        public let node: String
        public let labels: [String: String]
        /// Name of the network namespace.
        public let namespace: String
        /// IPv4 before IPv6.
        public let addresses: [String]
        public let command: [String]?
    }

    public struct Service: Codable, Hashable, Sendable {
        public let name: String
        public let objectNamespace: String
        public let selector: [String: String]
        public let ports: [Port]
        public let isGlobal: Bool
        public let affinity: String
        public let sessionAffinitySeconds: Int
        /// Cluster addresses by the name of the cluster.
        public let addresses: [String: [String]]
    }

    public struct Port: Codable, Hashable, Sendable {
        public let name: String
        public let port: UInt16
        public let targetPort: UInt16
        public let transport: String
    }
}

extension LabPlan {
    public var stateFolder: String { "\(Self.folder)/\(name)" }
    public var underlayNamespace: String { Self.namespacePrefix(of: name) + "underlay" }
    public var nodes: [Node] { clusters.flatMap(\.nodes) }
    public var endpoints: [Endpoint] { clusters.flatMap(\.endpoints) }

    /// Every namespace of the lab starts with it, and none of another lab does: a lab's name has no
    /// hyphen.
    static func namespacePrefix(of lab: String) -> String { "weft-\(lab)-" }

    func folder(of node: Node) -> String { "\(stateFolder)/nodes/\(node.name)" }
    /// Where the agent's sockets are.
    public func runFolder(of node: Node) -> String { "\(folder(of: node))/run" }
    /// Of the replica of the authority that runs beside the node's agent.
    public func authorityFolder(of node: Node) -> String { "\(folder(of: node))/authority" }
    public func manifestFolder(of node: Node) -> String { "\(folder(of: node))/manifests.d" }
    /// What the node's agent goes by to its API server, where its cluster has one, and its authority is a node.
    public func kubeconfig(of node: Node) -> String { Self.kubeconfig(in: folder(of: node)) }
    static func kubeconfig(in folder: String) -> String { "\(folder)/kubeconfig" }
    /// What a cluster's API server wrote down, a line of JSON for each write.
    public func writesOfAPIServer(of cluster: Cluster) -> String {
        LabAPIServer(plan: self, cluster: cluster).state
    }
    func configurationFile(of node: Node) -> String { "\(folder(of: node))/weftd.yaml" }
    func authorityConfigurationFile(of node: Node) -> String {
        "\(authorityFolder(of: node))/weftd.yaml"
    }
    /// What its agent reads for its capacity: all nodes share one machine's processors.
    public func capacityFile(of node: Node) -> String { "\(folder(of: node))/capacity" }
    public func log(of node: Node) -> String { "\(stateFolder)/logs/\(node.name).log" }
    public func logOfAuthority(on node: Node) -> String {
        "\(stateFolder)/logs/\(node.name).authority.log"
    }
    func logOfEtcd(of cluster: Cluster) -> String { "\(stateFolder)/logs/\(cluster.name).etcd.log" }
    func logOfAPIServer(of cluster: Cluster) -> String {
        "\(stateFolder)/logs/\(cluster.name).apiserver.log"
    }
    public func log(of endpoint: Endpoint, in cluster: Cluster) -> String {
        "\(stateFolder)/logs/\(cluster.name).\(endpoint.name).log"
    }

    public func cluster(named name: String) throws(LabError) -> Cluster {
        guard let cluster = clusters.first(where: { $0.name == name }) else {
            let known = clusters.map(\.name).joined(separator: ", ")
            throw LabError(.notFound, "lab \(self.name) has no cluster \(name), only \(known)")
        }
        return cluster
    }

    /// The nodes that `CLUSTER` or `CLUSTER/NODE` names.
    public func nodes(matching target: String) throws(LabError) -> [Node] {
        let parts = target.split(separator: "/", omittingEmptySubsequences: false)
        let cluster = try cluster(named: String(parts[0]))
        guard parts.count > 1 else { return cluster.nodes }
        let found = cluster.nodes.filter { $0.name == parts[1...].joined(separator: "/") }
        guard !found.isEmpty else {
            let known = cluster.nodes.map(\.name).joined(separator: ", ")
            throw LabError(
                .notFound, "cluster \(cluster.name) has no node \(target), only \(known)")
        }
        return found
    }

    /// The endpoint that `CLUSTER/NAME` names, or `NAME` if only one cluster has such.
    public func endpoint(
        matching target: String
    ) throws(LabError) -> (cluster: Cluster, endpoint: Endpoint) {
        let all = clusters.flatMap { cluster in cluster.endpoints.map { (cluster, $0) } }
        let found = all.filter { cluster, endpoint in
            target == endpoint.name || target == "\(cluster.name)/\(endpoint.name)"
        }
        let known = all.map { "\($0.0.name)/\($0.1.name)" }.joined(separator: ", ")
        guard let first = found.first else {
            throw LabError(.notFound, "lab \(name) has no endpoint \(target), only \(known)")
        }
        guard found.count == 1 else {
            throw LabError(
                .notFound, "several clusters have an endpoint \(target): say CLUSTER/\(target)")
        }
        return (first.0, first.1)
    }
}

extension LabPlan.Service {
    /// Whether an endpoint is one of its backends.
    func selects(_ endpoint: LabPlan.Endpoint) -> Bool {
        endpoint.objectNamespace == objectNamespace
            && selector.allSatisfy { endpoint.labels[$0.key] == $0.value }
    }
}

extension LabPlan {
    /// Where services expect an endpoint to listen.
    func ports(of endpoint: Endpoint) -> Set<ListeningPort> {
        Set(
            services.filter { $0.selects(endpoint) }.flatMap(\.ports).map {
                ListeningPort(port: $0.targetPort, isUDP: $0.transport == "UDP")
            })
    }
}
