// SPDX-License-Identifier: Apache-2.0

import Crypto
import SwiftASN1
import X509

/// A private key followed by certificates in one PEM text: one file, so that they cannot disagree.
struct KeyAndChain {
    let privateKey: Certificate.PrivateKey
    /// The key's own certificate first, the rest towards the root.
    let chain: [Certificate]

    init(privateKey: Certificate.PrivateKey, chain: [Certificate]) {
        self.privateKey = privateKey
        self.chain = chain
    }

    /// - Throws: ``TrustError/unusableFile(path:reason:)``; the reason never quotes the file.
    init(pem: String, path: String) throws(TrustError) {
        let documents: [PEMDocument]
        do { documents = try PEMDocument.parseMultiple(pemString: pem) } catch {
            throw .unusableFile(path: path, reason: "it isn't PEM")
        }
        guard let key = documents.first,
            let privateKey = try? Certificate.PrivateKey(pemDocument: key)
        else {
            throw .unusableFile(path: path, reason: "its first block is no private key")
        }
        do { chain = try documents.dropFirst().map { try Certificate(pemDocument: $0) } } catch {
            throw .unusableFile(path: path, reason: "a block behind the key is no certificate")
        }
        guard let own = chain.first, own.publicKey == privateKey.publicKey else {
            throw .unusableFile(path: path, reason: "the key isn't its certificate's")
        }
        self.privateKey = privateKey
    }

    /// What an authority signs with.
    func signingKey(path: String) throws(TrustError) -> P256.Signing.PrivateKey {
        do {
            return try P256.Signing.PrivateKey(
                pemRepresentation: privateKey.serializeAsPEM().pemString)
        } catch {
            throw .unusableFile(path: path, reason: "the key isn't P-256")
        }
    }

    func pem() throws(TrustError) -> String {
        let key: String
        do { key = try privateKey.serializeAsPEM().pemString } catch {
            throw .signingFailed("the key cannot be serialised")
        }
        return try key + "\n" + pemText(chain)
    }
}

/// The certificates one after the other, a newline behind each.
func pemText(_ certificates: [Certificate]) throws(TrustError) -> String {
    do {
        return try certificates.map { try $0.serializeAsPEM().pemString + "\n" }.joined()
    } catch {
        throw .malformedCertificate("\(error)")
    }
}

extension Certificate {
    func der() throws(TrustError) -> [UInt8] {
        do {
            var serializer = DER.Serializer()
            try serializer.serialize(self)
            return serializer.serializedBytes
        } catch {
            throw .malformedCertificate("\(error)")
        }
    }
}
