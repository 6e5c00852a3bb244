// SPDX-License-Identifier: Apache-2.0

/// A workload of the mesh: `GET /v1/endpoints`.
public struct EndpointStatus: Codable, Hashable, Sendable {
    public var namespace: String
    public var name: String
    public var cluster: ClusterReference
    public var node: String
    /// Whether it is attached to this node.
    public var isLocal: Bool
    public var addresses: [String]
    /// 32 bits; 0 while the publisher hasn't allotted one.
    public var identity: UInt32
    public var labels: [String: String]
    /// Host side of the veth pair; nil for endpoints of other nodes.
    public var interface: String?
    public var state: Realisation
    public var reason: String?

    public init(
        namespace: String, name: String, cluster: ClusterReference, node: String, isLocal: Bool,
        addresses: [String], identity: UInt32, labels: [String: String], interface: String? = nil,
        state: Realisation, reason: String? = nil
    ) {
        self.namespace = namespace
        self.name = name
        self.cluster = cluster
        self.node = node
        self.isLocal = isLocal
        self.addresses = addresses
        self.identity = identity
        self.labels = labels
        self.interface = interface
        self.state = state
        self.reason = reason
    }
}

/// What a number in packets means: `GET /v1/identities`.
public struct IdentityStatus: Codable, Hashable, Sendable {
    public var identity: UInt32
    /// Nil for identities outside every cluster.
    public var cluster: ClusterReference?
    /// Set for reserved identities: `host`, `world`, ….
    public var reservedName: String?
    public var labels: [String: String]
    /// Endpoints that carry it.
    public var endpoints: Int

    public init(
        identity: UInt32, cluster: ClusterReference? = nil, reservedName: String? = nil,
        labels: [String: String], endpoints: Int
    ) {
        self.identity = identity
        self.cluster = cluster
        self.reservedName = reservedName
        self.labels = labels
        self.endpoints = endpoints
    }
}

/// `POST /v1/endpoints`: attach the workload in a network namespace.
public struct AttachRequest: Codable, Hashable, Sendable {
    public var namespace: String
    public var name: String
    public var labels: [String: String]
    /// Path of the network namespace as the agent sees it, `/run/netns/web` or `/proc/42/ns/net`.
    public var namespacePath: String
    /// Addresses to give; nil lets the node choose from its prefixes.
    public var addresses: [String]?

    public init(
        namespace: String, name: String, labels: [String: String], namespacePath: String,
        addresses: [String]? = nil
    ) {
        self.namespace = namespace
        self.name = name
        self.labels = labels
        self.namespacePath = namespacePath
        self.addresses = addresses
    }
}

/// `POST /v1/drain`.
public struct DrainRequest: Codable, Hashable, Sendable {
    public var draining: Bool

    public init(draining: Bool) {
        self.draining = draining
    }
}
