// SPDX-License-Identifier: Apache-2.0

/// One line of a deny list in force: `GET /v1/ca/denials`.
public struct DenialStatus: Codable, Hashable, Sendable {
    /// The cluster that denies, for everybody; nil: this node's operator, for this node.
    public var owner: String?
    public var subject: String
    public var reason: String
    /// Seconds since 1970.
    public var sinceUnixSeconds: Int64
    /// When the denial drops off, since nothing is left for it to deny.
    public var untilUnixSeconds: Int64

    public init(
        owner: String?, subject: String, reason: String, sinceUnixSeconds: Int64,
        untilUnixSeconds: Int64
    ) {
        self.owner = owner
        self.subject = subject
        self.reason = reason
        self.sinceUnixSeconds = sinceUnixSeconds
        self.untilUnixSeconds = untilUnixSeconds
    }
}

/// What is denied, or allowed again: exactly one of the subjects, but an authority may stand beside a
/// serial number.
public struct DenialSubject: Codable, Hashable, Sendable {
    /// Of a certificate, in hexadecimal.
    public var serial: String?
    /// SHA-256 of a public key's SubjectPublicKeyInfo, in hexadecimal.
    public var key: String?
    /// A node of the own cluster, or `CLUSTER/NODE`.
    public var node: String?
    /// Subject key identifier of an authority in hexadecimal; beside a serial number its issuer's, by
    /// default that of the own cluster's present authority.
    public var authority: String?

    public init(
        serial: String? = nil, key: String? = nil, node: String? = nil, authority: String? = nil
    ) {
        self.serial = serial
        self.key = key
        self.node = node
        self.authority = authority
    }
}

/// `POST /v1/ca/deny`.
public struct DenyRequest: Codable, Hashable, Sendable {
    public var subject: DenialSubject
    /// For people; at most 200 bytes.
    public var reason: String
    /// For this node alone, whoever issued what is denied.
    public var isLocal: Bool

    public init(subject: DenialSubject, reason: String, isLocal: Bool) {
        self.subject = subject
        self.reason = reason
        self.isLocal = isLocal
    }
}

/// `POST /v1/ca/allow`.
public struct AllowRequest: Codable, Hashable, Sendable {
    public var subject: DenialSubject
    public var isLocal: Bool

    public init(subject: DenialSubject, isLocal: Bool) {
        self.subject = subject
        self.isLocal = isLocal
    }
}

/// `POST /v1/ca/certificates`: on a node that holds the authority.
public struct CertifyRequest: Codable, Hashable, Sendable {
    public var node: String
    /// PKCS#10 in DER, base64: the key stays where it was made.
    public var request: String

    public init(node: String, request: String) {
        self.node = node
        self.request = request
    }
}

public struct CertifyAnswer: Codable, Hashable, Sendable {
    /// The node's certificate first, without the root; DER, base64.
    public var chain: [String]
    /// The cluster's roots, PEM.
    public var bundle: String

    public init(chain: [String], bundle: String) {
        self.chain = chain
        self.bundle = bundle
    }
}
