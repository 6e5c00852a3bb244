// SPDX-License-Identifier: Apache-2.0

public import FoundationEssentials
import SwiftASN1
public import X509

extension NodeKey {
    /// The key of a certificate that was asked for and isn't there yet, PEM, mode 0600.
    public static let pendingFileName = "pending.pem"

    /// The key that was kept for a join, or a new one that is kept now: a token is reserved for it, so
    /// whoever was interrupted asks again with the same.
    public static func pending(in directory: String) throws(TrustError) -> NodeKey {
        if try SecretFile.exists(named: pendingFileName, in: directory) {
            let text = try SecretFile.read(named: pendingFileName, in: directory)
            guard let key = try? Certificate.PrivateKey(pemEncoded: text) else {
                throw .unusableFile(
                    path: "\(directory)/\(pendingFileName)", reason: "it is no private key")
            }
            return NodeKey(privateKey: key)
        }
        let key = NodeKey()
        let pem: String
        do { pem = try key.privateKey.serializeAsPEM().pemString } catch {
            throw .signingFailed("the key cannot be serialised")
        }
        try SecretFile.write(
            pem + "\n", named: pendingFileName, in: directory, existing: .keep)
        return key
    }

    /// Its certificate is saved: the key is kept with that.
    public static func settle(in directory: String) throws(TrustError) {
        try SecretFile.remove(named: pendingFileName, in: directory)
    }
}

extension NodeJoiner {
    /// - Parameter now: seconds since 1970.
    public init(token: JoinToken, key: NodeKey, now: UInt64) throws(JoinRefusal) {
        let request: CertificateSigningRequest
        do throws(TrustError) {
            request = try CertificateReader.request(key.request())
        } catch {
            throw .failed("\(error)")
        }
        try self.init(token: token, request: request, now: now)
    }
}

extension CertificateAuthority {
    /// Step 2 of ``NodeIntroduction``.
    public func issue(
        for introduction: NodeIntroduction, now: Date = Date()
    ) throws(TrustError) -> [Certificate] {
        try issueNodeCertificate(
            node: introduction.node, publicKey: introduction.request.publicKey, now: now)
    }
}
