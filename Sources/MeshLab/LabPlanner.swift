// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// Turns a ``LabFile`` into a ``LabPlan``, or says what contradicts what.
public struct LabPlanner {
    /// Addresses are derived from the cluster's ID and the node's number: 172.31.ID.NODE,
    /// 10.ID.NODE.0/24, 10.(200+ID).0.0/24.
    static let clusterIDMax = 50
    static let nodesPerClusterMax = 100
    static let endpointsPerNodeMax = 200
    static let underlay = "172.31.0.0/16"
    static let nameLengthMax = 16
    /// The first numbers of a prefix are the network's and the node's own.
    static let reservedNumbers: UInt64 = 2

    let name: String
    let file: LabFile
    private var prefixes: [(prefix: Prefix, owner: String)] = []

    /// - Throws: ``LabError`` `.invalidFile`: a name or an ID twice, overlapping prefixes, a
    ///   reference to something that isn't there.
    public static func plan(_ file: LabFile, name: String) throws(LabError) -> LabPlan {
        var planner = LabPlanner(name: name, file: file)
        return try planner.plan()
    }

    private init(name: String, file: LabFile) {
        self.name = name
        self.file = file
    }

    private mutating func plan() throws(LabError) -> LabPlan {
        try checkLabName(name)
        let mesh = file.mesh ?? "\(name).mesh"
        guard isSubdomain(mesh) else {
            throw invalid("mesh: '\(mesh)' is not a DNS name")
        }
        guard !file.clusters.isEmpty else { throw invalid("clusters: at least one is needed") }
        try unique(file.clusters.map(\.name)) { "two clusters are named '\($0)'" }
        try unique(file.clusters.map(\.id)) { "two clusters have the ID \($0)" }
        try claim(Self.underlay, "the underlay")
        var clusters: [LabPlan.Cluster] = []
        for cluster in file.clusters { clusters.append(try plan(cluster)) }
        try unique(clusters.flatMap { $0.nodes.map(\.name) }) { "two nodes are named '\($0)'" }
        return LabPlan(
            name: name, mesh: mesh, clusters: clusters,
            services: try ServicePlanner(clusters: clusters).plan(file.services ?? []),
            apart: file.apart ?? false)
    }

    private mutating func plan(_ cluster: LabFile.Cluster) throws(LabError) -> LabPlan.Cluster {
        guard ClusterName(rawValue: cluster.name) != nil else {
            throw invalid(
                "cluster '\(cluster.name)': a name has 1 to 32 characters of a-z, 0-9 and -")
        }
        guard (1...Self.clusterIDMax).contains(cluster.id) else {
            throw invalid(
                "cluster \(cluster.name): the ID \(cluster.id) is not 1 to \(Self.clusterIDMax), "
                    + "as a lab's must be")
        }
        let nodes = try planNodes(of: cluster)
        let services =
            cluster.serviceCIDRs ?? [
                "10.\(200 + cluster.id).0.0/24", "fd00:\(200 + cluster.id)::/112",
            ]
        for text in services { try claim(text, "serviceCIDRs of cluster \(cluster.name)") }
        let etcd = cluster.etcd ?? false
        guard !etcd || nodes.count > 1 else {
            throw LabError(
                .invalidFile,
                "cluster \(cluster.name) needs a second node for etcd: the last one doesn't publish"
            )
        }
        let apiServer = cluster.apiServer ?? false
        guard !apiServer || nodes.count > 1 && !etcd else {
            throw invalid(
                "cluster \(cluster.name) needs a second node for its API server, and no etcd beside it: "
                    + "the last one doesn't publish")
        }
        let authority = cluster.authority ?? false
        guard !authority || apiServer && (file.apart ?? false || file.clusters.count == 1) else {
            throw invalid(
                "cluster \(cluster.name): an authority that is no node needs apiServer: true, and apart: true "
                    + "beside other clusters")
        }
        return LabPlan.Cluster(
            name: cluster.name, id: UInt16(cluster.id), serviceCIDRs: services, nodes: nodes,
            etcd: etcd, apiServer: apiServer, authority: authority,
            certificateSeconds: cluster.certificateSeconds,
            endpoints: try planEndpoints(of: cluster, on: nodes))
    }

