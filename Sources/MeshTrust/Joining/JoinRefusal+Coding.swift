// SPDX-License-Identifier: Apache-2.0

import MeshModel

extension JoinRefusal {
    private static let textMaximum = 512

    /// An 8-bit code and its details. Refusals that only the joining side makes have no code: what
    /// would need one is told as ``failed``.
    func encode(into writer: inout ByteWriter) {
        switch self {
        case .unknownToken(let id):
            writer.write(UInt8(1))
            writer.write(id.rawValue)
        case .expiredToken(let expiresAt, let now):
            writer.write(UInt8(2))
            writer.write(expiresAt)
            writer.write(now)
        case .usedToken(let id):
            writer.write(UInt8(3))
            writer.write(id.rawValue)
        case .tokenForOther(let subject, let presented):
            writer.write(UInt8(4))
            subject.encode(into: &writer)
            presented.encode(into: &writer)
        case .notProven: writer.write(UInt8(5))
        case .otherMesh(let own, let other):
            writer.write(UInt8(6))
            writer.write(short: own)
            writer.write(short: other)
        case .itself(let name):
            writer.write(UInt8(7))
            writer.write(short: name.rawValue)
        case .clockSkew(let joiner, let introducer):
            writer.write(UInt8(8))
            writer.write(joiner)
            writer.write(introducer)
        case .duplicateName(let name):
            writer.write(UInt8(9))
            writer.write(short: name.rawValue)
        case .duplicateID(let id, let holder):
            writer.write(UInt8(10))
            writer.write(id.rawValue)
            writer.write(short: holder.rawValue)
        case .overlappingAddresses(let own, let other, let holder):
            writer.write(UInt8(11))
            writer.write([own, other])
            writer.write(short: holder.rawValue)
        case .tooManyTries(let seconds):
            writer.write(UInt8(12))
            writer.write(seconds)
        case .unsupportedVersion(let version, let supported):
            writer.write(UInt8(13))
            writer.write(version)
            writer.write(supported)
        case .malformed(let reason):
            writer.write(UInt8(14))
            writer.write(field: reason.utf8.prefix(Self.textMaximum))
        case .untrusted(let reason):
            writer.write(UInt8(15))
            writer.write(field: reason.utf8.prefix(Self.textMaximum))
        case .notAttested(let reason):
            writer.write(UInt8(17))
            writer.write(field: reason.utf8.prefix(Self.textMaximum))
        case .wrongPin(let expected, let found):
            writer.write(UInt8(16))
            writer.write(expected)
            writer.write(found)
        case .mistypedToken, .malformedAddress, .failed: writer.write(UInt8(0))
        }
    }

    init(from reader: inout ByteReader) throws(DecodingFault) {
        switch try reader.read(UInt8.self) {
        case 1: self = .unknownToken(TokenID(rawValue: try reader.read()))
        case 2: self = .expiredToken(expiresAt: try reader.read(), now: try reader.read())
        case 3: self = .usedToken(TokenID(rawValue: try reader.read()))
        case 4:
            self = .tokenForOther(
                try TokenSubject(from: &reader), presented: try TokenSubject(from: &reader))
        case 5: self = .notProven
        // The other side's own mesh is the other one here.
        case 6:
            let own = try reader.readMesh()
            self = .otherMesh(own: try reader.readMesh(), other: own)
        case 7: self = .itself(try reader.readClusterName())
        case 8: self = .clockSkew(joiner: try reader.read(), introducer: try reader.read())
        case 9: self = .duplicateName(try reader.readClusterName())
        case 10:
            self = .duplicateID(try reader.readClusterID(), holder: try reader.readClusterName())
        case 11:
            let prefixes = try reader.readPrefixes()
            guard prefixes.count == 2 else { throw .invalid("prefixes") }
            self = .overlappingAddresses(
                own: prefixes[0], other: prefixes[1], holder: try reader.readClusterName())
        case 12: self = .tooManyTries(retryAfterSeconds: try reader.read())
        case 13: self = .unsupportedVersion(try reader.read(), supported: try reader.read())
        case 14: self = .malformed(try reader.readPrintable("reason", max: Self.textMaximum))
        case 15: self = .untrusted(try reader.readPrintable("reason", max: Self.textMaximum))
        case 16: self = .wrongPin(expected: try reader.readPins(), found: try reader.readPins())
        case 17: self = .notAttested(try reader.readPrintable("reason", max: Self.textMaximum))
        default: self = .failed("")
        }
    }
}

extension ByteReader {
    /// Text of a stranger for a terminal: control characters become spaces.
    fileprivate mutating func readPrintable(
        _ name: String, max: Int
    ) throws(DecodingFault) -> String {
        let bytes = try readField(max: max, name)
        return String(
            decoding: bytes.map { (0x20...0x7e).contains($0) ? $0 : 0x20 }, as: UTF8.self)
    }
}
