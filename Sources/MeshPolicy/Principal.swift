// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// A port that a workload names, as its containers declare it.
public struct NamedPort: Hashable, Comparable, Sendable {
    /// Characters of a name (IANA service names, RFC 6335).
    public static let nameMaximum = 15

    public let name: String
    public let transport: TransportProtocol
    /// Host byte order.
    public let port: UInt16

    public init(name: String, transport: TransportProtocol, port: UInt16) {
        self.name = name
        self.transport = transport
        self.port = port
    }

    public static func < (left: Self, right: Self) -> Bool {
        (left.name, left.transport, left.port) < (right.name, right.transport, right.port)
    }
}

/// What policies see of an endpoint: the same for all endpoints of an identity.
///
/// Several endpoints of an identity may give one name different numbers; then the name means all of
/// them. It means exactly what Kubernetes says where an identity's endpoints agree.
public struct Principal: Hashable, Sendable {
    public let cluster: ClusterName
    public let namespace: String
    public let namespaceLabels: Labels
    public let labels: Labels
    /// Sorted, without duplicates.
    public let namedPorts: [NamedPort]

    public init(
        cluster: ClusterName, namespace: String, namespaceLabels: Labels, labels: Labels,
        namedPorts: [NamedPort] = []
    ) {
        self.cluster = cluster
        self.namespace = namespace
        self.namespaceLabels = namespaceLabels
        self.labels = labels
        self.namedPorts = Set(namedPorts).sorted()
    }

    subscript(field: SelectorField) -> String? {
        switch field {
        case .cluster: cluster.rawValue
        case .namespace: namespace
        case .namespaceLabel(let key): namespaceLabels[key]
        case .label(let key): labels[key]
        }
    }
}

/// The other side of a flow.
public enum PolicyPeer: Hashable, Sendable {
    case endpoint(Principal)
    /// The node that the policy's endpoint runs on.
    case host
    /// Any other node, of any cluster.
    case remoteNode
    case health
    /// An endpoint whose labels aren't known yet: rules that ask for labels might mean it.
    case initializing
    /// Outside the mesh.
    case world
    /// An identity that nothing is known of yet: any rule might mean it that doesn't mean everyone.
    case unknown
}

/// What policies know of their surroundings.
public struct PolicyEnvironment: Hashable, Sendable {
    /// Whose policies these are.
    public let cluster: ClusterName
    public let scope: PolicyScope

    public init(cluster: ClusterName, scope: PolicyScope = .localCluster) {
        self.cluster = cluster
        self.scope = scope
    }
}

/// Which clusters a peer selector means that doesn't say. One that asks for a cluster label, if only
/// for its existence, means the clusters that it selects, under either setting. Address blocks and
/// rules for everyone don't select by labels: they mean every cluster.
public enum PolicyScope: String, Hashable, Sendable, CaseIterable {
    /// The policy's own, so that joining a mesh changes no policy's meaning.
    case localCluster
    case allClusters
}
