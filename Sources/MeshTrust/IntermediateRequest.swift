// SPDX-License-Identifier: Apache-2.0

import Crypto
public import FoundationEssentials
public import MeshModel
import SwiftASN1
import X509

/// What a root that is kept elsewhere needs to sign an intermediate: on another machine, or in a
/// PKCS#11 token. Only public text leaves the cluster: the request and OpenSSL's configuration go to
/// the root, its certificate and the intermediate's come back.
///
/// ``commands`` are, for a key in a file:
///
///     openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out root.key
///     openssl req -x509 -new -sha256 -days 3650 -config authority.cnf -extensions root \
///         -key root.key -out root.crt
///     openssl x509 -req -sha256 -days 30 -in intermediate.csr -CA root.crt -CAkey root.key \
///         -set_serial 0x$(openssl rand -hex 16) -extfile authority.cnf -extensions intermediate \
///         -out intermediate.crt
///
/// For a key in a token, `-key root.key` and `-CAkey root.key` become, with the engine of libp11
/// (Debian: `libengine-pkcs11-openssl`):
///
///     -engine pkcs11 -keyform engine -key 'pkcs11:token=weft;object=root;type=private'
///     -engine pkcs11 -CAkeyform engine -CAkey 'pkcs11:token=weft;object=root;type=private'
///
/// or with `pkcs11-provider` of OpenSSL 3, which Debian has from version 13 on:
///
///     -provider default -provider pkcs11 -key 'pkcs11:token=weft;object=root;type=private'
///     -provider default -provider pkcs11 -CAkey 'pkcs11:token=weft;object=root;type=private'
///
/// The first two commands make the root, once; the third is repeated for every intermediate, at the
/// latest when ``CertificateAuthority/needsRenewal(now:)``.
public struct IntermediateRequest: Hashable, Sendable {
    public let trustDomain: TrustDomain
    /// PKCS#10, PEM: `intermediate.csr`.
    public let pem: String
    /// For OpenSSL: `authority.cnf`, with the extensions of both certificates.
    public let configuration: String

    static let lifetimeDays = 30
    static let rootLifetimeDays = 3650

    /// What to run where the root's key is, in a folder with both files.
    public static let commands = """
        # Once, to make the root (P-256 or P-384):
        openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out root.key
        openssl req -x509 -new -sha256 -days \(rootLifetimeDays) -config authority.cnf \\
            -extensions root -key root.key -out root.crt
        # For every intermediate:
        openssl x509 -req -sha256 -days \(lifetimeDays) -in intermediate.csr -CA root.crt \\
            -CAkey root.key -set_serial 0x$(openssl rand -hex 16) -extfile authority.cnf \\
            -extensions intermediate -out intermediate.crt
        # With the root's key in a PKCS#11 token, instead of the first command:
        #   pkcs11-tool --token-label weft --login --keypairgen --key-type EC:prime256v1 \\
        #       --label root --id 01
        # and instead of '-key root.key' and '-CAkey root.key', with libp11's engine:
        #   -engine pkcs11 -keyform engine -key 'pkcs11:token=weft;object=root;type=private'
        #   -engine pkcs11 -CAkeyform engine -CAkey 'pkcs11:token=weft;object=root;type=private'
        # or with pkcs11-provider:
        #   -provider default -provider pkcs11 -key 'pkcs11:token=weft;object=root;type=private'
        #   -provider default -provider pkcs11 -CAkey 'pkcs11:token=weft;object=root;type=private'

        """

    fileprivate init(
        trustDomain: TrustDomain, pem: String, areNamesConstrained: Bool
    ) {
        self.trustDomain = trustDomain
        self.pem = pem
        let uri = SPIFFEID(authorityOf: trustDomain).uri
        let constraints =
            areNamesConstrained
            ? "nameConstraints = critical, permitted;URI:\(trustDomain), permitted;DNS:\(trustDomain)\n"
            : ""
        configuration = """
            [req]
            distinguished_name = name
            prompt = no

            [name]
            CN = \(CertificateProfile.rootName(of: trustDomain))

            [root]
            basicConstraints = critical, CA:TRUE, pathlen:\(CertificateProfile.rootPathLength)
            keyUsage = critical, keyCertSign, cRLSign
            \(constraints)subjectAltName = URI:\(uri)
            subjectKeyIdentifier = hash
            authorityKeyIdentifier = keyid:always

            [intermediate]
            basicConstraints = critical, CA:TRUE, pathlen:\(CertificateProfile.intermediatePathLength)
            keyUsage = critical, digitalSignature, keyCertSign, cRLSign
            \(constraints)subjectAltName = URI:\(uri)
            subjectKeyIdentifier = hash
            authorityKeyIdentifier = keyid:always

            """
    }
}

extension CertificateAuthority {
    private static let pendingFileName = "pending.pem"

