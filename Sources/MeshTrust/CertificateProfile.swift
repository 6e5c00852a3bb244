// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import SwiftASN1
import X509

/// The two certificates an authority makes. Whatever a request asks for, only the template counts.
///
/// - SeeAlso: RFC 5280 §4.2, X509-SVID.md §3–5.
enum CertificateProfile {
    static let rootLifetimeSeconds: Double = 10 * 365 * 86_400
    static let nodeLifetimeSeconds: Double = 24 * 3_600
    /// A verifier's clock may be this far behind.
    static let backdatingSeconds: Double = 60
    /// Intermediates below a root; the root signs node certificates itself today.
    static let rootPathLength = 1
    static let serialBytes = 16

    static func root(
        of domain: TrustDomain, key: Certificate.PrivateKey, now: Date
    ) throws -> Certificate {
        let name = try DistinguishedName { CommonName("weft authority \(domain)") }
        let keyIdentifier = SubjectKeyIdentifier(hash: key.publicKey)
        return try Certificate(
            version: .v3, serialNumber: serial(), publicKey: key.publicKey,
            notValidBefore: now - backdatingSeconds, notValidAfter: now + rootLifetimeSeconds,
            issuer: name, subject: name, signatureAlgorithm: .ecdsaWithSHA256,
            extensions: Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: rootPathLength))
                Critical(KeyUsage(keyCertSign: true, cRLSign: true))
                // A URI constraint alone leaves a certificate with only DNS names unrestricted.
                Critical(
                    NameConstraints(
                        permittedDNSDomains: [domain.name], permittedURIDomains: [domain.name]))
                SubjectAlternativeNames([
                    .uniformResourceIdentifier(SPIFFEID(authorityOf: domain).uri)
                ])
                keyIdentifier
                AuthorityKeyIdentifier(keyIdentifier: keyIdentifier.keyIdentifier)
            },
            issuerPrivateKey: key)
    }

    /// - Parameter issuer: its validity bounds the certificate's on both sides.
    static func node(
        _ identity: PeerIdentity, publicKey: Certificate.PublicKey, issuer: Certificate,
        issuerKey: Certificate.PrivateKey, now: Date
    ) throws -> Certificate {
        let issuerIdentifier = try issuer.extensions.subjectKeyIdentifier?.keyIdentifier
        return try Certificate(
            version: .v3, serialNumber: serial(), publicKey: publicKey,
            notValidBefore: max(now - backdatingSeconds, issuer.notValidBefore),
            notValidAfter: min(now + nodeLifetimeSeconds, issuer.notValidAfter),
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

    /// 128 random bits from the system's generator, positive and never zero.
    private static func serial() -> Certificate.SerialNumber {
        var bytes = (0..<serialBytes).map { _ in UInt8.random(in: 0 ... .max) }
        if bytes.allSatisfy({ $0 == 0 }) { bytes[serialBytes - 1] = 1 }
        return Certificate.SerialNumber(bytes: bytes)
    }
}
