// SPDX-License-Identifier: Apache-2.0

import Crypto
public import FoundationEssentials
import X509

extension CertificateAuthority {
    /// When the intermediate is due for renewal: ⅔ of its life are over.
    public var renewalDue: Date {
        let (start, end) = (chain[0].notValidBefore, chain[0].notValidAfter)
        return start + end.timeIntervalSince(start) * 2 / 3
    }

    public func needsRenewal(now: Date) -> Bool { now >= renewalDue }

    /// Whether ``renewed(now:)`` can do without another machine.
    public var hasRootKey: Bool {
        get throws(TrustError) { try SecretFile.exists(named: Self.rootFileName, in: directory) }
    }

    /// Makes a new intermediate with a new key under the same root, durably in place of the present
    /// one, whose key is gone then. What that one issued stays good: its certificate travels with
    /// what it signed.
    ///
    /// - Returns: the authority to go on with. This one still works, but not on disk.
    /// - Throws: ``TrustError``, the present intermediate stays:
    ///   ``TrustError/rootKeyAbsent(path:)`` when the root's key is elsewhere, see
    ///   ``IntermediateRequest``; ``TrustError/rootEnds(_:)`` when the root must be rotated first.
    public func renewed(now: Date = Date()) throws(TrustError) -> CertificateAuthority {
        try Self.makeIntermediate(
            of: trustDomain, root: ownRoot(), in: directory, existing: .replace, now: now)
    }

    func requireRootKey() throws(TrustError) {
        guard try hasRootKey
        else { throw .rootKeyAbsent(path: "\(directory)/\(Self.rootFileName)") }
    }

    /// The root that the intermediate is below, with its key.
    ///
    /// - Throws: ``TrustError/rootKeyAbsent(path:)`` when it isn't here.
    func ownRoot() throws(TrustError) -> KeyAndChain {
        try requireRootKey()
        let root = try Self.rootPair(of: trustDomain, in: directory)
        guard root.chain[0] == chain[1] else {
            throw .unusableFile(
                path: "\(directory)/\(Self.rootFileName)",
                reason: "it isn't the root of \(Self.fileName)")
        }
        return root
    }

    static func rootPair(
        of domain: TrustDomain, in directory: String
    ) throws(TrustError) -> KeyAndChain {
        let path = "\(directory)/\(rootFileName)"
        let pair = try KeyAndChain(
            pem: SecretFile.read(named: rootFileName, in: directory), path: path)
        guard pair.chain.count == 1,
            SVIDPolicy.unsuitabilityAsAuthority(try CertificateFacts(pair.chain[0]), of: domain)
                == nil
        else { throw .unusableFile(path: path, reason: "it isn't the root of \(domain)") }
        return pair
    }

    static func makeIntermediate(
        of domain: TrustDomain, root: KeyAndChain, in directory: String,
        existing: SecretFile.Existing, now: Date
    ) throws(TrustError) -> CertificateAuthority {
        try Issuance(directory: directory).admit(at: now)
        try checkLife(of: root.chain[0], now: now)
        let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
        let certificate: Certificate
        do {
            certificate = try CertificateProfile.intermediate(
                of: domain, publicKey: key.publicKey, root: root.chain[0],
                rootKey: root.privateKey, now: now)
        } catch {
            throw .signingFailed("\(error)")
        }
        let pair = KeyAndChain(privateKey: key, chain: [certificate, root.chain[0]])
        try SecretFile.write(pair.pem(), named: fileName, in: directory, existing: existing)
        return try CertificateAuthority(domain: domain, pair: pair, directory: directory)
    }

    /// An intermediate must last long enough for the certificates it issues.
    static func checkLife(of issuer: Certificate, now: Date) throws(TrustError) {
        guard issuer.notValidBefore <= now, now < issuer.notValidAfter else {
            throw .issuerNotValid(
                notBefore: issuer.notValidBefore, notAfter: issuer.notValidAfter, now: now)
        }
        let least =
            CertificateProfile.nodeLivesPerIntermediate * CertificateProfile.nodeLifetimeSeconds
        guard issuer.notValidAfter.timeIntervalSince(now) >= least
        else { throw .rootEnds(issuer.notValidAfter) }
    }
}
