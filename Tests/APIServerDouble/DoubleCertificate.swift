// SPDX-License-Identifier: Apache-2.0

import Crypto
import FoundationEssentials
public import NIOSSL
import SwiftASN1
import X509

/// A certificate of 127.0.0.1 and of `kubernetes` that is its own authority, for an hour.
public struct DoubleCertificate: Sendable {
    /// What clients have to trust.
    public let pem: String
    public let configuration: TLSConfiguration

    public init() throws {
        let key = P256.Signing.PrivateKey()
        let name = try DistinguishedName { CommonName("kube-apiserver") }
        let certificate = try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(),
            publicKey: .init(key.publicKey), notValidBefore: Date() - 3600,
            notValidAfter: Date() + 3600, issuer: name, subject: name,
            extensions: Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: nil))
                SubjectAlternativeNames([
                    .ipAddress(ASN1OctetString(contentBytes: [127, 0, 0, 1])),
                    .dnsName("kubernetes"),
                ])
            }, issuerPrivateKey: .init(key))
        pem = try certificate.serializeAsPEM().pemString
        configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMBytes(Array(pem.utf8)).map {
                .certificate($0)
            },
            privateKey: .privateKey(
                try NIOSSLPrivateKey(bytes: Array(key.pemRepresentation.utf8), format: .pem)))
    }
}
