// SPDX-License-Identifier: Apache-2.0

public import Crypto
public import FoundationEssentials
public import MeshModel
public import MeshTrust
import SwiftASN1
public import X509

/// A root, an intermediate and a node's certificate that are as they should be, within what is
/// allowed to vary; what a test then spoils is its business.
public struct ForgedChain: Sendable {
    public let domain: TrustDomain
    public var rootKey = P256.Signing.PrivateKey()
    public var intermediateKey = P256.Signing.PrivateKey()
    public var root: ForgedCertificate
    public var intermediate: ForgedCertificate
    public var leaf: ForgedCertificate
    public var node: String
    /// Whether the peer sends the root along.
    public var sendsRoot: Bool
    /// The root in DER, signed once: every signature is another.
    public private(set) var rootBytes: [UInt8] = []

    public init(
        _ cluster: ClusterName, mesh: String, now: Date, areNamesConstrained: Bool = true,
        using random: inout SplitMix64
    ) throws {
        domain = try TrustDomain(cluster: cluster, mesh: mesh)
        node = "n\(UInt16.random(in: 0 ... .max, using: &random))"
        sendsRoot = Bool.random(using: &random)
        func certificate(lifetimeSeconds: Double, keyInfo: [UInt8]) -> ForgedCertificate {
            let age = Double.random(in: 1...lifetimeSeconds - 60, using: &random).rounded()
            var certificate = ForgedCertificate(
                notBefore: now - age, notAfter: now - age + lifetimeSeconds, keyInfo: keyInfo)
            let length = Int.random(in: 1...19, using: &random)
            certificate.serial =
                [UInt8.random(in: 1...0x7f, using: &random)]
                + (0..<length).map { _ in UInt8.random(in: 0 ... .max, using: &random) }
            if Int.random(in: 0..<4, using: &random) == 0 {
                certificate.algorithm = ForgedCertificate.ecdsaWithSHA384
            }
            return certificate
        }
        root = certificate(
            lifetimeSeconds: 3650 * 86_400, keyInfo: try DER.bytes(rootKey.certificateKey))
        intermediate = certificate(
            lifetimeSeconds: 30 * 86_400, keyInfo: try DER.bytes(intermediateKey.certificateKey))
        leaf = certificate(
            lifetimeSeconds: 86_400, keyInfo: try Self.someKey(using: &random))
        let constraints = NameConstraints(
            permittedDNSDomains: [domain.name], permittedURIDomains: [domain.name])
        let authority = SubjectAlternativeNames([
            .uniformResourceIdentifier("spiffe://\(domain)")
        ])

        root.subject = try DistinguishedName { CommonName("root of \(domain)") }
        root.issuer = root.subject
        root.extensions = [
            try .init(BasicConstraints.isCertificateAuthority(maxPathLength: 1), critical: true),
            try .init(KeyUsage(keyCertSign: true), critical: true),
            try .init(authority, critical: Bool.random(using: &random)),
            try .init(Self.keyIdentifier(rootKey), critical: false),
        ]
        intermediate.subject = try DistinguishedName { CommonName("intermediate of \(domain)") }
        intermediate.issuer = root.subject
        intermediate.extensions = [
            try .init(BasicConstraints.isCertificateAuthority(maxPathLength: 0), critical: true),
            try .init(KeyUsage(digitalSignature: true, keyCertSign: true), critical: true),
            try .init(authority, critical: Bool.random(using: &random)),
            try .init(Self.keyIdentifier(intermediateKey), critical: false),
            try .init(Self.issuerIdentifier(rootKey), critical: false),
        ]
        if areNamesConstrained {
            root.extensions.append(try .init(constraints, critical: true))
            intermediate.extensions.append(try .init(constraints, critical: true))
        }
        leaf.issuer = intermediate.subject
        leaf.extensions = [
            try .init(BasicConstraints.notCertificateAuthority, critical: true),
            try .init(KeyUsage(digitalSignature: true), critical: true),
            try .init(
                ExtendedKeyUsage([.serverAuth, .clientAuth]),
                critical: Bool.random(using: &random)),
            try .init(
                SubjectAlternativeNames([
                    .uniformResourceIdentifier("spiffe://\(domain)/node/\(node)")
                ]), critical: true),
            try .init(Self.issuerIdentifier(intermediateKey), critical: false),
        ]
        if Bool.random(using: &random) {
            leaf.extensions.append(
                .init(oid: [1, 3, 6, 1, 4, 1, 99_999, 1], critical: false, value: [5, 0]))
        }
        root.extensions.shuffle(using: &random)
        intermediate.extensions.shuffle(using: &random)
        leaf.extensions.shuffle(using: &random)
        try signRoot()
    }

    /// After a change of ``root``.
    public mutating func signRoot() throws { rootBytes = try root.signed(by: rootKey) }

    /// What the peer sends, DER.
    public func presented() throws -> [[UInt8]] {
        try [leaf.signed(by: intermediateKey), intermediate.signed(by: rootKey)]
            + (sendsRoot ? [rootBytes] : [])
    }

    /// - Throws: `TrustError` when the root won't do.
    public func bundle() throws -> TrustBundle {
        try TrustBundle(trustDomain: domain, certificates: [rootBytes])
    }

    public static func keyIdentifier(_ key: P256.Signing.PrivateKey) -> SubjectKeyIdentifier {
        SubjectKeyIdentifier(hash: key.certificateKey)
    }

    public static func issuerIdentifier(_ key: P256.Signing.PrivateKey) -> AuthorityKeyIdentifier {
        AuthorityKeyIdentifier(keyIdentifier: keyIdentifier(key).keyIdentifier)
    }

    private static func someKey(using random: inout SplitMix64) throws -> [UInt8] {
        switch Int.random(in: 0..<3, using: &random) {
        case 0: try DER.bytes(P256.Signing.PrivateKey().certificateKey)
        case 1:
            try DER.bytes(Certificate.PublicKey(P384.Signing.PrivateKey().publicKey))
        default:
            try DER.bytes(Certificate.PublicKey(Curve25519.Signing.PrivateKey().publicKey))
        }
    }
}

extension P256.Signing.PrivateKey {
    public var certificateKey: Certificate.PublicKey { Certificate.PublicKey(publicKey) }
}

extension TrustBundle {
    /// - Parameter certificates: DER.
    public init(trustDomain: TrustDomain, certificates: [[UInt8]]) throws {
        try self.init(
            trustDomain: trustDomain,
            pem: certificates.map {
                PEMDocument(type: "CERTIFICATE", derBytes: $0).pemString + "\n"
            }.joined())
    }
}
