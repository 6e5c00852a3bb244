// SPDX-License-Identifier: Apache-2.0

import SwiftASN1
import X509

/// What the policy asks about a certificate, every known extension decoded: one that doesn't decode
/// makes the certificate unsuitable instead of passing for absent.
struct CertificateFacts {
    /// More than anybody needs; nothing else is decoded then.
    static let namesMaximum = 8

    let certificate: Certificate
    let names: CertificateNames
    let basicConstraints: BasicConstraints?
    let usage: KeyUsage?
    let purposes: ExtendedKeyUsage?
    let constraints: NameConstraints?
    let keyIdentifier: ArraySlice<UInt8>?
    let issuerKeyIdentifier: ArraySlice<UInt8>?

    init(_ certificate: Certificate) throws(TrustError) {
        let extensions = certificate.extensions
        self.certificate = certificate
        do {
            names = CertificateNames(certificate, names: try extensions.subjectAlternativeNames)
            guard names.count <= Self.namesMaximum else {
                throw TrustError.unsuitable(
                    certificate: names.label, reason: "has more than \(Self.namesMaximum) names")
            }
            basicConstraints = try extensions.basicConstraints
            usage = try extensions.keyUsage
            purposes = try extensions.extendedKeyUsage
            constraints = try extensions.nameConstraints
            keyIdentifier = try extensions.subjectKeyIdentifier?.keyIdentifier
            issuerKeyIdentifier = try extensions.authorityKeyIdentifier?.keyIdentifier
        } catch let error as TrustError {
            throw error
        } catch {
            throw .unsuitable(
                certificate: CertificateNames(certificate).label,
                reason: "has an extension that cannot be decoded")
        }
    }

    var isAuthority: Bool {
        if case .isCertificateAuthority? = basicConstraints { true } else { false }
    }

    /// CA certificates that may stand below it, itself not counted; nil without a limit.
    var pathLength: Int? {
        if case .isCertificateAuthority(let length)? = basicConstraints { length } else { nil }
    }

    func isCritical(_ id: ASN1ObjectIdentifier) -> Bool {
        certificate.extensions[oid: id]?.critical == true
    }

    /// Whether this certificate's key signed `other`. Cheap comparisons come first.
    func hasIssued(_ other: CertificateFacts) -> Bool {
        isNamedIssuer(of: other)
            && certificate.publicKey.isValidSignature(
                other.certificate.signature, for: other.certificate)
    }

    /// A root that was renewed has its predecessor's name: the key identifier tells them apart.
    func isNamedIssuer(of other: CertificateFacts) -> Bool {
        guard certificate.subject == other.certificate.issuer else { return false }
        guard let wanted = other.issuerKeyIdentifier, let keyIdentifier else { return true }
        return wanted == keyIdentifier
    }
}
