// SPDX-License-Identifier: Apache-2.0

public import Crypto
public import FoundationEssentials
public import SwiftASN1
public import X509

/// A certificate made byte by byte, so that it can break every rule that a library would keep.
public struct ForgedCertificate: Sendable {
    public static let ecdsaWithSHA256: [UInt8] = [
        0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02,
    ]
    public static let ecdsaWithSHA384: [UInt8] = Array(ecdsaWithSHA256.dropLast()) + [0x03]
    public static let ecdsaWithSHA512: [UInt8] = Array(ecdsaWithSHA256.dropLast()) + [0x04]

    /// 2 is v3; nil leaves the field out, which is v1.
    public var version: UInt8? = 2
    /// The bytes of an INTEGER.
    public var serial: [UInt8] = [1]
    public var algorithm = ecdsaWithSHA256
    /// Beside the signature; nil for the same.
    public var outerAlgorithm: [UInt8]?
    public var issuer = DistinguishedName()
    public var subject = DistinguishedName()
    public var notBefore: Date
    public var notAfter: Date
    /// SubjectPublicKeyInfo.
    public var keyInfo: [UInt8]
    public var uniqueIdentifier: [UInt8]?
    public var extensions: [Certificate.Extension] = []
    /// Unused bits that the signature's BIT STRING claims.
    public var looseBits: UInt8 = 0
    /// Instead of the issuer's.
    public var signature: [UInt8]?

    public init(notBefore: Date, notAfter: Date, keyInfo: [UInt8]) {
        self.notBefore = notBefore
        self.notAfter = notAfter
        self.keyInfo = keyInfo
    }

    /// Puts an extension in the place of the one with its OID, or at the end.
    public mutating func set(_ new: Certificate.Extension) {
        guard let index = extensions.firstIndex(where: { $0.oid == new.oid })
        else { return extensions.append(new) }
        extensions[index] = new
    }

    public mutating func remove(_ id: ASN1ObjectIdentifier) {
        extensions.removeAll { $0.oid == id }
    }

    public mutating func setNames(_ names: [GeneralName], isCritical: Bool = true) throws {
        set(try Certificate.Extension(SubjectAlternativeNames(names), critical: isCritical))
    }

    /// - Returns: DER.
    public func signed(by key: P256.Signing.PrivateKey) throws -> [UInt8] {
        try signed { body in
            switch algorithm {
            case Self.ecdsaWithSHA384:
                try key.signature(for: SHA384.hash(data: body)).derRepresentation
            case Self.ecdsaWithSHA512:
                try key.signature(for: SHA512.hash(data: body)).derRepresentation
            default: try key.signature(for: body).derRepresentation
            }
        }
    }

    /// - Returns: DER; ``algorithm`` must be ``ecdsaWithSHA384``.
    public func signed(by key: P384.Signing.PrivateKey) throws -> [UInt8] {
        try signed { try key.signature(for: $0).derRepresentation }
    }

    private func signed(_ sign: ([UInt8]) throws -> Data) throws -> [UInt8] {
        let body = try DER.wrap(0x30, fields())
        let signature = try signature ?? Array(sign(body))
        return DER.wrap(
            0x30, body + (outerAlgorithm ?? algorithm) + DER.wrap(0x03, [looseBits] + signature))
    }

    private func fields() throws -> [UInt8] {
        var bytes: [UInt8] = []
        if let version { bytes += DER.wrap(0xa0, DER.wrap(0x02, [version])) }
        bytes += DER.wrap(0x02, serial) + algorithm
        bytes += try DER.bytes(issuer)
        bytes += DER.wrap(0x30, DER.time(notBefore) + DER.time(notAfter))
        bytes += try DER.bytes(subject)
        bytes += keyInfo
        if let uniqueIdentifier { bytes += DER.wrap(0xa1, DER.wrap(0x03, [0] + uniqueIdentifier)) }
        guard !extensions.isEmpty else { return bytes }
        var list: [UInt8] = []
        for each in extensions { list += try DER.bytes(each) }
        return bytes + DER.wrap(0xa3, DER.wrap(0x30, list))
    }
}

extension DER {
    /// Tag, length, contents.
    public static func wrap(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] {
        switch content.count {
        case 0..<0x80: [tag, UInt8(content.count)] + content
        case 0x80..<0x100: [tag, 0x81, UInt8(content.count)] + content
        case 0x100..<0x1_0000:
            [tag, 0x82, UInt8(content.count >> 8), UInt8(content.count & 0xff)] + content
        default:
            [
                tag, 0x83, UInt8(content.count >> 16), UInt8(content.count >> 8 & 0xff),
                UInt8(content.count & 0xff),
            ] + content
        }
    }

    public static func bytes(_ element: some DERSerializable) throws -> [UInt8] {
        var serializer = DER.Serializer()
        try serializer.serialize(element)
        return serializer.serializedBytes
    }

    /// UTCTime before 2050, as RFC 5280 §4.1.2.5 wants it.
    static func time(_ date: Date) -> [UInt8] {
        let digits = date.ISO8601Format().utf8.filter { (0x30...0x39).contains($0) }
        let text = Array(digits) + [UInt8(ascii: "Z")]
        return digits.prefix(4).lexicographicallyPrecedes("2050".utf8)
            ? wrap(0x17, Array(text.dropFirst(2))) : wrap(0x18, text)
    }
}
