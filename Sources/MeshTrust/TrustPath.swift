// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
public import X509

/// Tells why a verified path isn't to be believed all the same, for instance by a deny list; nil to
/// believe it. Gets the path from the certificate to its anchor. Called on any thread.
public typealias Denial = @Sendable (_ path: [Certificate]) -> String?

/// The way from a certificate to an anchor of its own trust domain.
///
/// A chain is a line here: each certificate is issued by the one behind it, the last one by an
/// anchor. The library searches a graph without a budget instead; here every certificate costs one
/// signature, and one for each anchor that may be its issuer. Authorities and peers of the mesh send
/// nothing else.
///
/// - SeeAlso: RFC 5280 §6.1. Stricter: no exemption for self-issued certificates, no policies, no
///   certificates that don't belong to the path, except the anchor itself.
struct TrustPath {
    /// The certificate first, the anchor last.
    let certificates: [Certificate]

    /// - Parameter presented: 1 or more; whether the first fits its role has been checked.
    init(
        from presented: [CertificateFacts], to bundle: TrustBundle, now: Date, denied: Denial?
    ) throws(TrustError) {
        let label = presented[0].names.label
        for facts in presented { try Self.checkValidity(facts, now: now) }
        for issuer in presented.dropFirst() {
            if let reason = SVIDPolicy.unsuitabilityAsAuthority(issuer, of: bundle.trustDomain) {
                throw .untrusted(certificate: label, reason: "an issuer \(reason)")
            }
        }
        let path = try Self.link(presented, to: Self.validAnchors(of: bundle, now: now))
        if let reason = Self.flaw(of: path, in: bundle.trustDomain) {
            throw .untrusted(certificate: label, reason: reason)
        }
        certificates = path.map(\.certificate)
        if let reason = denied?(certificates) {
            throw .denied(certificate: label, reason: reason)
        }
    }

    private static func checkValidity(_ facts: CertificateFacts, now: Date) throws(TrustError) {
        let (notBefore, notAfter) = (
            facts.certificate.notValidBefore, facts.certificate.notValidAfter
        )
        if now > notAfter {
            throw .expired(certificate: facts.names.label, notAfter: notAfter, now: now)
        }
        if now < notBefore {
            throw .notYetValid(certificate: facts.names.label, notBefore: notBefore, now: now)
        }
    }

    /// An expired anchor beside a valid one is no fault: roots overlap while they rotate.
    private static func validAnchors(
        of bundle: TrustBundle, now: Date
    ) throws(TrustError) -> [CertificateFacts] {
        var valid: [CertificateFacts] = []
        for anchor in bundle.anchors
        where anchor.notValidBefore <= now && now <= anchor.notValidAfter {
            valid.append(try CertificateFacts(anchor))
        }
        if valid.isEmpty, let any = bundle.anchors.first {
            try checkValidity(CertificateFacts(any), now: now)
        }
        return valid
    }

    private static func link(
        _ presented: [CertificateFacts], to anchors: [CertificateFacts]
    ) throws(TrustError) -> [CertificateFacts] {
        func untrusted(_ reason: String) -> TrustError {
            .untrusted(certificate: presented[0].names.label, reason: reason)
        }
        var path = [presented[0]]
        var rest = presented.dropFirst()
        while true {
            let tip = path[path.count - 1]
            if let anchor = anchors.first(where: { $0.hasIssued(tip) }) {
                path.append(anchor)
                // Some send the anchor along.
                if rest.first?.certificate == anchor.certificate { rest = rest.dropFirst() }
                guard rest.isEmpty
                else { throw untrusted("\(rest.count) certificates don't belong to its path") }
                return path
            }
            guard let next = rest.popFirst() else {
                let isForged = anchors.contains { $0.isNamedIssuer(of: tip) }
                throw untrusted(
                    isForged
                        ? "its issuer's key didn't sign it"
                        : "no path to one of \(anchors.count) anchors")
            }
            guard next.isNamedIssuer(of: tip)
            else { throw untrusted("the next certificate isn't its issuer's") }
            guard next.hasIssued(tip) else { throw untrusted("its issuer's key didn't sign it") }
            path.append(next)
        }
    }

    /// What is wrong with a path whose links hold.
    private static func flaw(of path: [CertificateFacts], in domain: TrustDomain) -> String? {
        let anchor = path[path.count - 1]
        if let reason = SVIDPolicy.unsuitabilityAsAuthority(anchor, of: domain) {
            return "its anchor \(reason)"
        }
        let isConfined = anchor.constraints != nil
        for (index, issuer) in path.enumerated() where issuer.isAuthority {
            let below = path[..<index]
            let authorities = below.count { $0.isAuthority }
            if let limit = issuer.pathLength, authorities > limit {
                return "the path below an issuer is longer than its \(limit)"
            }
            for facts in below where !issuer.permits(facts) {
                return "an issuer's constraints don't permit it"
            }
            // The root says whether this cluster confines its authorities; see
            // ``CertificateAuthority/create(cluster:mesh:in:areNamesConstrained:now:)``.
            if isConfined, issuer.constraints?.confine(to: domain) != true {
                return "an issuer lacks the constraints that its root has"
            }
        }
        return nil
    }
}

extension CertificateFacts {
    fileprivate func permits(_ below: CertificateFacts) -> Bool {
        guard let constraints else { return true }
        guard let host = below.names.spiffeID?.trustDomain else { return false }
        return constraints.permit(uriHost: host)
    }
}
