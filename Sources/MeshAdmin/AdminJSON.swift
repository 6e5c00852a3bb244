// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

/// JSON with sorted keys, so that two answers compare as text.
public func adminJSON(_ value: some Encodable, pretty: Bool = false) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    if pretty { encoder.outputFormatting.insert(.prettyPrinted) }
    return Array(try encoder.encode(value))
}

/// Cuts a stream of bytes at its newlines, whatever chunks it arrives in.
struct LineSplitter {
    private var rest: [UInt8] = []

    /// Lines that are complete now, without their newlines; empty ones are left out.
    mutating func split(_ bytes: some Sequence<UInt8>) -> [[UInt8]] {
        rest.append(contentsOf: bytes)
        guard let end = rest.lastIndex(of: UInt8(ascii: "\n")) else { return [] }
        defer { rest.removeSubrange(...end) }
        return rest[..<end].split(separator: UInt8(ascii: "\n")).map(Array.init)
    }
}
