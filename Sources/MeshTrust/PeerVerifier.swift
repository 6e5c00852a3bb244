// SPDX-License-Identifier: Apache-2.0

public import FoundationEssentials
import SwiftASN1
import X509

/// Decides whether presented certificates identify a node of the mesh.
///
/// The anchors are those of the trust domain that the certificate names, and of no other. Size and
/// number are checked before anything is parsed, kinds of keys before anything is verified.
public struct PeerVerifier: Sendable {
    public static let chainLengthMaximum = 4
    public static let certificateBytesMaximum = CertificateReader.certificateBytesMaximum

    public let store: TrustStore
    private let denied: Denial?

    /// - Parameter denied: asked about every path that is otherwise good.
    public init(store: TrustStore, denied: Denial? = nil) {
        self.store = store
        self.denied = denied
    }

    /// - Parameters:
    ///   - presented: DER, the peer's own certificate first, each issued by the next.
    ///   - now: what the validity is compared with. Open sessions are judged again with the time
    ///     they began at, since they may outlive their certificate.
    /// - Returns: the peer, and the chain from its certificate to an anchor in DER.
    /// - Throws: ``TrustError``: refuse the peer.
    /// - Complexity: at most ``chainLengthMaximum`` + ``TrustBundle/anchorsMaximum`` signatures.
    public func verify(
        presented: [[UInt8]], now: Date
    ) throws(TrustError) -> (peer: PeerIdentity, chain: [[UInt8]]) {
        let facts = try read(presented)
        let leaf = facts[0]
        if let reason = SVIDPolicy.unsuitabilityAsNode(leaf) {
            throw .unsuitable(certificate: leaf.names.label, reason: reason)
        }
        guard let id = leaf.names.spiffeID, let node = id.node else {
            throw .unsuitable(certificate: leaf.names.label, reason: "names no node")
        }
        guard let bundle = store[id.trustDomain],
            let peer = PeerIdentity(domain: bundle.trustDomain, node: node)
        else { throw .foreignTrustDomain(id.trustDomain) }
        let path = try TrustPath(from: facts, to: bundle, now: now, denied: denied)
        var chain: [[UInt8]] = []
        for certificate in path.certificates { chain.append(try certificate.der()) }
        return (peer, chain)
    }

    /// The same for the certificates in a PEM text; other blocks, such as a key, are passed over.
    public func verify(
        pem: String, now: Date
    ) throws(TrustError) -> (peer: PeerIdentity, chain: [[UInt8]]) {
        guard pem.utf8.count <= TrustBundle.bytesMaximum
        else { throw .certificateTooLarge(bytes: pem.utf8.count) }
        let documents: [PEMDocument]
        do { documents = try PEMDocument.parseMultiple(pemString: pem) } catch {
            throw .malformedCertificate("it isn't PEM")
        }
        let presented = documents.filter {
            $0.discriminator == Certificate.defaultPEMDiscriminator
        }
        return try verify(presented: presented.map(\.derBytes), now: now)
    }

    /// When a certificate in DER ends.
    public static func notAfter(of certificate: [UInt8]) throws(TrustError) -> Date {
        try CertificateReader.certificate(certificate).notValidAfter
    }

    private func read(_ presented: [[UInt8]]) throws(TrustError) -> [CertificateFacts] {
        guard !presented.isEmpty else { throw .noCertificate }
        guard presented.count <= Self.chainLengthMaximum
        else { throw .chainTooLong(count: presented.count) }
        for bytes in presented where bytes.count > Self.certificateBytesMaximum {
            throw .certificateTooLarge(bytes: bytes.count)
        }
        var facts: [CertificateFacts] = []
        for bytes in presented {
            facts.append(try CertificateFacts(CertificateReader.certificate(bytes)))
        }
        return facts
    }
}
