// SPDX-License-Identifier: Apache-2.0

import Crypto
import FoundationEssentials
import MeshModel
import SwiftASN1
import X509

/// An authority of a platform team's own, for what a lab runs beside Weft: its key is forgotten with it.
struct LabAuthority {
    enum Role: String {
        case server
        /// A client.
        case agent
    }

    private static let lifetime = 30.0 * 86400

    private let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
    private let name: DistinguishedName
    private let certificate: Certificate

    /// - Parameter name: of whose authority it is.
    init(of name: String) throws {
        self.name = try DistinguishedName { CommonName(name) }
        certificate = try Self.certificate(self.name, key.publicKey, by: self.name, key) {
            Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
            Critical(KeyUsage(keyCertSign: true))
        }
    }

    var pem: String { get throws { try certificate.serializeAsPEM().pemString } }

    /// Writes `FOLDER/ROLE.pem` and `FOLDER/ROLE.key`, the key for its owner alone.
    ///
    /// - Parameter address: what the certificate names.
    func issue(
        _ role: Role, address: String, in folder: String
    ) throws {
        let own = Certificate.PrivateKey(P256.Signing.PrivateKey())
        let subject = try DistinguishedName { CommonName(role.rawValue) }
        let octets =
            Address(address)?.isIPv4 == true
            ? address.split(separator: ".").compactMap { UInt8($0) } : []
        let certificate = try Self.certificate(subject, own.publicKey, by: name, key) {
            Critical(BasicConstraints.notCertificateAuthority)
            Critical(KeyUsage(digitalSignature: true))
            try ExtendedKeyUsage([role == .server ? .serverAuth : .clientAuth])
            SubjectAlternativeNames([.ipAddress(ASN1OctetString(contentBytes: octets[...]))])
        }
        try LabFolder.write(
            try certificate.serializeAsPEM().pemString, to: "\(folder)/\(role.rawValue).pem")
        try LabFolder.write(
            try own.serializeAsPEM().pemString, to: "\(folder)/\(role.rawValue).key", mode: 0o600)
    }

    private static func certificate(
        _ subject: DistinguishedName, _ key: Certificate.PublicKey,
        by issuer: DistinguishedName, _ issuerKey: Certificate.PrivateKey,
        @ExtensionsBuilder _ extensions: () throws -> Result<Certificate.Extensions, any Error>
    ) throws -> Certificate {
        let now = Date()
        return try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: key,
            notValidBefore: now - 300, notValidAfter: now + lifetime, issuer: issuer,
            subject: subject, signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try Certificate.Extensions(builder: extensions),
            issuerPrivateKey: issuerKey)
    }
}
