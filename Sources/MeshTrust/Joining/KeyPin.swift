// SPDX-License-Identifier: Apache-2.0

public import MeshModel
import SwiftASN1
public import X509

/// SHA-256 of a key's SubjectPublicKeyInfo in DER: what names a root, whatever its certificate says.
public struct KeyPin: Hashable, Comparable, Sendable {
    static let byteCount = 32
    /// 32 bytes.
    public let bytes: [UInt8]

    public init(of certificate: Certificate) { self.init(of: certificate.publicKey) }

    public init(of key: Certificate.PublicKey) {
        // The library's own property lacks the algorithm. Whatever key it holds it can write.
        bytes = sha256(
            (try? key.serializeAsPEM())?.derBytes ?? Array(key.subjectPublicKeyInfoBytes))
    }

    /// - Parameter bytes: ``byteCount`` of them.
    init(unchecked bytes: [UInt8]) { self.bytes = bytes }

    public static func < (left: KeyPin, right: KeyPin) -> Bool {
        left.bytes.lexicographicallyPrecedes(right.bytes)
    }
}

extension KeyPin: LosslessStringConvertible, Codable {
    /// 64 hexadecimal digits.
    public init?(_ text: String) {
        guard text.utf8.count == 2 * Self.byteCount, let bytes = [UInt8](hexadecimal: text),
            bytes.count == Self.byteCount
        else { return nil }
        self.bytes = bytes
    }

    public var description: String { hexadecimal(bytes) }
    /// The first 16 digits: enough for a person to tell two keys apart.
    public var short: String { hexadecimal(bytes.prefix(8)) }

    public init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let pin = KeyPin(text) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "is no SHA-256"))
        }
        self = pin
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// Whom a join token was made for.
public struct TokenSubject: Hashable, Sendable, Codable {
    public enum Kind: UInt8, Sendable, Codable {
        case cluster = 1
        case node = 2
    }

    public let kind: Kind
    /// Of the cluster that may join, or of the node that may have a certificate.
    public let name: String
    /// Of the cluster that may join, or that the node belongs to.
    public let cluster: ClusterID

    public init(cluster name: ClusterName, id: ClusterID) {
        kind = .cluster
        self.name = name.rawValue
        cluster = id
    }

    /// Nil unless `node` is an RFC 1123 subdomain.
    public init?(node: String, of cluster: ClusterID) {
        guard isSubdomain(node) else { return nil }
        kind = .node
        name = node
        self.cluster = cluster
    }
}

extension TokenSubject: CustomStringConvertible {
    public var description: String {
        switch kind {
        case .cluster: "cluster '\(name)' (ID \(cluster))"
        case .node: "node '\(name)' of cluster \(cluster)"
        }
    }
}

extension TokenSubject {
    func encode(into writer: inout ByteWriter) {
        writer.write(kind.rawValue)
        writer.write(short: name)
        writer.write(cluster.rawValue)
    }

    init(from reader: inout ByteReader) throws(DecodingFault) {
        guard let kind = Kind(rawValue: try reader.read()) else { throw .invalid("kind") }
        let name = try reader.readShort("name")
        let cluster = try reader.readClusterID()
        switch kind {
        case .cluster:
            guard let name = ClusterName(rawValue: name) else { throw .invalid("cluster name") }
            self.init(cluster: name, id: cluster)
        case .node:
            guard let subject = TokenSubject(node: name, of: cluster)
            else { throw .invalid("node name") }
            self = subject
        }
    }
}
