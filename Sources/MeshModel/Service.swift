// SPDX-License-Identifier: Apache-2.0

/// Transport protocols that services and connections use; raw values are IP protocol numbers.
public enum TransportProtocol: UInt8, Hashable, Comparable, Sendable, CaseIterable, Codable {
    case tcp = 6
    case udp = 17
    case sctp = 132

    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

extension TransportProtocol: CustomStringConvertible {
    /// As Kubernetes writes it.
    public var description: String {
        switch self {
        case .tcp: "TCP"
        case .udp: "UDP"
        case .sctp: "SCTP"
        }
    }

    public init?(_ text: String) {
        guard let match = Self.allCases.first(where: { $0.description == text }) else { return nil }
        self = match
    }
}

/// Where a client connects to.
public struct FrontendKey: Hashable, Comparable, Sendable {
    public let address: Address
    /// Host byte order.
    public let port: UInt16
    public let transport: TransportProtocol

    public init(address: Address, port: UInt16, transport: TransportProtocol) {
        self.address = address
        self.port = port
        self.transport = transport
    }

    public static func < (left: FrontendKey, right: FrontendKey) -> Bool {
        (left.address, left.port, left.transport) < (right.address, right.port, right.transport)
    }
}

extension FrontendKey: CustomStringConvertible {
    public var description: String {
        "\(address.isIPv4 ? "\(address)" : "[\(address)]"):\(port)/\(transport)"
    }
}

/// Which clusters a global service prefers.
public enum ServiceAffinity: String, Hashable, Sendable, Codable, CaseIterable {
    /// Every cluster alike.
    case none
    /// Own cluster first, others when it has no backend that takes new flows.
    case local
    /// Other clusters first.
    case remote
}

/// One address that serves a frontend.
public struct Backend: Hashable, Comparable, Sendable {
    public let address: Address
    /// Host byte order.
    public let port: UInt16
    public let node: NodeID

    public init(address: Address, port: UInt16, node: NodeID) {
        self.address = address
        self.port = port
        self.node = node
    }

    public static func < (left: Backend, right: Backend) -> Bool {
        (left.address, left.port, left.node) < (right.address, right.port, right.node)
    }
}

/// The backends that one cluster gives a frontend, at one preference.
public struct ClusterSlice: Hashable, Sendable {
    public let cluster: ClusterID
    /// Lower is preferred; a tier is used only when no lower one has a live cluster.
    public let tier: UInt8
    /// Share among the live clusters of the tier, relative to theirs; multiplied by the cluster's
    /// own weight. 0 takes nothing.
    public let weight: UInt8
    /// Sorted, without duplicates, not empty.
    public let backends: [Backend]

    public init(cluster: ClusterID, tier: UInt8, weight: UInt8, backends: [Backend]) {
        self.cluster = cluster
        self.tier = tier
        self.weight = weight
        self.backends = backends
    }
}

/// A frontend and everything that may serve it, in all clusters: one row of the service table.
public struct ServiceFrontend: Hashable, Sendable {
    public static let maximumClusters = 32
    public static let maximumBackendsPerCluster = 65_535

    public let key: FrontendKey
    public let service: ObjectName
    public let portName: String
    public let isGlobal: Bool
    /// Seconds a client stays with its backend; 0 is no session affinity.
    public let sessionAffinitySeconds: UInt32
    /// At most ``maximumClusters``; a cluster may stand in several tiers.
    public let slices: [ClusterSlice]

    public init(
        key: FrontendKey, service: ObjectName, portName: String, isGlobal: Bool,
        sessionAffinitySeconds: UInt32, slices: [ClusterSlice]
    ) {
        self.key = key
        self.service = service
        self.portName = portName
        self.isGlobal = isGlobal
        self.sessionAffinitySeconds = sessionAffinitySeconds
        self.slices = slices
    }
}
