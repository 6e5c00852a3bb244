// SPDX-License-Identifier: Apache-2.0

import Crypto

/// What a token proves its holder by: 128 random bits that only the token's text holds.
///
/// From it both sides derive an Ed25519 key, salted with the token's ID. The holder signs with it what
/// it asks for; the issuing side keeps only the public half, which lets nobody join.
struct JoinSecret: Hashable, Sendable {
    static let byteCount = 16
    private static let purpose = Array("weft join token".utf8)

    private let bytes: [UInt8]

    init(_ bytes: some Sequence<UInt8>) { self.bytes = Array(bytes) }

    init(using generator: inout some RandomNumberGenerator) {
        bytes = (0..<Self.byteCount).map { _ in UInt8.random(in: 0 ... .max, using: &generator) }
    }

    /// Only for the token's text.
    var exposed: [UInt8] { bytes }

    /// - Returns: 64 bytes.
    func proof(of message: [UInt8], salt: TokenID) throws(TrustError) -> [UInt8] {
        do { return Array(try key(salt).signature(for: message)) } catch {
            throw .signingFailed("the token's key can't be used")
        }
    }

    /// What the issuing side keeps, 32 bytes.
    func verifier(salt: TokenID) throws(TrustError) -> [UInt8] {
        do { return Array(try key(salt).publicKey.rawRepresentation) } catch {
            throw .signingFailed("the token's key can't be used")
        }
    }

    static func isProof(_ proof: [UInt8], of message: [UInt8], verifier: [UInt8]) -> Bool {
        guard let key = try? Curve25519.Signing.PublicKey(rawRepresentation: verifier)
        else { return false }
        return key.isValidSignature(proof, for: message)
    }

    private func key(_ salt: TokenID) throws -> Curve25519.Signing.PrivateKey {
        let seed = HKDF<SHA256>.deriveKey(
            inputKeyMaterial: SymmetricKey(data: bytes), salt: salt.bytes, info: Self.purpose,
            outputByteCount: 32)
        return try seed.withUnsafeBytes {
            try Curve25519.Signing.PrivateKey(rawRepresentation: Array($0))
        }
    }
}

extension JoinSecret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    var description: String { "a secret" }
    var debugDescription: String { description }
    /// Keeps it out of `dump` and of failed expectations.
    var customMirror: Mirror { Mirror(self, children: EmptyCollection<Mirror.Child>()) }
}
