// SPDX-License-Identifier: Apache-2.0

import Yams

/// A lab as its author writes it.
///
/// ```yaml
/// apart: false                   # optional: true for clusters that may join each other
/// clusters:
///   - name: alpha
///     id: 1
///     nodes: 2                     # or a list of {name, zone, podPrefixes}
///     serviceCIDRs: [10.201.0.0/24]  # optional
///     etcd: true                   # optional: ledger and lease in an etcd on the last node
///     apiServer: true              # optional: objects, nodes and lease in an API server on the last node
///     authority: true              # optional, beside it: an authority that is no node, of two replicas
///     certificateSeconds: 60       # optional: how long its nodes' certificates last
///     endpoints:
///       - name: web-1
///         namespace: demo
///         labels: {app: web}
///         command: [weft, lab, serve, --port, "8080"]
/// services:
///   - name: web
///     namespace: demo
///     selector: {app: web}
///     ports: [{port: 80, targetPort: 8080}]
/// ```
public struct LabFile: Decodable, Hashable, Sendable {
    public var mesh: String?
    public var clusters: [Cluster]
    public var services: [Service]?
    /// Whether the clusters don't know each other at first: they may join. False if not said.
    public var apart: Bool?

    public struct Cluster: Decodable, Hashable, Sendable {
        public var name: String
        /// 1...50.
        public var id: Int
        public var nodes: Nodes?
        public var serviceCIDRs: [String]?
        /// Whether the cluster keeps its ledger and its publisher's lease in an etcd, which runs on
        /// the last node; all others may publish. Two nodes at least. False if not said.
        public var etcd: Bool?
        /// Whether the cluster has an API server, on the last node, where objects, the list of nodes and
        /// the publisher's lease are; all others may publish. Two nodes at least. False if not said.
        public var apiServer: Bool?
        /// Whether the cluster's authority is no node, but two replicas of `weftd --authority` in the networks
        /// of its first two nodes; agents then find the API server as pods do, and get their certificates for
        /// tokens. Needs ``apiServer``, and clusters that are ``LabFile/apart``: its root is made while it
        /// starts. False if not said.
        public var authority: Bool?
        /// How long certificates of its nodes last, 60...86,400; a day if not said.
        public var certificateSeconds: Int?
        public var endpoints: [Endpoint]?
    }

    public enum Nodes: Decodable, Hashable, Sendable {
        case count(Int)
        case list([Node])

        public init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let count = try? container.decode(Int.self) {
                self = .count(count)
            } else {
                self = .list(try container.decode([Node].self))
            }
        }
    }

    public struct Node: Decodable, Hashable, Sendable {
        public var name: String
        public var zone: String?
        public var podPrefixes: [String]?
    }

    public struct Endpoint: Decodable, Hashable, Sendable {
        public var name: String
        /// `default` if not said.
        public var namespace: String?
        /// Spread over the cluster's nodes if not said.
        public var node: String?
        public var labels: [String: String]?
        /// `weft` as the first word is the lab's own program; without a command the endpoint is
        /// there for `weft lab exec`.
        public var command: [String]?
    }

    public struct Service: Decodable, Hashable, Sendable {
        public var name: String
        public var namespace: String?
        public var selector: [String: String]
        public var ports: [Port]
        /// Clusters that have it; all if not said.
        public var clusters: [String]?
        /// True if not said.
        public var global: Bool?
        public var affinity: String?
        public var sessionAffinitySeconds: Int?
    }

    public struct Port: Decodable, Hashable, Sendable {
        public var name: String?
        public var port: Int
        /// `port` if not said.
        public var targetPort: Int?
        /// `TCP` if not said.
        public var `protocol`: String?
    }
}

extension LabFile {
    public static let bytesMax = 1 << 20

    /// - Throws: ``LabError`` `.invalidFile` with the field that doesn't read.
    public init(yaml: String, name: String) throws(LabError) {
        guard yaml.utf8.count <= Self.bytesMax else {
            throw LabError(.invalidFile, "\(name) is larger than \(Self.bytesMax) bytes")
        }
        do {
            self = try YAMLDecoder().decode(LabFile.self, from: yaml)
        } catch let error as DecodingError {
            throw LabError(.invalidFile, "\(name): \(explain(error))")
        } catch {
            throw LabError(.invalidFile, "\(name) is not YAML: \(error)")
        }
    }

    /// Three clusters of two nodes; one global service with two backends in each; one client.
    public static let builtIn = LabFile(
        mesh: nil,
        clusters: [("alpha", 1), ("beta", 2), ("gamma", 3)].map { name, id in
            let servers = (1...2).map { number in
                Endpoint(
                    name: "web-\(number)", namespace: "demo", labels: ["app": "web"],
                    command: ["weft", "lab", "serve", "--port", "8080"])
            }
            let client = Endpoint(name: "client", namespace: "demo", labels: ["app": "client"])
            return Cluster(
                name: name, id: id, nodes: .count(2),
                endpoints: name == "alpha" ? servers + [client] : servers)
        },
        services: [
            Service(
                name: "web", namespace: "demo", selector: ["app": "web"],
                ports: [
                    Port(name: "http", port: 80, targetPort: 8080),
                    Port(name: "echo", port: 7, targetPort: 8080, protocol: "UDP"),
                ])
        ])
}

private func explain(_ error: DecodingError) -> String {
    func path(_ context: DecodingError.Context, _ last: (any CodingKey)? = nil) -> String {
        (context.codingPath + [last].compactMap(\.self))
            .map { $0.intValue.map { "[\($0)]" } ?? ".\($0.stringValue)" }
            .joined()
            .drop { $0 == "." }
            .description
    }
    return switch error {
    case .keyNotFound(let key, let context): "\(path(context, key)) is missing"
    case .typeMismatch(_, let context), .valueNotFound(_, let context),
        .dataCorrupted(let context):
        [path(context), context.debugDescription].filter { !$0.isEmpty }.joined(separator: ": ")
    @unknown default: "\(error)"
    }
}
