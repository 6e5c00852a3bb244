// SPDX-License-Identifier: Apache-2.0

import Crypto
public import FoundationEssentials
public import MeshModel
public import X509

/// The CA of one cluster: an intermediate that signs, under a root whose key may be elsewhere. No key
/// ever leaves the directory it was made in.
///
/// The directory has mode 0700, its files 0600:
/// - ``fileName``: the intermediate's key, its certificate and the root's;
/// - ``rootFileName``: the root's key and certificate. It is needed only to renew the intermediate and
///   may be moved to another machine, or never have been here, see ``IntermediateRequest``;
/// - `pending.pem`: the key of an intermediate that was requested and isn't signed yet;
/// - `clock`: the latest time something was issued at.
public struct CertificateAuthority: Sendable {
    public static let fileName = "intermediate.pem"
    public static let rootFileName = "root.pem"

    public let trustDomain: TrustDomain
    /// The intermediate, which signs, and the root.
    public let chain: [Certificate]
    let key: P256.Signing.PrivateKey
    let directory: String
    let issuance: Issuance
    /// How long node certificates last, 60...86,400 seconds; they never outlive their issuer.
    public var nodeLifetimeSeconds = CertificateProfile.nodeLifetimeSeconds

    /// Makes a P-256 root and an intermediate for a new cluster and stores both durably in
    /// `directory` (made if absent). A call that was interrupted is completed by the next one.
    ///
    /// - Parameter areNamesConstrained: false for a mesh with peers that refuse every certificate
    ///   with URI name constraints, as rustls-webpki does since 0.103.12. Verifiers of the mesh tell
    ///   trust domains apart all the same; others then rely on the bundle alone.
    /// - Throws: ``TrustError/alreadyExists(path:)`` when the directory holds an authority: it stays.
    public static func create(
        cluster: ClusterName, mesh: String, in directory: String, areNamesConstrained: Bool = true,
        now: Date = Date()
    ) throws(TrustError) -> CertificateAuthority {
        try create(
            domain: TrustDomain(cluster: cluster, mesh: mesh), in: directory,
            areNamesConstrained: areNamesConstrained, now: now)
    }

    static func create(
        domain: TrustDomain, in directory: String, areNamesConstrained: Bool, now: Date
    ) throws(TrustError) -> CertificateAuthority {
        try SecretFile.makeDirectory(directory)
        if try SecretFile.exists(named: fileName, in: directory) {
            throw .alreadyExists(path: "\(directory)/\(fileName)")
        }
        if try !SecretFile.exists(named: rootFileName, in: directory) {
            let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
            let root: Certificate
            do {
                root = try CertificateProfile.root(
                    of: domain, key: key, areNamesConstrained: areNamesConstrained, now: now)
            } catch {
                throw .signingFailed("\(error)")
            }
            try SecretFile.write(
                KeyAndChain(privateKey: key, chain: [root]).pem(), named: rootFileName,
                in: directory, existing: .keep)
        }
        let root = try rootPair(of: domain, in: directory)
        return try makeIntermediate(
            of: domain, root: root, in: directory, existing: .keep, now: now)
    }

    /// - Throws: ``TrustError/exposed(path:mode:required:)`` when others can reach the key,
    ///   ``TrustError/unusableFile(path:reason:)`` when the file isn't this cluster's authority.
    public static func load(
        cluster: ClusterName, mesh: String, from directory: String
    ) throws(TrustError) -> CertificateAuthority {
        let domain = try TrustDomain(cluster: cluster, mesh: mesh)
        let path = "\(directory)/\(fileName)"
        let pair = try KeyAndChain(
            pem: SecretFile.read(named: fileName, in: directory), path: path)
        return try CertificateAuthority(domain: domain, pair: pair, directory: directory)
    }

    init(
        domain: TrustDomain, pair: KeyAndChain, directory: String
    ) throws(TrustError) {
        let path = "\(directory)/\(Self.fileName)"
        guard pair.chain.count == 2 else {
            throw .unusableFile(path: path, reason: "it isn't an intermediate and its root")
        }
        let intermediate = try CertificateFacts(pair.chain[0])
        let root = try CertificateFacts(pair.chain[1])
        guard root.names.spiffeID == SPIFFEID(authorityOf: domain)
        else { throw .unusableFile(path: path, reason: "it isn't the authority of \(domain)") }
        if let reason = SVIDPolicy.unsuitabilityAsSigner(intermediate, of: domain) {
            throw .unusableFile(path: path, reason: "its certificate \(reason)")
        }
        guard root.hasIssued(intermediate) else {
            throw .unusableFile(path: path, reason: "the root didn't sign the intermediate")
        }
        key = try pair.signingKey(path: path)
        trustDomain = domain
        chain = pair.chain
        self.directory = directory
        issuance = try Issuance(directory: directory)
    }

    /// What other clusters and the own nodes need to verify certificates of this one.
    public var bundle: TrustBundle {
        TrustBundle(trustDomain: trustDomain, uncheckedAnchors: chain.suffix(1))
    }
}

extension CertificateAuthority: CustomStringConvertible {
    /// Without the key.
    public var description: String {
        "authority of \(trustDomain) until \(chain[0].notValidAfter.ISO8601Format())"
    }
}
