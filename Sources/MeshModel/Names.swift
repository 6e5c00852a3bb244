// SPDX-License-Identifier: Apache-2.0

/// The number of a cluster in its mesh, 1...4095.
public struct ClusterID: RawRepresentable, Hashable, Comparable, Sendable, Codable {
    public static let maximum: UInt16 = 4095
    public let rawValue: UInt16

    public init?(rawValue: UInt16) {
        guard (1...Self.maximum).contains(rawValue) else { return nil }
        self.rawValue = rawValue
    }

    public static func < (left: ClusterID, right: ClusterID) -> Bool {
        left.rawValue < right.rawValue
    }
}

extension ClusterID: CustomStringConvertible {
    public var description: String { String(rawValue) }
}

/// The name of a cluster: 1...32 characters of `[a-z0-9-]`, no hyphen at either end.
public struct ClusterName: RawRepresentable, Hashable, Comparable, Sendable, Codable {
    public static let maximumLength = 32
    public let rawValue: String

    public init?(rawValue: String) {
        guard (1...Self.maximumLength).contains(rawValue.utf8.count), isLabel(rawValue)
        else { return nil }
        self.rawValue = rawValue
    }

    public static func < (left: ClusterName, right: ClusterName) -> Bool {
        left.rawValue < right.rawValue
    }
}

extension ClusterName: CustomStringConvertible {
    public var description: String { rawValue }
}

/// A node of a cluster. Its name is a DNS-1123 subdomain of at most 253 characters.
public struct NodeID: Hashable, Comparable, Sendable {
    public let cluster: ClusterID
    public let name: String

    public init?(cluster: ClusterID, name: String) {
        guard isSubdomain(name) else { return nil }
        self.cluster = cluster
        self.name = name
    }

    private init(unplacedIn cluster: ClusterID) {
        self.cluster = cluster
        name = ""
    }

    /// Stands in for the node of a backend whose slice names none, as an address outside the pods.
    /// Nothing is known about its liveness but its cluster's: it counts as live.
    public static func unplaced(in cluster: ClusterID) -> NodeID { NodeID(unplacedIn: cluster) }

    public var isUnplaced: Bool { name.isEmpty }

    public static func < (left: NodeID, right: NodeID) -> Bool {
        (left.cluster, left.name) < (right.cluster, right.name)
    }
}

extension NodeID: CustomStringConvertible {
    public var description: String { "\(cluster)/\(name)" }
}

/// Namespace and name of an object. Services of one such name in several clusters are one service.
public struct ObjectName: Hashable, Comparable, Sendable {
    public let namespace: String
    public let name: String

    public init(namespace: String, name: String) {
        self.namespace = namespace
        self.name = name
    }

    public static func < (left: ObjectName, right: ObjectName) -> Bool {
        (left.namespace, left.name) < (right.namespace, right.name)
    }
}

extension ObjectName: CustomStringConvertible {
    public var description: String { "\(namespace)/\(name)" }
}

/// Whether `text` is an RFC 1123 label: `[a-z0-9]([a-z0-9-]*[a-z0-9])?`, at most 63 characters.
public func isLabel(_ text: some StringProtocol) -> Bool {
    let bytes = text.utf8
    guard let first = bytes.first, bytes.count <= 63 else { return false }
    func isAlphanumeric(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
            || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
    return isAlphanumeric(first)
        && bytes.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
        && text.utf8.suffix(1).allSatisfy(isAlphanumeric)
}

/// Whether `text` is an RFC 1123 subdomain: labels joined by dots, at most 253 characters.
public func isSubdomain(_ text: String) -> Bool {
    text.utf8.count <= 253
        && text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { isLabel($0) }
}

/// Whether `text` is a value of a Kubernetes label that isn't empty: `[A-Za-z0-9]`, in between also `-`,
/// `_` and `.`; at most 63 characters.
public func isLabelText(_ text: some StringProtocol) -> Bool {
    func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: false
        }
    }
    let bytes = text.utf8
    guard let first = bytes.first, bytes.count <= 63 else { return false }
    return isAlphanumeric(first) && bytes.suffix(1).allSatisfy(isAlphanumeric)
        && bytes.allSatisfy {
            isAlphanumeric($0)
                || [UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: ".")]
                    .contains($0)
        }
}

/// Whether `text` is a key of a Kubernetes label, `tier` or `example.com/tier`: a text as label values
/// are, with or without a subdomain and a slash before it.
public func isQualifiedName(_ text: String) -> Bool {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let name = parts.last, isLabelText(name) else { return false }
    return parts.count == 1 || isSubdomain(String(parts[0]))
}
