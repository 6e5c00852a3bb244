// SPDX-License-Identifier: Apache-2.0

import Crypto
import SwiftASN1
import X509

/// What one certificate of the mesh must be, whoever signed it: the rules that swift-certificates
/// 1.21.1 leaves to its user. It only pretends to police key usage, takes v1 certificates for CAs and
/// an anchor for a leaf, and reads a URI constraint more widely than RFC 5280.
///
/// Each function says why a certificate won't do, as the end of a sentence, or nil when it will.
///
/// - SeeAlso: X509-SVID.md §4–5, ``TrustPath`` for how certificates hang together.
enum SVIDPolicy {
    /// Why it can't identify a node.
    static func unsuitabilityAsNode(_ facts: CertificateFacts) -> String? {
        if let flaw = flaw(facts) { return flaw }
        guard case .notCertificateAuthority? = facts.basicConstraints
        else { return "doesn't say that it is no CA" }
        guard let usage = facts.usage, usage.digitalSignature, !usage.keyCertSign, !usage.cRLSign,
            facts.isCritical(.X509ExtensionID.keyUsage)
        else { return "has the wrong key usage" }
        guard facts.purposes.map(isForBothEnds) == true
        else { return "isn't for both TLS client and server" }
        guard facts.constraints == nil else { return "constrains names though it is no CA" }
        guard facts.names.count == 1, facts.names.uris.count == 1
        else { return "must have exactly one name, a URI" }
        guard facts.names.spiffeID?.node != nil else { return "has no spiffe://…/node/… name" }
        guard
            !facts.certificate.subject.isEmpty
                || facts.isCritical(.X509ExtensionID.subjectAlternativeName)
        else { return "has an empty subject and a name that isn't critical" }
        return nil
    }

    /// Why it can't sign certificates of `domain`.
    static func unsuitabilityAsAuthority(
        _ facts: CertificateFacts, of domain: TrustDomain
    ) -> String? {
        if let flaw = flaw(facts) { return flaw }
        guard facts.isAuthority, facts.isCritical(.X509ExtensionID.basicConstraints)
        else { return "is no CA" }
        guard let usage = facts.usage, usage.keyCertSign,
            facts.isCritical(.X509ExtensionID.keyUsage)
        else { return "may not sign certificates" }
        guard facts.purposes.map(isForBothEnds) ?? true
        else { return "isn't for both TLS client and server" }
        guard !facts.certificate.subject.isEmpty, facts.keyIdentifier != nil
        else { return "lacks a subject or a key identifier" }
        guard facts.names.spiffeID == SPIFFEID(authorityOf: domain)
        else { return "belongs to \(facts.names.label)" }
        return unreadableConstraint(facts.constraints)
    }

    /// Why it can't sign statements of `domain`, see ``TrustBundle/verify(_:of:now:denied:)``.
    static func unsuitabilityAsSigner(
        _ facts: CertificateFacts, of domain: TrustDomain
    ) -> String? {
        if let reason = unsuitabilityAsAuthority(facts, of: domain) { return reason }
        guard facts.usage?.digitalSignature == true,
            P256.Signing.PublicKey(facts.certificate.publicKey) != nil
        else { return "may not sign statements" }
        return nil
    }

    /// Extensions that may be critical: those that are read here. RFC 5280 §4.2: any other one makes
    /// the certificate unusable, and key identifiers must not be critical.
    private static let criticalExtensions: [ASN1ObjectIdentifier] = [
        .X509ExtensionID.basicConstraints, .X509ExtensionID.keyUsage,
        .X509ExtensionID.extendedKeyUsage, .X509ExtensionID.subjectAlternativeName,
        .X509ExtensionID.nameConstraints,
    ]

    private static func flaw(_ facts: CertificateFacts) -> String? {
        guard facts.certificate.version == .v3 else { return "isn't X.509 v3" }
        for each in facts.certificate.extensions
        where each.critical && !criticalExtensions.contains(each.oid) {
            return "has a critical extension that isn't known (\(each.oid))"
        }
        return nil
    }

    private static func isForBothEnds(_ purposes: ExtendedKeyUsage) -> Bool {
        purposes.contains(.serverAuth) && purposes.contains(.clientAuth)
    }

    /// No certificate here has other names than URIs, so that a DNS constraint always holds; one of
    /// another kind can't be judged.
    private static func unreadableConstraint(_ constraints: NameConstraints?) -> String? {
        guard let constraints else { return nil }
        for subtree in constraints.permittedSubtrees + constraints.excludedSubtrees {
            switch subtree {
            case .uniformResourceIdentifier, .dnsName: continue
            default: return "constrains names of a kind that isn't read"
            }
        }
        return nil
    }
}

extension NameConstraints {
    /// Whether a URI with this host may stand below.
    ///
    /// RFC 5280 §4.2.1.10: `a.mesh` means that host alone, `.a.mesh` every host below it and not
    /// `a.mesh` itself. The library lets the first form match both.
    func permit(uriHost host: String) -> Bool {
        func matches(_ constraint: String) -> Bool {
            let constraint = constraint.lowercased()
            guard constraint.hasPrefix(".") else { return host == constraint }
            return host.hasSuffix(constraint) && host != constraint
        }
        let permitted = permittedURIDomains
        return (permitted.isEmpty || permitted.contains(where: matches))
            && !forbiddenURIDomains.contains(where: matches)
    }

    /// Whether these are the constraints that authorities of `domain` are given, see
    /// ``CertificateProfile``.
    func confine(to domain: TrustDomain) -> Bool {
        Array(permittedURIDomains) == [domain.name] && Array(permittedDNSDomains) == [domain.name]
            && permittedSubtrees.count == 2 && excludedSubtrees.isEmpty
    }
}
