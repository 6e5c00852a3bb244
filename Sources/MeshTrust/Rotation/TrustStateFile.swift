// SPDX-License-Identifier: Apache-2.0

import Crypto
import FoundationEssentials
import Glibc

/// Keeps a rotation, a bundle book or a deny book: mode 0600 in a directory of mode 0700, replaced in
/// one step, on disk before ``save(_:named:in:)`` returns.
///
/// The first line holds a SHA-256 of the rest: a damaged file is never half believed.
public enum TrustStateFile {
    public static let bytesMaximum = 64 * 1024 * 1024
    private static let preamble = "weft trust state 1 "

    /// - Throws: ``TrustError``: the previous file is as it was.
    public static func save(
        _ value: some Encodable, named name: String, in directory: String
    ) throws(TrustError) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let json: Data
        do { json = try encoder.encode(value) } catch {
            throw .unusableFile(
                path: "\(directory)/\(name)", reason: "its content can't be written")
        }
        let text = preamble + hexadecimal(SHA256.hash(data: json)) + "\n"
        try SecretFile.write(
            text + String(decoding: json, as: UTF8.self), named: name, in: directory,
            existing: .replace)
    }

    /// - Returns: nil when there is no such file.
    /// - Throws: ``TrustError/unusableFile(path:reason:)`` for a damaged file. Going on as if there
    ///   were none would forget denials and sequences: ask the operator.
    public static func load<Value: Decodable>(
        _: Value.Type = Value.self, named name: String, in directory: String
    ) throws(TrustError) -> Value? {
        let path = "\(directory)/\(name)"
        guard let bytes = try ClosedFile.read(path, bytesMaximum: bytesMaximum) else { return nil }
        guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")),
            let line = String(validating: bytes[..<end], as: UTF8.self),
            line == preamble + hexadecimal(SHA256.hash(data: bytes[(end + 1)...]))
        else {
            throw .unusableFile(path: path, reason: "it is damaged; restore it from a backup")
        }
        do {
            return try JSONDecoder().decode(Value.self, from: Data(bytes[(end + 1)...]))
        } catch {
            throw .unusableFile(
                path: path, reason: "its content doesn't fit: \(String("\(error)".prefix(300)))")
        }
    }
}
