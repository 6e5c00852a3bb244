// SPDX-License-Identifier: Apache-2.0

import Crypto
public import FoundationEssentials
public import MeshModel
import SwiftASN1
public import X509

/// The CA of one cluster. Its key never leaves the directory it was made in.
///
/// Today the root signs node certificates itself. ``chain`` is ready for an intermediate: the first
/// certificate is the one that signs, the last is the anchor.
public struct CertificateAuthority: Sendable {
    /// Key and certificates, PEM, mode 0600.
    public static let fileName = "authority.pem"

    public let trustDomain: TrustDomain
    /// The signing certificate first, the root last.
    public let chain: [Certificate]
    private let key: Certificate.PrivateKey

    private init(trustDomain: TrustDomain, keyAndChain: KeyAndChain) {
        self.trustDomain = trustDomain
        chain = keyAndChain.chain
        key = keyAndChain.privateKey
    }

    /// Makes a P-256 root for a new cluster and stores it durably in `directory` (made if absent).
    ///
    /// - Throws: ``TrustError/alreadyExists(path:)`` when the directory holds an authority: it stays.
    public static func create(
        cluster: ClusterName, mesh: String, in directory: String, now: Date = Date()
    ) throws(TrustError) -> CertificateAuthority {
        let domain = try TrustDomain(cluster: cluster, mesh: mesh)
        let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
        let root: Certificate
        do { root = try CertificateProfile.root(of: domain, key: key, now: now) } catch {
            throw .signingFailed("\(error)")
        }
        let pair = KeyAndChain(privateKey: key, chain: [root])
        try SecretFile.write(pair.pem(), named: fileName, in: directory, existing: .keep)
        return CertificateAuthority(trustDomain: domain, keyAndChain: pair)
    }

    /// - Throws: ``TrustError/exposed(path:mode:required:)`` when others can reach the key.
    public static func load(
        cluster: ClusterName, mesh: String, from directory: String
    ) throws(TrustError) -> CertificateAuthority {
        let path = "\(directory)/\(fileName)"
        let domain = try TrustDomain(cluster: cluster, mesh: mesh)
        let pair = try KeyAndChain(
            pem: SecretFile.read(named: fileName, in: directory), path: path)
        guard let root = pair.chain.last,
            CertificateNames(root).uris == [
                SPIFFEID(authorityOf: domain).uri
            ]
        else {
            throw .unusableFile(path: path, reason: "it isn't the authority of \(domain)")
        }
        return CertificateAuthority(trustDomain: domain, keyAndChain: pair)
    }

    /// What other clusters and the own nodes need to verify certificates of this one.
    public var bundle: TrustBundle {
        TrustBundle(trustDomain: trustDomain, uncheckedAnchors: chain.suffix(1))
    }

    /// Signs a statement of the authority that is no certificate: who may write the ledger.
    ///
    /// - Parameter statement: begins with a context that no other kind of statement begins with.
    /// - Returns: a P-256 signature over the SHA-256 of `statement`, 64 raw bytes.
    /// - Throws: ``TrustError/signingFailed(_:)``, also when the key is of another kind.
    public func signature(for statement: [UInt8]) throws(TrustError) -> [UInt8] {
        do {
            let key = try P256.Signing.PrivateKey(
                pemRepresentation: key.serializeAsPEM().pemString)
            return Array(try key.signature(for: statement).rawRepresentation)
        } catch {
            throw .signingFailed("a statement needs a P-256 key")
        }
    }

    /// Certifies a node's public key for 24 h, or for as long as the authority itself is valid.
    ///
    /// - Parameter publicKey: P-256, P-384 or Ed25519; possession must have been proven.
    /// - Returns: the node's certificate and those up to, but without, the root.
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
        do {
            let certificate = try CertificateProfile.node(
                identity, publicKey: publicKey, issuer: issuer, issuerKey: key, now: now)
            return [certificate] + chain.dropLast()
        } catch {
            throw .signingFailed("\(error)")
        }
    }

    /// The same from a PKCS#10 request, which proves possession; its subject and extensions are ignored.
    public func issueNodeCertificate(
        node: String, request: CertificateSigningRequest, now: Date = Date()
    ) throws(TrustError) -> [Certificate] {
        guard request.publicKey.isValidSignature(request.signature, for: request)
        else { throw .invalidRequest("its signature doesn't match its key") }
        return try issueNodeCertificate(node: node, publicKey: request.publicKey, now: now)
    }
}

/// Whether nodes may use such a key.
func isAcceptable(_ key: Certificate.PublicKey) -> Bool {
    P256.Signing.PublicKey(key) != nil || P384.Signing.PublicKey(key) != nil
        || Curve25519.Signing.PublicKey(key) != nil
}
