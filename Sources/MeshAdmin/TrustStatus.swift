// SPDX-License-Identifier: Apache-2.0

/// How long what this node believes in lasts: `GET /v1/ca/status`.
public struct TrustStatus: Codable, Hashable, Sendable {
    /// Own cluster first, roots before what they issued.
    public var certificates: [CertificateStatus]
    /// The node that speaks for the own cluster's authority.
    public var home: String
    /// On a node that holds the authority, once something was recorded.
    public var audit: AuditHead?
    /// Denials in force.
    public var denials: Int
    /// On the home, while a key of the authority is replaced.
    public var rotation: RotationStatus?

    public init(
        certificates: [CertificateStatus], home: String, audit: AuditHead?, denials: Int,
        rotation: RotationStatus? = nil
    ) {
        self.certificates = certificates
        self.home = home
        self.audit = audit
        self.denials = denials
        self.rotation = rotation
    }

    /// The last record of the audit log: keep it elsewhere to notice when lines are cut off.
    public struct AuditHead: Codable, Hashable, Sendable {
        public var sequence: UInt64
        /// SHA-256 in hexadecimal.
        public var hash: String

        public init(sequence: UInt64, hash: String) {
            self.sequence = sequence
            self.hash = hash
        }
    }
}

public struct CertificateStatus: Codable, Hashable, Sendable {
    public enum Kind: String, Codable, Sendable, CaseIterable {
        case root, intermediate, node
    }

    public var kind: Kind
    /// Of the authority it is or that issued it.
    public var cluster: String
    /// Its SPIFFE ID.
    public var name: String
    /// Subject key identifier in hexadecimal.
    public var keyIdentifier: String
    /// In hexadecimal.
    public var serial: String
    /// Seconds since 1970.
    public var notAfterUnixSeconds: Int64
    /// Negative when it has ended.
    public var secondsLeft: Double
    /// 1 when it was issued, 0 when it ends.
    public var fractionLeft: Double

    public init(
        kind: Kind, cluster: String, name: String, keyIdentifier: String, serial: String,
        notAfterUnixSeconds: Int64, secondsLeft: Double, fractionLeft: Double
    ) {
        self.kind = kind
        self.cluster = cluster
        self.name = name
        self.keyIdentifier = keyIdentifier
        self.serial = serial
        self.notAfterUnixSeconds = notAfterUnixSeconds
        self.secondsLeft = secondsLeft
        self.fractionLeft = fractionLeft
    }
}
