// SPDX-License-Identifier: Apache-2.0

public import Crypto
import FoundationEssentials
import SwiftASN1

/// The Ed25519 key that signs a cluster's ledger. Only its publisher has it.
public struct LedgerKey: Sendable {
    /// PKCS#8 PEM, mode 0600.
    public static let fileName = "ledger.pem"

    private static let pemType = "PRIVATE KEY"
    /// PKCS#8 of an Ed25519 key up to its 32 bytes (RFC 8410 §7).
    private static let pkcs8Prefix: [UInt8] = [
        0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04,
        0x20,
    ]

    /// Never log it.
    public let signingKey: Curve25519.Signing.PrivateKey

    private init(signingKey: Curve25519.Signing.PrivateKey) { self.signingKey = signingKey }

    /// Makes a key and stores it durably; never replaces one.
    public static func create(in directory: String) throws(TrustError) -> LedgerKey {
        let key = Curve25519.Signing.PrivateKey()
        let document = PEMDocument(
            type: pemType, derBytes: pkcs8Prefix + Array(key.rawRepresentation))
        try SecretFile.write(
            document.pemString + "\n", named: fileName, in: directory, existing: .keep)
        return LedgerKey(signingKey: key)
    }

    /// - Throws: ``TrustError/exposed(path:mode:required:)`` when others can reach the key.
    public static func load(from directory: String) throws(TrustError) -> LedgerKey {
        let path = "\(directory)/\(fileName)"
        let pem = try SecretFile.read(named: fileName, in: directory)
        guard let document = try? PEMDocument(pemString: pem), document.discriminator == pemType,
            document.derBytes.starts(with: pkcs8Prefix),
            let key = try? Curve25519.Signing.PrivateKey(
                rawRepresentation: document.derBytes.dropFirst(pkcs8Prefix.count))
        else { throw .unusableFile(path: path, reason: "it holds no Ed25519 key") }
        return LedgerKey(signingKey: key)
    }

    /// 32 bytes.
    public var publicKey: [UInt8] { Array(signingKey.publicKey.rawRepresentation) }

    /// As it stands in the peers' files of other clusters: 44 characters.
    public var publicKeyBase64: String {
        signingKey.publicKey.rawRepresentation.base64EncodedString()
    }

    /// The 32 bytes of a base64 public key, nil if it isn't one.
    public static func publicKey(base64: String) -> [UInt8]? {
        guard let data = Data(base64Encoded: base64), data.count == 32 else { return nil }
        return Array(data)
    }
}
