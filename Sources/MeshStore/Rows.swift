// SPDX-License-Identifier: Apache-2.0

public import MeshModel
public import MeshPolicy

extension ServiceFrontend: TableRow {}

/// A workload address of the mesh, here or elsewhere.
public struct EndpointRow: TableRow, Hashable {
    public let address: Address
    /// Of the key of the endpoint's record: two rows of a cluster with one hash are one endpoint.
    public let record: RecordHash
    /// Set for endpoints of the own cluster; other clusters' names stand in their ledgers.
    public let object: ObjectName?
    public let identity: Identity
    public let node: NodeID
    /// Set for endpoints of this node.
    public let local: LocalInterface?
    /// Set for endpoints of this node.
    public let workload: LocalWorkload?
    /// Whether its endpoint has other addresses, too: rows of one record are counted once.
    public let hasSiblings: Bool

    public var key: Address { address }

    public init(
        address: Address, record: RecordHash, object: ObjectName?, identity: Identity,
        node: NodeID, local: LocalInterface?, workload: LocalWorkload? = nil,
        hasSiblings: Bool = false
    ) {
        self.address = address
        self.record = record
        self.object = object
        self.identity = identity
        self.node = node
        self.local = local
        self.workload = workload
        self.hasSiblings = hasSiblings
    }
}

/// What policies go by at an endpoint of this node. It doesn't wait for an identity.
public struct LocalWorkload: Hashable, Sendable {
    /// All that it has, also those that make no identity.
    public let labels: Labels
    /// Sorted.
    public let namedPorts: [NamedPort]
    /// What policies would deny is reported, and let through.
    public let isAudited: Bool

    public init(labels: Labels, namedPorts: [NamedPort] = [], isAudited: Bool = false) {
        self.labels = labels
        self.namedPorts = namedPorts
        self.isAudited = isAudited
    }
}

/// How a packet reaches an endpoint of this node.
public struct LocalInterface: Hashable, Sendable {
    /// Index of the veth pair's host side, in the agent's network namespace.
    public let ifindex: UInt32
    /// Of the workload's side.
    public let mac: LinkAddress

    public init(ifindex: UInt32, mac: LinkAddress) {
        self.ifindex = ifindex
        self.mac = mac
    }
}

/// A 48-bit Ethernet address; the first byte on the wire is the most significant one.
public struct LinkAddress: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt64

    /// Nil above 48 bits.
    public init?(rawValue: UInt64) {
        guard rawValue >> 48 == 0 else { return nil }
        self.rawValue = rawValue
    }

    /// - Parameter bytes: six, in the order of the wire.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 6 else { return nil }
        rawValue = bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Six bytes in the order of the wire.
    public var bytes: [UInt8] {
        (0..<6).map { UInt8(truncatingIfNeeded: rawValue >> (40 - 8 * $0)) }
    }
}

extension LinkAddress: CustomStringConvertible {
    public var description: String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
    }
}

public struct NodeRow: TableRow, Hashable {
    public let id: NodeID
    /// 1...8; the first is where the node is reached, packets may come from any.
    public let outerAddresses: [Address]
    public let podPrefixes: [Prefix]
    public let zone: String
    /// Before its cluster announced others.
    public let isRelay: Bool
    /// What it gossips with inside its cluster.
    public let gossipKeys: [GossipKey]
    /// It leaves by its own word: it takes no new flows.
    public let isDraining: Bool
    /// The node this agent runs on.
    public let isLocal: Bool

    public var key: NodeID { id }

    public init(
        id: NodeID, outerAddresses: [Address], podPrefixes: [Prefix], zone: String, isRelay: Bool,
        gossipKeys: [GossipKey] = [], isDraining: Bool = false, isLocal: Bool
    ) {
        self.id = id
        self.outerAddresses = outerAddresses
        self.podPrefixes = podPrefixes
        self.zone = zone
        self.isRelay = isRelay
        self.gossipKeys = gossipKeys
        self.isDraining = isDraining
        self.isLocal = isLocal
    }
}

/// How far the identity in a packet from another node is believed.
public enum SourceCheck: String, Hashable, Sendable, CaseIterable, Codable {
    /// The outer source is a known node of the identity's cluster.
    case node
    /// The inner source lies in the prefixes of the identity's cluster; for NATed underlays.
    case clusterPrefixes = "cluster-prefixes"
    case off
}

public struct ClusterRow: TableRow, Hashable {
    public let id: ClusterID
    public let name: ClusterName
    public let podPrefixes: [Prefix]
    public let sourceCheck: SourceCheck
    /// The cluster this agent belongs to.
    public let isLocal: Bool

    public var key: ClusterID { id }

    public init(
        id: ClusterID, name: ClusterName, podPrefixes: [Prefix], sourceCheck: SourceCheck,
        isLocal: Bool
    ) {
        self.id = id
        self.name = name
        self.podPrefixes = podPrefixes
        self.sourceCheck = sourceCheck
        self.isLocal = isLocal
    }
}

public struct IdentityRow: TableRow, Hashable {
    public let identity: Identity
    public let labels: Labels

    public var key: Identity { identity }

    public init(identity: Identity, labels: Labels) {
        self.identity = identity
        self.labels = labels
    }
}

public struct NamespaceName: Hashable, Comparable, Sendable {
    public let cluster: ClusterID
    public let name: String

    public init(cluster: ClusterID, name: String) {
        self.cluster = cluster
        self.name = name
    }

    public static func < (left: NamespaceName, right: NamespaceName) -> Bool {
        (left.cluster, left.name) < (right.cluster, right.name)
    }
}

public struct NamespaceRow: TableRow, Hashable {
    public let key: NamespaceName
    public let labels: Labels
    /// Policies are tried out on its endpoints: see ``LocalWorkload/isAudited``.
    public let isAudited: Bool

    public init(key: NamespaceName, labels: Labels, isAudited: Bool = false) {
        self.key = key
        self.labels = labels
        self.isAudited = isAudited
    }
}

public struct PolicyRow: TableRow, Hashable {
    public let policy: Policy
    public var key: PolicyName { policy.name }

    public init(_ policy: Policy) { self.policy = policy }
}
