// SPDX-License-Identifier: Apache-2.0

import Crypto
import MeshModel
import SwiftASN1
public import X509

/// What is denied.
public enum DenySubject: Hashable, Sendable {
    /// One certificate: its issuer's key identifier and its serial number without leading zeros.
    case certificate(authority: [UInt8], serial: [UInt8])
    /// Every certificate of a key: SHA-256 of its SubjectPublicKeyInfo in DER.
    case key(digest: [UInt8])
    /// Every certificate with that name.
    case identity(SPIFFEID)
    /// Everything below an authority, by its certificate's subject key identifier.
    case authority(keyIdentifier: [UInt8])

    public static let keyIdentifierBytesMaximum = 64
    /// RFC 5280 §4.1.2.2: 20, and a leading zero byte.
    public static let serialBytesMaximum = 21
    public static let digestBytes = 32

    /// Nil when the certificate doesn't say which key issued it.
    public init?(certificate: Certificate) {
        guard let issuer = certificate.issuerKeyIdentifier else { return nil }
        self = .certificate(authority: issuer, serial: Self.serial(of: certificate))
    }

    /// SHA-256 of the SubjectPublicKeyInfo: the same pin that a join token carries.
    public static func digest(of key: Certificate.PublicKey) throws(StatementRefusal) -> [UInt8] {
        do { return Array(SHA256.hash(data: try key.serializeAsPEM().derBytes)) } catch {
            throw .malformed("a public key can't be written")
        }
    }

    static func serial(of certificate: Certificate) -> [UInt8] {
        Array(certificate.serialNumber.bytes.drop { $0 == 0 })
    }
}

extension DenySubject: CustomStringConvertible {
    public var description: String {
        switch self {
        case .certificate(let authority, let serial):
            "certificate \(hexadecimal(serial)) of authority \(hexadecimal(authority))"
        case .key(let digest): "key \(hexadecimal(digest))"
        case .identity(let id): id.uri
        case .authority(let keyIdentifier): "authority \(hexadecimal(keyIdentifier))"
        }
    }
}

extension DenySubject {
    /// A tag, then each part behind its 32-bit length: no two subjects have the same bytes.
    var encoded: [UInt8] {
        var writer = ByteWriter()
        switch self {
        case .certificate(let authority, let serial):
            writer.write(UInt8(1))
            writer.write(field: authority)
            writer.write(field: serial)
        case .key(let digest):
            writer.write(UInt8(2))
            writer.write(field: digest)
        case .identity(let id):
            writer.write(UInt8(3))
            writer.write(id.uri)
        case .authority(let keyIdentifier):
            writer.write(UInt8(4))
            writer.write(field: keyIdentifier)
        }
        return writer.bytes
    }

    init(from reader: inout ByteReader) throws(DecodingFault) {
        func keyIdentifier() throws(DecodingFault) -> [UInt8] {
            let bytes = try reader.readField(
                max: Self.keyIdentifierBytesMaximum, "key identifier")
            guard !bytes.isEmpty else { throw .invalid("key identifier") }
            return Array(bytes)
        }
        switch try reader.read(UInt8.self) {
        case 1:
            let authority = try keyIdentifier()
            let serial = try reader.readField(max: Self.serialBytesMaximum, "serial number")
            guard serial.first != 0 else { throw .invalid("serial number") }
            self = .certificate(authority: authority, serial: Array(serial))
        case 2:
            let digest = try reader.readField(max: Self.digestBytes, "key digest")
            guard digest.count == Self.digestBytes else { throw .invalid("key digest") }
            self = .key(digest: Array(digest))
        case 3:
            let text = try reader.readString(max: SPIFFEID.maximumLength, "SPIFFE ID")
            guard let id = SPIFFEID(text) else { throw .invalid("SPIFFE ID") }
            self = .identity(id)
        case 4: self = .authority(keyIdentifier: try keyIdentifier())
        default: throw .invalid("kind of denial")
        }
    }
}

extension Certificate {
    var issuerKeyIdentifier: [UInt8]? {
        ((try? extensions.authorityKeyIdentifier) ?? nil)?.keyIdentifier.map { Array($0) }
    }

    var ownKeyIdentifier: [UInt8]? {
        ((try? extensions.subjectKeyIdentifier) ?? nil).map { Array($0.keyIdentifier) }
    }
}
