// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import SwiftASN1
import X509

/// The certificates an authority makes. Whatever a request asks for, only the template counts.
///
/// - SeeAlso: RFC 5280 §4.2, X509-SVID.md §3–5.
enum CertificateProfile {
    static let rootLifetimeSeconds: Double = 10 * 365 * 86_400
    static let intermediateLifetimeSeconds: Double = 30 * 86_400
    static let nodeLifetimeSeconds: Double = 24 * 3_600
    /// An intermediate lasts for at least so many lives of node certificates.
    static let nodeLivesPerIntermediate: Double = 3
    /// A verifier's clock may be this far behind.
    static let backdatingSeconds: Double = 60
    /// One intermediate stands between a root and a node.
    static let rootPathLength = 1
    static let intermediatePathLength = 0
    static let serialBytes = 16

    /// Names are told apart by key identifiers: a renewed authority keeps its name.
    static func rootName(of domain: TrustDomain) -> String { commonName("weft root", domain) }

    static func intermediateName(of domain: TrustDomain) -> String {
        commonName("weft intermediate", domain)
    }

    static func root(
        of domain: TrustDomain, key: Certificate.PrivateKey, areNamesConstrained: Bool = true,
        now: Date
    ) throws -> Certificate {
        let name = try DistinguishedName { CommonName(rootName(of: domain)) }
        let keyIdentifier = SubjectKeyIdentifier(hash: key.publicKey)
        return try Certificate(
            version: .v3, serialNumber: serial(), publicKey: key.publicKey,
            notValidBefore: now - backdatingSeconds, notValidAfter: now + rootLifetimeSeconds,
            issuer: name, subject: name, signatureAlgorithm: .ecdsaWithSHA256,
            extensions: Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: rootPathLength))
                Critical(KeyUsage(keyCertSign: true, cRLSign: true))
                if areNamesConstrained { Critical(constraints(to: domain)) }
                authorityName(of: domain)
                keyIdentifier
                AuthorityKeyIdentifier(keyIdentifier: keyIdentifier.keyIdentifier)
            },
            issuerPrivateKey: key)
    }

    /// Constrains names if its root does.
    ///
    /// - Parameter root: its validity bounds the certificate's on both sides.
    static func intermediate(
        of domain: TrustDomain, publicKey: Certificate.PublicKey, root: Certificate,
        rootKey: Certificate.PrivateKey, now: Date
    ) throws -> Certificate {
        let rootIdentifier = try root.extensions.subjectKeyIdentifier?.keyIdentifier
        let areNamesConstrained = try root.extensions.nameConstraints != nil
        return try Certificate(
            version: .v3, serialNumber: serial(), publicKey: publicKey,
            notValidBefore: max(now - backdatingSeconds, root.notValidBefore),
            notValidAfter: min(now + intermediateLifetimeSeconds, root.notValidAfter),
            issuer: root.subject,
            subject: try DistinguishedName { CommonName(intermediateName(of: domain)) },
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: Certificate.Extensions {
                Critical(
                    BasicConstraints.isCertificateAuthority(maxPathLength: intermediatePathLength))
                // digitalSignature: it signs statements too.
                Critical(KeyUsage(digitalSignature: true, keyCertSign: true, cRLSign: true))
                if areNamesConstrained { Critical(constraints(to: domain)) }
                authorityName(of: domain)
                SubjectKeyIdentifier(hash: publicKey)
                AuthorityKeyIdentifier(keyIdentifier: rootIdentifier)
            },
            issuerPrivateKey: rootKey)
    }

    /// - Parameter issuer: its validity bounds the certificate's on both sides.
    static func node(
        _ identity: PeerIdentity, publicKey: Certificate.PublicKey, issuer: Certificate,
        issuerKey: Certificate.PrivateKey, lifetimeSeconds: Double = nodeLifetimeSeconds,
        now: Date
    ) throws -> Certificate {
        let issuerIdentifier = try issuer.extensions.subjectKeyIdentifier?.keyIdentifier
        return try Certificate(
            version: .v3, serialNumber: serial(), publicKey: publicKey,
            notValidBefore: max(now - backdatingSeconds, issuer.notValidBefore),
            notValidAfter: min(now + lifetimeSeconds, issuer.notValidAfter),
            issuer: issuer.subject, subject: DistinguishedName(),
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: Certificate.Extensions {
                Critical(BasicConstraints.notCertificateAuthority)
                Critical(KeyUsage(digitalSignature: true))
                try ExtendedKeyUsage([.serverAuth, .clientAuth])
                // RFC 5280 §4.2.1.6: critical because the subject is empty.
                Critical(
                    SubjectAlternativeNames([
                        .uniformResourceIdentifier(identity.spiffeID.uri)
                    ]))
                SubjectKeyIdentifier(hash: publicKey)
                AuthorityKeyIdentifier(keyIdentifier: issuerIdentifier)
            },
            issuerPrivateKey: issuerKey)
    }

    /// A URI constraint alone leaves a certificate with only DNS names unrestricted.
    static func constraints(to domain: TrustDomain) -> NameConstraints {
        NameConstraints(permittedDNSDomains: [domain.name], permittedURIDomains: [domain.name])
    }

    private static func authorityName(of domain: TrustDomain) -> SubjectAlternativeNames {
        SubjectAlternativeNames([.uniformResourceIdentifier(SPIFFEID(authorityOf: domain).uri)])
    }

    /// RFC 5280 appendix A: a common name has at most 64 characters.
    private static func commonName(_ role: String, _ domain: TrustDomain) -> String {
        String("\(role) \(domain)".prefix(64))
    }

    /// 128 random bits from the system's generator, positive and never zero.
    private static func serial() -> Certificate.SerialNumber {
        var bytes = (0..<serialBytes).map { _ in UInt8.random(in: 0 ... .max) }
        if bytes.allSatisfy({ $0 == 0 }) { bytes[serialBytes - 1] = 1 }
        return Certificate.SerialNumber(bytes: bytes)
    }
}