    private mutating func planNodes(
        of cluster: LabFile.Cluster
    ) throws(LabError) -> [LabPlan.Node] {
        let written: [LabFile.Node] =
            switch cluster.nodes ?? .count(2) {
            case .list(let list): list
            case .count(let count):
                (0..<max(0, min(count, Self.nodesPerClusterMax + 1))).map {
                    LabFile.Node(name: "\(cluster.name)-\($0 + 1)")
                }
            }
        guard (1...Self.nodesPerClusterMax).contains(written.count) else {
            throw invalid(
                "cluster \(cluster.name): a lab's cluster has 1 to \(Self.nodesPerClusterMax) nodes"
            )
        }
        var nodes: [LabPlan.Node] = []
        for (index, node) in written.enumerated() {
            let number = index + 1
            guard isLabel(node.name), node.name != "underlay" else {
                throw invalid("cluster \(cluster.name): node '\(node.name)' needs another name")
            }
            let prefixes =
                node.podPrefixes
                ?? ["10.\(cluster.id).\(number).0/24", "fd00:\(cluster.id):\(number)::/64"]
            for text in prefixes { try claim(text, "podPrefixes of node \(node.name)") }
            nodes.append(
                LabPlan.Node(
                    name: node.name, zone: node.zone ?? ["a", "b", "c"][index % 3],
                    namespace: LabPlan.namespacePrefix(of: name) + node.name,
                    port: "n\(cluster.id)-\(number)",
                    underlay: "172.31.\(cluster.id).\(number)", podPrefixes: prefixes))
        }
        return nodes
    }

    private func planEndpoints(
        of cluster: LabFile.Cluster, on nodes: [LabPlan.Node]
    ) throws(LabError) -> [LabPlan.Endpoint] {
        let written = cluster.endpoints ?? []
        try unique(written.map(\.name)) {
            "cluster \(cluster.name) has two endpoints named '\($0)'"
        }
        var counts: [String: Int] = [:]
        var endpoints: [LabPlan.Endpoint] = []
        for (index, endpoint) in written.enumerated() {
            let label = "endpoint \(cluster.name)/\(endpoint.name)"
            guard isLabel(endpoint.name) else {
                throw invalid("\(label): a name has letters a-z, digits and -")
            }
            let objectNamespace = endpoint.namespace ?? "default"
            guard isLabel(objectNamespace) else {
                throw invalid("\(label): '\(objectNamespace)' is no namespace")
            }
            let nodeName = endpoint.node ?? nodes[index % nodes.count].name
            guard let node = nodes.first(where: { $0.name == nodeName }) else {
                throw invalid("\(label): the cluster has no node '\(nodeName)'")
            }
            guard endpoint.command != [] else {
                throw invalid("\(label): its command is empty; leave it out instead")
            }
            let number = counts[nodeName, default: 0]
            counts[nodeName] = number + 1
            endpoints.append(
                LabPlan.Endpoint(
                    name: endpoint.name, objectNamespace: objectNamespace, node: nodeName,
                    labels: endpoint.labels ?? [:],
                    namespace: LabPlan.namespacePrefix(of: name)
                        + "\(cluster.name).\(endpoint.name)",
                    addresses: try addresses(number, of: node, label),
                    command: endpoint.command))
        }
        return endpoints
    }

    /// The `number`-th workload address of the first prefix of each family.
    private func addresses(
        _ number: Int, of node: LabPlan.Node, _ label: String
    ) throws(LabError) -> [String] {
        guard number < Self.endpointsPerNodeMax else {
            throw invalid(
                "\(label): a lab's node has at most \(Self.endpointsPerNodeMax) endpoints")
        }
        let prefixes = node.podPrefixes.compactMap { Prefix($0) }
        var addresses: [String] = []
        for isIPv4 in [true, false] {
            guard let prefix = prefixes.first(where: { $0.isIPv4 == isIPv4 }) else { continue }
            let address = prefix.address.advanced(by: Self.reservedNumbers + UInt64(number))
            guard prefix.contains(address) else {
                throw invalid("\(label): \(prefix) of node \(node.name) is too small for it")
            }
            addresses.append("\(address)")
        }
        return addresses
    }

    /// Notes who uses a prefix.
    private mutating func claim(_ text: String, _ owner: String) throws(LabError) {
        guard let prefix = Prefix(text) else {
            throw invalid("\(owner): '\(text)' is not a prefix such as 10.1.0.0/24")
        }
        if let other = prefixes.first(where: { $0.prefix.overlaps(prefix) }) {
            throw invalid("\(owner): \(prefix) overlaps \(other.prefix), \(other.owner)")
        }
        prefixes.append((prefix, owner))
    }
}

/// - Throws: `.invalidFile` unless `name` has 1 to 16 characters of a-z and 0-9. Without a hyphen no
///   lab's names are a part of another's.
func checkLabName(_ name: String) throws(LabError) {
    guard (1...LabPlanner.nameLengthMax).contains(name.utf8.count), isLabel(name),
        !name.utf8.contains(UInt8(ascii: "-"))
    else {
        throw LabError(
            .invalidFile,
            "'\(name)' can't be a lab's name: it has 1 to \(LabPlanner.nameLengthMax) letters a-z "
                + "and digits")
    }
}

func invalid(_ message: String) -> LabError { LabError(.invalidFile, message) }

func unique<Element: Hashable>(
    _ elements: [Element], _ message: (Element) -> String
) throws(LabError) {
    var seen: Set<Element> = []
    for element in elements where !seen.insert(element).inserted {
        throw invalid(message(element))
    }
}
