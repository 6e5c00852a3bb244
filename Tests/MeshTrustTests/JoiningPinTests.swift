// SPDX-License-Identifier: Apache-2.0

import Crypto
import Testing
import X509

@testable import MeshTrust

@Suite("The pin of a key")
struct JoiningPinTests {
    @Test("is that of its SubjectPublicKeyInfo, as deny lists and OpenSSL have it")
    func spki() throws {
        let key = P256.Signing.PrivateKey().publicKey
        let pin = KeyPin(of: Certificate.PublicKey(key))
        #expect(pin.bytes == Array(SHA256.hash(data: key.derRepresentation)))
        #expect(try pin.bytes == DenySubject.digest(of: Certificate.PublicKey(key)))
    }
}
