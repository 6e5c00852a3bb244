// SPDX-License-Identifier: Apache-2.0

import BPF
import MeshAdmin

/// A node on which endpoints are made.
struct ConnectivitySite: Sendable {
    /// Their Kubernetes namespace.
    static let objectNamespace = "weft-connectivity-test"

    let cluster: String
    let node: String
    /// Through the administration socket.
    let agent: AdminClient
    /// Their network namespaces' names begin so, and nobody else's do.
    let namespacePrefix: String
    /// Folder of their cgroups.
    let cgroup: String
    /// The cluster's manifests are here, not at another node; nil: they are elsewhere.
    let manifests: String?
    let roles: [ConnectivityEndpoint.Role]

    var endpoints: [ConnectivityEndpoint] {
        roles.map { ConnectivityEndpoint(site: self, role: $0) }
    }

    var manifestFiles: [String] {
        manifests.map { folder in
            ["", "-policy"].map { "\(folder)/\(Self.objectNamespace)\($0).yaml" }
        } ?? []
    }
}

/// A workload of the test.
struct ConnectivityEndpoint: Hashable, Sendable {
    enum Role: Hashable, Sendable {
        case client
        /// A client whom no policy knows.
        case stranger
        /// 1 or 2.
        case server(Int)
        /// A server that a policy protects.
        case guarded

        var name: String {
            switch self {
            case .client: "client"
            case .stranger: "stranger"
            case .server(let number): "server-\(number)"
            case .guarded: "guarded"
            }
        }

        var serves: Bool {
            switch self {
            case .client, .stranger: false
            case .server, .guarded: true
            }
        }
    }

    static let port: UInt16 = 8080

    let role: Role
    let cluster: String
    let node: String
    let networkNamespace: String
    let cgroup: String
    /// IPv4 before IPv6; empty until it is attached.
    var addresses: [String] = []

    init(site: ConnectivitySite, role: Role) {
        self.role = role
        cluster = site.cluster
        node = site.node
        networkNamespace = site.namespacePrefix + role.name
        cgroup = "\(site.cgroup)/weft-connectivity-\(role.name)"
    }

    /// Of a ``ConnectivityServer`` elsewhere, which is only asked.
    init(serverOf cluster: String, node: String, address: String) {
        role = Self.elsewhere
        self.cluster = cluster
        self.node = node
        networkNamespace = ""
        cgroup = ""
        addresses = [address]
    }

    /// What a ``ConnectivityServer`` is, beside whose test another may run on the same node.
    static let elsewhere = Role.server(2)

    var name: String { role.name }
    var path: String { "\(cluster)/\(name)" }
    /// As `weft policy trace` has it.
    var traceName: String { "\(cluster):\(ConnectivitySite.objectNamespace)/\(name)" }
    var labels: [String: String] { ["role": role.serves ? "\(name)" : name] }
}

extension Lab {
    /// Of a cluster's nodes the first two are tested.
    private static let nodesTested = 2

    func connectivitySites() -> [ConnectivitySite] {
        plan.clusters.flatMap { cluster in
            let nodes = Array(cluster.nodes.prefix(Self.nodesTested))
            return nodes.enumerated().map { index, node in
                var roles: [ConnectivityEndpoint.Role] = [.server(index + 1)]
                if index == 0 { roles += [.client, .stranger] }
                if index == nodes.count - 1 { roles.append(.guarded) }
                return ConnectivitySite(
                    cluster: cluster.name, node: node.name, agent: agent(of: node),
                    // An endpoint's own namespace has one dot.
                    namespacePrefix: "\(node.namespace).test.",
                    cgroup: cgroup.endpoints(of: node, in: cluster),
                    manifests: index == 0 ? plan.manifestFolder(of: node) : nil, roles: roles)
            }
        }
    }
}

extension ConnectivitySite {
    /// The node of one agent: both ends of what can be tested without the others' help.
    static func node(_ agent: AdminClient, serverOnly: Bool) async throws -> ConnectivitySite {
        let status = try await agent.status()
        let root: String
        do throws(BPFError) {
            root = try BPFFileSystem.cgroupRoot()
        } catch {
            throw LabError(.unsupported, "\(error)")
        }
        let kind = serverOnly ? "serve" : "test"
        return ConnectivitySite(
            cluster: status.cluster.name, node: status.node, agent: agent,
            namespacePrefix: "weft-connectivity-\(kind).",
            cgroup: root, manifests: nil,
            roles: serverOnly ? [ConnectivityEndpoint.elsewhere] : [.client, .server(1)])
    }
}
