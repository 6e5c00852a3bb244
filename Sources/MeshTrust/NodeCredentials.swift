// SPDX-License-Identifier: Apache-2.0

import Crypto
public import FoundationEssentials
import SwiftASN1
public import X509

/// A node's private key and its certificate.
public struct NodeCredentials: Sendable {
    /// Key and certificates, PEM, mode 0600.
    public static let fileName = "node.pem"

    public let identity: PeerIdentity
    /// The node's certificate first, then intermediates; without the root.
    public let chain: [Certificate]
    private let key: Certificate.PrivateKey

    /// A fresh P-256 key certified by `authority`.
    public static func issue(
        node: String, by authority: CertificateAuthority, now: Date = Date()
    ) throws(TrustError) -> NodeCredentials {
        let key = NodeKey()
        let chain = try authority.issueNodeCertificate(
            node: node, publicKey: key.privateKey.publicKey, now: now)
        return try key.credentials(chain: chain, mesh: authority.trustDomain.mesh)
    }

    /// Credentials that ``save(in:)`` wrote.
    ///
    /// - Parameter mesh: the mesh's name; the cluster and the node are read from the certificate.
    public static func load(mesh: String, from directory: String) throws(TrustError)
        -> NodeCredentials
    {
        let path = "\(directory)/\(fileName)"
        return try NodeCredentials(
            mesh: mesh,
            pair: KeyAndChain(pem: SecretFile.read(named: fileName, in: directory), path: path),
            path: path)
    }

    fileprivate init(mesh: String, pair: KeyAndChain, path: String) throws(TrustError) {
        guard let identity = CertificateNames(pair.chain[0]).nodeIdentity(mesh: mesh) else {
            throw .unusableFile(
                path: path, reason: "its certificate names no node of mesh '\(mesh)'")
        }
        self.identity = identity
        chain = pair.chain
        key = pair.privateKey
    }

    /// Writes ``fileName`` durably, replacing what is there in one step. The directory is made with
    /// mode 0700 if it doesn't exist.
    public func save(in directory: String) throws(TrustError) {
        let pem = try KeyAndChain(privateKey: key, chain: chain).pem()
        try SecretFile.write(pem, named: Self.fileName, in: directory, existing: .replace)
    }

    public var notBefore: Date { chain[0].notValidBefore }
    public var notAfter: Date { chain[0].notValidAfter }

    /// PKCS#8 or SEC 1 for the TLS library. Never log it.
    public func privateKeyPEM() throws(TrustError) -> String {
        do { return try key.serializeAsPEM().pemString } catch {
            throw .signingFailed("the key cannot be serialised")
        }
    }

    /// The certificates of ``chain`` in DER.
    public func chainDER() throws(TrustError) -> [[UInt8]] {
        var all: [[UInt8]] = []
        for certificate in chain { all.append(try certificate.der()) }
        return all
    }
}

extension NodeCredentials: CustomStringConvertible {
    /// Without the key.
    public var description: String { "\(identity) until \(notAfter.ISO8601Format())" }
}

/// A node's new key, which never leaves the process: only ``request()`` does.
public struct NodeKey: Sendable {
    let privateKey: Certificate.PrivateKey

    public init() { privateKey = Certificate.PrivateKey(P256.Signing.PrivateKey()) }

    init(privateKey: Certificate.PrivateKey) { self.privateKey = privateKey }

    /// PKCS#10 in DER. It names nobody: the authority knows whom it certifies.
    public func request() throws(TrustError) -> [UInt8] {
        do {
            let request = try CertificateSigningRequest(
                version: .v1, subject: DistinguishedName(), privateKey: privateKey,
                attributes: .init())
            var serializer = DER.Serializer()
            try serializer.serialize(request)
            return serializer.serializedBytes
        } catch {
            throw .signingFailed("the key doesn't sign")
        }
    }

    /// The same from DER, as it comes over the wire.
    public func credentials(
        chainDER: [[UInt8]], mesh: String
    ) throws(TrustError) -> NodeCredentials {
        var chain: [Certificate] = []
        for bytes in chainDER { chain.append(try CertificateReader.certificate(bytes)) }
        return try credentials(chain: chain, mesh: mesh)
    }

    /// - Parameter chain: what ``CertificateAuthority/issueNodeCertificate(node:request:now:)`` gave.
    /// - Throws: ``TrustError/unusableFile(path:reason:)`` when it isn't for this key or no node's.
    public func credentials(
        chain: [Certificate], mesh: String
    ) throws(TrustError) -> NodeCredentials {
        guard chain.first?.publicKey == privateKey.publicKey else {
            throw .unusableFile(
                path: NodeCredentials.fileName, reason: "the certificate is for another key")
        }
        return try NodeCredentials(
            mesh: mesh, pair: KeyAndChain(privateKey: privateKey, chain: chain),
            path: NodeCredentials.fileName)
    }
}
