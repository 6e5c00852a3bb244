// SPDX-License-Identifier: Apache-2.0

import Crypto
public import FoundationEssentials
import SwiftASN1
public import X509

/// Other nodes of the cluster that sign, too: each has an intermediate of its own below the one root,
/// so that no key is ever copied.
extension CertificateAuthority {
    /// Certifies a node of the own cluster as one that signs for it. Needs the root's key.
    ///
    /// - Parameter request: PKCS#10 in DER, see ``delegateRequest(cluster:mesh:in:)``.
    /// - Returns: the intermediate's certificate and the root's, in DER; the former once more.
    /// - Throws: ``TrustError``, nothing was issued.
    public func certifyDelegate(
        request: [UInt8], now: Date = Date()
    ) throws(TrustError) -> (chain: [[UInt8]], certificate: Certificate) {
        let signing = try CertificateReader.request(request)
        guard signing.publicKey.isValidSignature(signing.signature, for: signing)
        else { throw .invalidRequest("its signature doesn't match its key") }
        guard P256.Signing.PublicKey(signing.publicKey) != nil
        else { throw .invalidRequest("an authority's key must be P-256") }
        let root = try ownRoot()
        try issuance.admit(at: now)
        try Self.checkLife(of: root.chain[0], now: now)
        do {
            let certificate = try CertificateProfile.intermediate(
                of: trustDomain, publicKey: signing.publicKey, root: root.chain[0],
                rootKey: root.privateKey, now: now)
            return ([try certificate.der(), try root.chain[0].der()], certificate)
        } catch {
            throw .signingFailed("\(error)")
        }
    }

    /// What to ask the cluster's home with: PKCS#10 in DER. Asked again before there is an answer, it
    /// is about the same key.
    public func delegateRequest() throws(TrustError) -> [UInt8] {
        try Self.delegateRequest(of: trustDomain, in: successorDirectory)
    }

    /// The same for the first intermediate of a node that has none.
    ///
    /// - Parameter directory: the authority's to be.
    public static func delegateRequest(
        of domain: TrustDomain, in directory: String
    ) throws(TrustError) -> [UInt8] {
        let request = try requestIntermediate(
            cluster: domain.cluster, mesh: domain.mesh, in: directory)
        do { return try PEMDocument(pemString: request.pem).derBytes } catch {
            throw .signingFailed("\(error)")
        }
    }

    /// Goes on with what the home answered.
    ///
    /// - Parameters:
    ///   - answer: what ``certifyDelegate(request:now:)`` gave.
    ///   - bundle: the own cluster's roots, one of which it must rest on.
    /// - Returns: the authority to use from now on, which is on disk.
    /// - Throws: ``TrustError``: the present one stays.
    public func installed(
        delegate answer: [[UInt8]], under bundle: TrustBundle, now: Date = Date()
    ) throws(TrustError) -> CertificateAuthority {
        let next = try Self.installed(
            delegate: answer, under: bundle, in: successorDirectory, now: now)
        let kind = next.chain[1] == chain[1] ? RotationKind.intermediate : .root
        let changed = try succeeded(by: next.authorityKey(kind).keyIdentifier, kind: kind)
        try changed.dropPredecessor()
        return changed
    }

    /// The same for the first one, which ``delegateRequest(of:in:)`` asked for.
    public static func installed(
        delegate answer: [[UInt8]], under bundle: TrustBundle, in directory: String,
        now: Date = Date()
    ) throws(TrustError) -> CertificateAuthority {
        guard answer.count == 2 else { throw .noCertificate }
        let intermediate = try CertificateReader.certificate(answer[0])
        let root = try CertificateReader.certificate(answer[1])
        guard bundle.anchors.contains(root) else {
            throw .untrusted(
                certificate: CertificateNames(intermediate).label,
                reason: "it isn't under a root of this cluster")
        }
        return try installIntermediate(
            pemText([intermediate]), root: pemText([root]), cluster: bundle.trustDomain.cluster,
            mesh: bundle.trustDomain.mesh, in: directory, now: now)
    }

    /// Whether a node has an authority of its own already.
    public static func exists(in directory: String) throws(TrustError) -> Bool {
        try SecretFile.exists(named: fileName, in: directory)
    }
}
