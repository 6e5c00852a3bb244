// SPDX-License-Identifier: Apache-2.0

/// The kinds of objects that hold policies; raw values are Kubernetes' names.
public enum PolicyKind: String, Hashable, Comparable, Sendable, CaseIterable {
    case adminNetworkPolicy = "AdminNetworkPolicy"
    case baselineAdminNetworkPolicy = "BaselineAdminNetworkPolicy"
    case ciliumClusterwideNetworkPolicy = "CiliumClusterwideNetworkPolicy"
    case ciliumNetworkPolicy = "CiliumNetworkPolicy"
    case clusterNetworkPolicy = "ClusterNetworkPolicy"
    case networkPolicy = "NetworkPolicy"

    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

/// Which object a policy is, written `NetworkPolicy shop/db`.
public struct PolicyName: Hashable, Comparable, Sendable {
    public let kind: PolicyKind
    /// Empty for the kinds that belong to the whole cluster.
    public let namespace: String
    public let name: String

    public init(kind: PolicyKind, namespace: String = "", name: String) {
        self.kind = kind
        self.namespace = namespace
        self.name = name
    }

    public static func < (left: PolicyName, right: PolicyName) -> Bool {
        (left.kind, left.namespace, left.name) < (right.kind, right.namespace, right.name)
    }
}

extension PolicyName: CustomStringConvertible {
    public var description: String {
        "\(kind.rawValue) \(namespace.isEmpty ? name : "\(namespace)/\(name)")"
    }
}

/// Policies are asked in this order; the first tier that decides, decides.
public enum PolicyTier: UInt8, Hashable, Comparable, Sendable, CaseIterable {
    /// First matching rule by priority and order.
    case admin
    /// NetworkPolicy and CiliumNetworkPolicy: a deny rule before any accept rule, without order.
    case standard
    /// As `admin`, for what no tier above decided.
    case baseline

    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

/// Seen from the endpoint that a policy selects; raw values are `enum weft_direction`.
public enum PolicyDirection: UInt8, Hashable, Comparable, Sendable, CaseIterable {
    case egress
    case ingress

    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

extension PolicyDirection: CustomStringConvertible {
    public var description: String {
        switch self {
        case .egress: "egress"
        case .ingress: "ingress"
        }
    }
}
