// SPDX-License-Identifier: Apache-2.0

import SwiftASN1
import X509

/// The rules for certificates of the mesh that swift-certificates 1.21.1 leaves to its user: it only
/// pretends to police key usage, takes v1 certificates for CAs and an anchor for a leaf.
///
/// - SeeAlso: X509-SVID.md §4–5.
struct SVIDPolicy: VerifierPolicy {
    let identity: SPIFFEID

    // Critical extensions that no policy declares make the library reject the chain.
    let verifyingCriticalExtensions: [ASN1ObjectIdentifier] = [
        .X509ExtensionID.subjectAlternativeName, .X509ExtensionID.extendedKeyUsage,
    ]

    func chainMeetsPolicyRequirements(chain: UnverifiedCertificateChain) -> PolicyEvaluationResult {
        if let reason = Self.unsuitabilityAsNode(chain.leaf) {
            return .failsToMeetPolicy(reason: reason)
        }
        guard CertificateNames(chain.leaf).spiffeID == identity
        else { return .failsToMeetPolicy(reason: "names somebody else") }
        for issuer in chain.dropFirst() {
            if let reason = Self.unsuitabilityAsAuthority(issuer) {
                return .failsToMeetPolicy(reason: "issuer \(reason)")
            }
            // The library lets a constraint without leading dot match subdomains too, RFC 5280 and
            // other verifiers don't: compare trust domains as strings.
            let names = CertificateNames(issuer)
            guard names.spiffeID?.trustDomain == identity.trustDomain,
                names.spiffeID?.path.isEmpty == true
            else { return .failsToMeetPolicy(reason: "issuer belongs to \(names.label)") }
        }
        return .meetsPolicy
    }

    /// Why it can't identify a node, as the end of a sentence; nil when it can.
    static func unsuitabilityAsNode(_ certificate: Certificate) -> String? {
        guard certificate.version == .v3 else { return "isn't X.509 v3" }
        let extensions = certificate.extensions
        guard case .notCertificateAuthority? = (try? extensions.basicConstraints) ?? nil
        else { return "doesn't say that it is no CA" }
        guard let usage = (try? extensions.keyUsage) ?? nil, usage.digitalSignature,
            !usage.keyCertSign, !usage.cRLSign, isCritical(.X509ExtensionID.keyUsage, certificate)
        else { return "has the wrong key usage" }
        guard let purposes = (try? extensions.extendedKeyUsage) ?? nil,
            purposes.contains(.serverAuth), purposes.contains(.clientAuth)
        else { return "isn't for both TLS client and server" }
        let names = CertificateNames(certificate)
        guard names.count == 1, names.uris.count == 1
        else { return "must have exactly one name, a URI" }
        guard names.spiffeID?.node != nil else { return "has no spiffe://…/node/… name" }
        guard
            !certificate.subject.isEmpty
                || isCritical(.X509ExtensionID.subjectAlternativeName, certificate)
        else { return "has an empty subject and a name that isn't critical" }
        guard isAcceptable(certificate.publicKey)
        else { return "has a key that is none of P-256, P-384 and Ed25519" }
        return nil
    }

    /// Why it can't sign certificates, as the end of a sentence; nil when it can.
    static func unsuitabilityAsAuthority(_ certificate: Certificate) -> String? {
        guard certificate.version == .v3 else { return "isn't X.509 v3" }
        guard case .isCertificateAuthority? = (try? certificate.extensions.basicConstraints) ?? nil,
            isCritical(.X509ExtensionID.basicConstraints, certificate)
        else { return "is no CA" }
        guard let usage = (try? certificate.extensions.keyUsage) ?? nil, usage.keyCertSign,
            isCritical(.X509ExtensionID.keyUsage, certificate)
        else { return "may not sign certificates" }
        return nil
    }

    private static func isCritical(_ id: ASN1ObjectIdentifier, _ certificate: Certificate) -> Bool {
        certificate.extensions[oid: id]?.critical == true
    }
}
