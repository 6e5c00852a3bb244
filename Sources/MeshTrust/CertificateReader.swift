// SPDX-License-Identifier: Apache-2.0

import SwiftASN1
import X509

/// Reads what strangers present. Whatever is large, numerous or of an unusual kind is refused by its
/// outline, before the library decodes it and before a key or a signature costs time.
///
/// The outline also closes what the library leaves open: two signature algorithms that differ
/// (RFC 5280 §4.1.1.2), serial numbers that aren't positive or longer than 20 bytes (§4.1.2.2),
/// unique identifiers (§4.1.2.8), and bits behind a signature, which would give one certificate
/// several encodings.
enum CertificateReader {
    static let certificateBytesMaximum = 16 * 1024
    static let requestBytesMaximum = 4 * 1024
    /// A subject's or an issuer's name in DER.
    static let nameBytesMaximum = 1024
    static let extensionsMaximum = 16
    /// One extension in DER: room for the longest SPIFFE ID.
    static let extensionBytesMaximum = 4 * 1024
    private static let serialBytesMaximum = 20
    /// Above every list that is read whole, so that longer ones are noticed.
    private static let childrenMaximum = 32

    static func certificate(_ bytes: [UInt8]) throws(TrustError) -> Certificate {
        guard bytes.count <= certificateBytesMaximum
        else { throw .certificateTooLarge(bytes: bytes.count) }
        do {
            let node = try DER.parse(bytes)
            try checkCertificate(node)
            return try Certificate(derEncoded: node)
        } catch let error as TrustError {
            throw error
        } catch {
            throw .malformedCertificate(printable("\(error)", 200))
        }
    }

    /// A PKCS#10 request; whether its signature matches its key is for the caller to check.
    static func request(_ bytes: [UInt8]) throws(TrustError) -> CertificateSigningRequest {
        guard bytes.count <= requestBytesMaximum
        else { throw .invalidRequest("it has \(bytes.count) bytes") }
        do {
            let node = try DER.parse(bytes)
            let parts = children(node)
            guard parts.count == 3 else { throw malformed("it isn't three parts") }
            let info = children(parts[0])
            guard info.count >= 3, isAcceptable(keyInfo: info[2])
            else { throw TrustError.invalidRequest("the key must be P-256, P-384 or Ed25519") }
            guard signatureAlgorithms.contains(Array(parts[1].encodedBytes))
            else { throw TrustError.invalidRequest("its signature is of an unusual kind") }
            guard hasWholeBytes(parts[2]) else { throw malformed("its signature has loose bits") }
            return try CertificateSigningRequest(derEncoded: node)
        } catch TrustError.invalidRequest(let reason) {
            throw .invalidRequest(reason)
        } catch {
            throw .invalidRequest("it cannot be parsed")
        }
    }

    private static func checkCertificate(_ node: ASN1Node) throws(TrustError) {
        let parts = children(node)
        guard parts.count == 3 else { throw malformed("it isn't three parts") }
        var fields = children(parts[0])[...]
        if fields.first?.identifier == tag(0) { fields = fields.dropFirst() }
        guard fields.count >= 6, fields.count <= 9 else { throw malformed("fields are missing") }
        let field = Array(fields)
        let serial = try checkSerial(field[0])
        guard field[1].encodedBytes == parts[1].encodedBytes
        else { throw malformed("its two signature algorithms differ") }
        guard signatureAlgorithms.contains(Array(parts[1].encodedBytes)) else {
            throw .unsuitable(
                certificate: serial,
                reason: "has a signature that is none of ECDSA with SHA-256 or SHA-384 and Ed25519")
        }
        guard hasWholeBytes(parts[2]) else { throw malformed("its signature has loose bits") }
        guard field[2].encodedBytes.count <= nameBytesMaximum,
            field[4].encodedBytes.count <= nameBytesMaximum
        else { throw malformed("a name is longer than \(nameBytesMaximum) bytes") }
        guard isAcceptable(keyInfo: field[5]) else {
            throw .unsuitable(
                certificate: serial,
                reason: "has a key that is none of P-256, P-384 and Ed25519")
        }
        for rest in field.dropFirst(6) {
            guard rest.identifier == tag(3) else { throw malformed("it has unique identifiers") }
            let list = children(rest).first.map(children) ?? []
            guard list.count <= extensionsMaximum
            else { throw malformed("it has more than \(extensionsMaximum) extensions") }
            guard list.allSatisfy({ $0.encodedBytes.count <= extensionBytesMaximum })
            else { throw malformed("an extension is longer than \(extensionBytesMaximum) bytes") }
        }
    }

    /// - Returns: how to call a certificate whose names haven't been read yet.
    private static func checkSerial(_ node: ASN1Node) throws(TrustError) -> String {
        guard node.identifier == .integer, case .primitive(let bytes) = node.content,
            (1...serialBytesMaximum).contains(bytes.count), let first = bytes.first, first < 0x80,
            bytes.contains(where: { $0 != 0 })
        else { throw malformed("its serial number isn't positive or longer than 20 bytes") }
        return "serial number "
            + bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }
            .joined()
    }

    /// A BIT STRING's first byte counts the unused bits in its last one.
    private static func hasWholeBytes(_ node: ASN1Node) -> Bool {
        if case .primitive(let bytes) = node.content { bytes.first == 0 } else { false }
    }

    private static func isAcceptable(keyInfo: ASN1Node) -> Bool {
        guard let algorithm = children(keyInfo).first else { return false }
        return keyAlgorithms.contains(Array(algorithm.encodedBytes))
    }

    private static func malformed(_ reason: String) -> TrustError { .malformedCertificate(reason) }

    private static func tag(_ number: UInt) -> ASN1Identifier {
        ASN1Identifier(tagWithNumber: number, tagClass: .contextSpecific)
    }

    private static func children(_ node: ASN1Node) -> [ASN1Node] {
        guard case .constructed(let nodes) = node.content else { return [] }
        var all: [ASN1Node] = []
        for child in nodes {
            all.append(child)
            if all.count == childrenMaximum { break }
        }
        return all
    }

    /// AlgorithmIdentifiers in DER: P-256, P-384, Ed25519.
    private static let keyAlgorithms: [[UInt8]] = [
        [
            0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
            0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
        ],
        [
            0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
            0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22,
        ],
        [0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70],
    ]

    /// The same of ECDSA with SHA-256 and with SHA-384, and Ed25519.
    private static let signatureAlgorithms: [[UInt8]] = [
        [0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02],
        [0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03],
        [0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70],
    ]
}

/// For messages: what a stranger wrote, in ASCII that a terminal shows and no longer than `maximum`.
func printable(_ text: String, _ maximum: Int) -> String {
    String(
        String.UnicodeScalarView(
            text.unicodeScalars.prefix(maximum).map { (" "..."~").contains($0) ? $0 : "?" }))
}
