// SPDX-License-Identifier: Apache-2.0

import Crypto
import FoundationEssentials

/// A record as one line of JSON. The SHA-256 of the previous line, in hexadecimal and without its
/// newline, stands first, so that the chain can be followed without reading JSON.
enum AuditLine {
    static let bytesMaximum = 8192
    /// What the first line of a log has for the previous one.
    static let origin = String(repeating: "0", count: 64)
    private static let head = Array(#"{"previous":""#.utf8)

    static func hash(_ line: some Sequence<UInt8>) -> String {
        hexadecimal(SHA256.hash(data: Array(line)))
    }

    /// Without the newline.
    static func encode(_ record: AuditRecord, previous: String) throws(AuditFault) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.dateEncodingStrategy = .iso8601
        let body: Data
        do { body = try encoder.encode(record) } catch { throw .unrecordable }
        let line = head + Array(previous.utf8) + Array("\",".utf8) + body.dropFirst()
        guard line.count <= bytesMaximum else { throw .unrecordable }
        return line
    }

    /// The hash that a line gives for its predecessor; nil if it is no line of a log.
    static func previous(of line: ArraySlice<UInt8>) -> String? {
        guard line.count <= bytesMaximum, line.starts(with: head) else { return nil }
        let hash = line.dropFirst(head.count).prefix(64)
        guard hash.count == 64, line.dropFirst(head.count + 64).first == UInt8(ascii: "\"")
        else { return nil }
        return String(decoding: hash, as: UTF8.self)
    }

    static func record(of line: ArraySlice<UInt8>) -> AuditRecord? {
        guard line.count <= bytesMaximum else { return nil }
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        return try? decoder.decode(AuditRecord.self, from: Data(line))
    }
}