    /// Makes the key of a new intermediate and a request for its certificate. Asked again before the
    /// certificate is installed, it is about the same key.
    ///
    /// - Parameter areNamesConstrained: see ``create(cluster:mesh:in:areNamesConstrained:now:)``; as
    ///   the root does, once there is one.
    public static func requestIntermediate(
        cluster: ClusterName, mesh: String, in directory: String, areNamesConstrained: Bool = true
    ) throws(TrustError) -> IntermediateRequest {
        let domain = try TrustDomain(cluster: cluster, mesh: mesh)
        try SecretFile.makeDirectory(directory)
        let key = try makePendingKey(in: directory)
        do {
            let request = try CertificateSigningRequest(
                version: .v1,
                subject: DistinguishedName {
                    CommonName(CertificateProfile.intermediateName(of: domain))
                }, privateKey: Certificate.PrivateKey(key), attributes: .init())
            return IntermediateRequest(
                trustDomain: domain, pem: try request.serializeAsPEM().pemString + "\n",
                areNamesConstrained: areNamesConstrained)
        } catch {
            throw .signingFailed("\(error)")
        }
    }

    /// Takes the certificate into use that a root elsewhere made from the pending request.
    ///
    /// - Parameters:
    ///   - certificate: PEM.
    ///   - root: PEM; once the cluster has an authority, its root and no other.
    /// - Throws: ``TrustError``, what was in use stays: the certificate isn't of the profile, not
    ///   signed by the root, not for the pending key, or ends too soon.
    public static func installIntermediate(
        _ certificate: String, root: String, cluster: ClusterName, mesh: String,
        in directory: String, now: Date = Date()
    ) throws(TrustError) -> CertificateAuthority {
        let domain = try TrustDomain(cluster: cluster, mesh: mesh)
        let roots = try TrustBundle(trustDomain: domain, pem: root)
        let facts = try CertificateFacts(oneCertificate(certificate))
        if let reason = SVIDPolicy.unsuitabilityAsSigner(facts, of: domain) {
            throw .unsuitable(certificate: facts.names.label, reason: reason)
        }
        guard facts.pathLength == CertificateProfile.intermediatePathLength else {
            throw .unsuitable(
                certificate: facts.names.label, reason: "must have a path length of 0")
        }
        if let constraints = facts.constraints, !constraints.confine(to: domain) {
            throw .unsuitable(
                certificate: facts.names.label, reason: "is constrained to other names")
        }
        let path = try TrustPath(from: [facts], to: roots, now: now, denied: nil)
        try checkLife(of: facts.certificate, now: now)
        guard facts.certificate.notValidAfter <= path.certificates[1].notValidAfter
        else { throw .unsuitable(certificate: facts.names.label, reason: "outlives its root") }

        guard let key = try pendingKey(in: directory),
            Certificate.PrivateKey(key).publicKey == facts.certificate.publicKey
        else {
            throw .unusableFile(
                path: "\(directory)/\(pendingFileName)",
                reason: "the certificate isn't for the key that waits there: request it again")
        }
        if try SecretFile.exists(named: fileName, in: directory) {
            let present = try load(cluster: cluster, mesh: mesh, from: directory)
            guard present.chain[1] == path.certificates[1] else {
                throw .unsuitable(
                    certificate: facts.names.label, reason: "isn't under the cluster's root")
            }
        }
        let pair = KeyAndChain(
            privateKey: Certificate.PrivateKey(key), chain: path.certificates)
        let authority = try CertificateAuthority(domain: domain, pair: pair, directory: directory)
        try SecretFile.write(pair.pem(), named: fileName, in: directory, existing: .replace)
        try SecretFile.remove(named: pendingFileName, in: directory)
        return authority
    }

    private static func oneCertificate(_ pem: String) throws(TrustError) -> Certificate {
        do {
            guard pem.utf8.count <= TrustBundle.bytesMaximum else { throw TrustError.noCertificate }
            let document = try PEMDocument(pemString: pem)
            guard document.discriminator == Certificate.defaultPEMDiscriminator
            else { throw TrustError.noCertificate }
            return try CertificateReader.certificate(document.derBytes)
        } catch let error as TrustError {
            throw error
        } catch {
            throw .malformedCertificate("it isn't PEM")
        }
    }

    private static func pendingKey(
        in directory: String
    ) throws(TrustError) -> P256.Signing.PrivateKey? {
        guard try SecretFile.exists(named: pendingFileName, in: directory) else { return nil }
        let text = try SecretFile.read(named: pendingFileName, in: directory)
        do { return try P256.Signing.PrivateKey(pemRepresentation: text) } catch {
            throw .unusableFile(
                path: "\(directory)/\(pendingFileName)", reason: "it isn't a P-256 key")
        }
    }

    private static func makePendingKey(
        in directory: String
    ) throws(TrustError) -> P256.Signing.PrivateKey {
        if let key = try pendingKey(in: directory), try !isInUse(key, in: directory) { return key }
        let key = P256.Signing.PrivateKey()
        try SecretFile.write(
            key.pemRepresentation + "\n", named: pendingFileName, in: directory,
            existing: .replace)
        return key
    }

    /// Whether an installation was interrupted before it took the pending key away.
    private static func isInUse(
        _ key: P256.Signing.PrivateKey, in directory: String
    ) throws(TrustError) -> Bool {
        guard try SecretFile.exists(named: fileName, in: directory) else { return false }
        let present = try KeyAndChain(
            pem: SecretFile.read(named: fileName, in: directory), path: "\(directory)/\(fileName)")
        return present.privateKey == Certificate.PrivateKey(key)
    }
}
