// SPDX-License-Identifier: Apache-2.0

import Crypto
import FoundationEssentials
import MeshModel

extension ByteWriter {
    /// Behind an 8-bit length. What is longer than 255 bytes was refused when the value was made.
    mutating func write(short text: String) {
        let bytes = text.utf8.prefix(255)
        write(UInt8(bytes.count))
        write(raw: bytes)
    }

    mutating func write(_ prefixes: [Prefix]) {
        write(list: prefixes) {
            $0.write($1.address)
            $0.write($1.length)
        }
    }

    mutating func write(_ pins: [KeyPin]) {
        write(list: pins) { $0.write(raw: $1.bytes) }
    }
}

extension ByteReader {
    mutating func readShort(_ name: String) throws(DecodingFault) -> String {
        let count = Int(try read(UInt8.self))
        guard let text = String(validating: try read(raw: count), as: UTF8.self)
        else { throw .invalid(name) }
        return text
    }

    mutating func readClusterName() throws(DecodingFault) -> ClusterName {
        guard let name = ClusterName(rawValue: try readShort("cluster name"))
        else { throw .invalid("cluster name") }
        return name
    }

    mutating func readClusterID() throws(DecodingFault) -> ClusterID {
        guard let id = ClusterID(rawValue: try read()) else { throw .invalid("cluster ID") }
        return id
    }

    mutating func readMesh() throws(DecodingFault) -> String {
        let mesh = try readShort("mesh")
        guard isSubdomain(mesh) else { throw .invalid("mesh") }
        return mesh
    }

    mutating func readPrefix() throws(DecodingFault) -> Prefix {
        guard let prefix = Prefix(address: try readAddress(), length: try read())
        else { throw .invalid("prefix") }
        return prefix
    }

    mutating func readPrefixes() throws(DecodingFault) -> [Prefix] {
        try readList(max: JoinLimit.prefixes, "prefixes") {
            reader throws(DecodingFault) in try reader.readPrefix()
        }
    }

    mutating func readPin() throws(DecodingFault) -> KeyPin {
        KeyPin(unchecked: Array(try read(raw: KeyPin.byteCount)))
    }

    mutating func readPins() throws(DecodingFault) -> [KeyPin] {
        try readList(max: JoinLimit.roots, "pins") {
            reader throws(DecodingFault) in try reader.readPin()
        }
    }
}

func sha256(_ bytes: [UInt8]) -> [UInt8] { Array(SHA256.hash(data: bytes)) }

func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

/// `2026-07-01T00:00:00Z`, for messages.
func clockText(_ seconds: UInt64) -> String {
    // What a stranger claims may lie beyond any calendar.
    let bounded = min(seconds, 253_402_300_799)
    return Date(timeIntervalSince1970: Double(bounded)).ISO8601Format()
}
