// SPDX-License-Identifier: Apache-2.0

public import FoundationEssentials
import SwiftASN1
@_spi(FixedExpiryValidationTime) import X509

/// Decides whether presented certificates identify a node of the mesh.
///
/// The anchors are those of the trust domain that the certificate names, and of no other. Size and
/// number are checked before anything is parsed, since the library's path building has no budget.
public struct PeerVerifier: Sendable {
    public static let chainLengthMaximum = 4
    public static let certificateBytesMaximum = 16 * 1024

    public let store: TrustStore

    public init(store: TrustStore) { self.store = store }

    /// - Parameters:
    ///   - presented: DER, the peer's own certificate first.
    ///   - now: what the validity is compared with. Open sessions are judged again with the time
    ///     they began at, since they may outlive their certificate.
    /// - Returns: the peer, and the chain from its certificate to an anchor in DER.
    /// - Throws: ``TrustError``: refuse the peer.
    public func verify(
        presented: [[UInt8]], now: Date
    ) async throws(TrustError) -> (peer: PeerIdentity, chain: [[UInt8]]) {
        let certificates = try parse(presented)
        let leaf = certificates[0]
        let names = CertificateNames(leaf)
        if let reason = SVIDPolicy.unsuitabilityAsNode(leaf) {
            throw .unsuitable(certificate: names.label, reason: reason)
        }
        guard let id = names.spiffeID, let node = id.node else {
            throw .unsuitable(certificate: names.label, reason: "names no node")
        }
        guard let bundle = store[id.trustDomain],
            let peer = PeerIdentity(domain: bundle.trustDomain, node: node)
        else { throw .foreignTrustDomain(id.trustDomain) }
        for certificate in certificates { try checkValidity(certificate, now: now) }
        let anchors = try validAnchors(of: bundle, now: now)
        let chain = try await buildChain(certificates, anchors: anchors, identity: id, now: now)
        return (peer, chain)
    }

    private func parse(_ presented: [[UInt8]]) throws(TrustError) -> [Certificate] {
        guard !presented.isEmpty else { throw .noCertificate }
        guard presented.count <= Self.chainLengthMaximum
        else { throw .chainTooLong(count: presented.count) }
        var certificates: [Certificate] = []
        for bytes in presented {
            guard bytes.count <= Self.certificateBytesMaximum
            else { throw .certificateTooLarge(bytes: bytes.count) }
            do { certificates.append(try Certificate(derEncoded: bytes)) } catch {
                throw .malformedCertificate(String("\(error)".prefix(200)))
            }
        }
        return certificates
    }

    private func checkValidity(_ certificate: Certificate, now: Date) throws(TrustError) {
        let name = CertificateNames(certificate).label
        if now > certificate.notValidAfter {
            throw .expired(certificate: name, notAfter: certificate.notValidAfter, now: now)
        }
        if now < certificate.notValidBefore {
            throw .notYetValid(certificate: name, notBefore: certificate.notValidBefore, now: now)
        }
    }

    /// An expired anchor beside a valid one is no fault: roots overlap while they rotate.
    private func validAnchors(
        of bundle: TrustBundle, now: Date
    ) throws(TrustError) -> [Certificate] {
        let valid = bundle.anchors.filter { $0.notValidBefore <= now && now <= $0.notValidAfter }
        if valid.isEmpty, let any = bundle.anchors.first { try checkValidity(any, now: now) }
        return valid
    }

    private func buildChain(
        _ certificates: [Certificate], anchors: [Certificate], identity: SPIFFEID, now: Date
    ) async throws(TrustError) -> [[UInt8]] {
        var verifier = Verifier(rootCertificates: CertificateStore(anchors)) {
            RFC5280Policy(fixedExpiryValidationTime: now)
            SVIDPolicy(identity: identity)
        }
        let result = await verifier.validate(
            leaf: certificates[0], intermediates: CertificateStore(certificates.dropFirst()))
        switch result {
        case .validCertificate(let chain):
            var all: [[UInt8]] = []
            for certificate in chain { all.append(try certificate.der()) }
            return all
        case .couldNotValidate(let failures):
            throw .untrusted(
                certificate: identity.uri,
                reason: failures.first.map { String("\($0.policyFailureReason)".prefix(300)) }
                    ?? "no path to one of \(anchors.count) anchors")
        }
    }
}
