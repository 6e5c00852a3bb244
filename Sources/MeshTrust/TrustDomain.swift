// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// The SPIFFE trust domain of one cluster: `<cluster>.<mesh>`, at most 255 bytes, lower case.
///
/// One cluster, one trust domain, one CA. RFC 5280 URI constraints bind only the host of a URI, so
/// "this cluster's CA mints only this cluster's identities" can be said only if each has its own.
public struct TrustDomain: Hashable, Comparable, Sendable {
    public static let maximumLength = 255
    public let cluster: ClusterName
    /// The name all clusters of the mesh share, an RFC 1123 subdomain.
    public let mesh: String

    /// - Throws: ``TrustError/invalidMesh(_:)`` when `mesh` isn't a subdomain or the whole is too long.
    public init(cluster: ClusterName, mesh: String) throws(TrustError) {
        guard isSubdomain(mesh), cluster.rawValue.utf8.count + 1 + mesh.utf8.count <= 253
        else { throw .invalidMesh(mesh) }
        self.cluster = cluster
        self.mesh = mesh
    }

    public var name: String { "\(cluster).\(mesh)" }

    public static func < (left: TrustDomain, right: TrustDomain) -> Bool {
        left.name < right.name
    }
}

extension TrustDomain: CustomStringConvertible {
    public var description: String { name }
}

/// A parsed `spiffe://<trust domain>/<path>`; the authority's own identity has an empty path.
///
/// - SeeAlso: SPIFFE-ID.md §2.
public struct SPIFFEID: Hashable, Sendable {
    public static let maximumLength = 2048
    static let scheme = "spiffe://"

    /// The trust domain's name; whether it is one of the mesh is for the ``TrustStore`` to say.
    public let trustDomain: String
    /// Without the leading slash.
    public let path: String

    /// The identity of a node: path `node/<name>`.
    public init(node: String, in domain: TrustDomain) {
        trustDomain = domain.name
        path = "node/\(node)"
    }

    init(authorityOf domain: TrustDomain) {
        trustDomain = domain.name
        path = ""
    }

    /// Nil for anything but the canonical form: lower-case scheme and trust domain, no port, user,
    /// query, fragment, percent-encoding, empty or dot segment.
    public init?(_ text: String) {
        guard text.utf8.count <= Self.maximumLength, text.hasPrefix(Self.scheme) else { return nil }
        let parts = text.dropFirst(Self.scheme.count)
            .split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        let domain = String(parts[0])
        guard isSubdomain(domain) else { return nil }
        if parts.count == 2 {
            let segments = parts[1].split(separator: "/", omittingEmptySubsequences: false)
            guard segments.allSatisfy(Self.isSegment) else { return nil }
        }
        trustDomain = domain
        path = parts.count == 2 ? String(parts[1]) : ""
    }

    /// The name in a `node/<name>` path, nil for any other path.
    public var node: String? {
        guard path.hasPrefix("node/") else { return nil }
        let name = String(path.dropFirst("node/".count))
        return isSubdomain(name) ? name : nil
    }

    public var uri: String {
        path.isEmpty ? Self.scheme + trustDomain : "\(Self.scheme)\(trustDomain)/\(path)"
    }

    private static func isSegment(_ text: Substring) -> Bool {
        !text.isEmpty && text != "." && text != ".."
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"),
                    UInt8(ascii: "_"):
                    true
                default: false
                }
            }
    }
}

extension SPIFFEID: CustomStringConvertible {
    public var description: String { uri }
}

/// Who a verified certificate says the other side is.
public struct PeerIdentity: Hashable, Comparable, Sendable {
    public let domain: TrustDomain
    public let node: String

    /// Nil unless `node` is an RFC 1123 subdomain.
    public init?(domain: TrustDomain, node: String) {
        guard isSubdomain(node) else { return nil }
        self.domain = domain
        self.node = node
    }

    public var cluster: ClusterName { domain.cluster }
    public var spiffeID: SPIFFEID { SPIFFEID(node: node, in: domain) }

    public static func < (left: PeerIdentity, right: PeerIdentity) -> Bool {
        (left.domain, left.node) < (right.domain, right.node)
    }
}

extension PeerIdentity: CustomStringConvertible {
    public var description: String { "\(cluster)/\(node)" }
}
