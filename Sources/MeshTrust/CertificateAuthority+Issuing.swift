// SPDX-License-Identifier: Apache-2.0

import Crypto
public import FoundationEssentials
public import X509

extension CertificateAuthority {
    /// Certifies a node's public key for ``nodeLifetimeSeconds``, a day unless it was set, or for as
    /// long as the authority itself is valid.
    ///
    /// - Parameter publicKey: P-256, P-384 or Ed25519; possession must have been proven.
    /// - Returns: the node's certificate and those up to, but without, the root.
    /// - Throws: ``TrustError``, nothing was issued: ``TrustError/clockWentBack(last:now:)`` when
    ///   something was issued more than a minute later than `now`,
    ///   ``TrustError/tooManyRequests(retryAfterSeconds:)`` above 50 a second after a burst of 200.
    public func issueNodeCertificate(
        node: String, publicKey: Certificate.PublicKey, now: Date = Date()
    ) throws(TrustError) -> [Certificate] {
        guard let identity = PeerIdentity(domain: trustDomain, node: node)
        else { throw .invalidNode(node) }
        guard isAcceptable(publicKey)
        else { throw .invalidRequest("the key must be P-256, P-384 or Ed25519") }
        let issuer = chain[0]
        guard issuer.notValidBefore <= now, now < issuer.notValidAfter else {
            throw .issuerNotValid(
                notBefore: issuer.notValidBefore, notAfter: issuer.notValidAfter, now: now)
        }
        try issuance.admit(at: now)
        do {
            let certificate = try CertificateProfile.node(
                identity, publicKey: publicKey, issuer: issuer,
                issuerKey: Certificate.PrivateKey(key), lifetimeSeconds: nodeLifetimeSeconds,
                now: now)
            return [certificate] + chain.dropLast()
        } catch {
            throw .signingFailed("\(error)")
        }
    }

    /// The same from a request, in DER.
    public func issueNodeCertificateDER(
        node: String, request: NodeRequest, now: Date = Date()
    ) throws(TrustError) -> [[UInt8]] {
        try Self.der(issueNodeCertificate(node: node, request: request, now: now))
    }

    /// Certificates as they go over the wire.
    public static func der(_ chain: [Certificate]) throws(TrustError) -> [[UInt8]] {
        var all: [[UInt8]] = []
        for certificate in chain { all.append(try certificate.der()) }
        return all
    }

    /// The same from a request, which has proven possession of its key.
    public func issueNodeCertificate(
        node: String, request: NodeRequest, now: Date = Date()
    ) throws(TrustError) -> [Certificate] {
        try issueNodeCertificate(node: node, publicKey: request.publicKey, now: now)
    }
}

/// A node's PKCS#10 request. Nothing counts in it but the key: its subject, extensions and other
/// attributes are ignored.
public struct NodeRequest: Sendable {
    public static let bytesMaximum = CertificateReader.requestBytesMaximum

    /// P-256, P-384 or Ed25519; whoever made the request has its private half.
    public let publicKey: Certificate.PublicKey

    /// - Throws: ``TrustError/invalidRequest(_:)``, before anything is parsed when it is too long.
    public init(der: [UInt8]) throws(TrustError) {
        let request = try CertificateReader.request(der)
        guard request.publicKey.isValidSignature(request.signature, for: request)
        else { throw .invalidRequest("its signature doesn't match its key") }
        publicKey = request.publicKey
    }
}

/// Whether nodes may use such a key.
func isAcceptable(_ key: Certificate.PublicKey) -> Bool {
    P256.Signing.PublicKey(key) != nil || P384.Signing.PublicKey(key) != nil
        || Curve25519.Signing.PublicKey(key) != nil
}
