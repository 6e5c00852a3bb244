// SPDX-License-Identifier: Apache-2.0

/// Builds one netlink message: header, fixed part, attributes. Numbers in host byte order unless a
/// caller swaps them; everything is padded to 4 bytes.
struct MessageWriter {
    static let headerLength = 16

    private(set) var bytes: [UInt8] = []

    /// - Parameter flags: added to `NLM_F_REQUEST`.
    init(type: UInt16, flags: UInt16 = 0) {
        append(UInt32(0))
        append(type)
        append(flags | NetlinkFlag.request)
        append(UInt32(0))
        append(UInt32(0))
    }

    mutating func append(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
    }

    mutating func append(raw: some Collection<UInt8>) {
        bytes.append(contentsOf: raw)
        bytes.append(contentsOf: repeatElement(0, count: -bytes.count & 3))
    }

    mutating func attribute(_ type: UInt16, raw: some Collection<UInt8>) {
        append(UInt16(4 + raw.count))
        append(type)
        append(raw: raw)
    }

    mutating func attribute(_ type: UInt16, _ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value) { attribute(type, raw: Array($0)) }
    }

    /// Zero-terminated, as the kernel wants names.
    mutating func attribute(_ type: UInt16, _ text: String) {
        attribute(type, raw: Array(text.utf8) + [0])
    }

    /// An attribute that holds what `body` appends.
    mutating func nest(_ type: UInt16, _ body: (inout MessageWriter) -> Void) {
        let start = bytes.count
        append(UInt16(0))
        append(type)
        body(&self)
        let length = UInt16(bytes.count - start)
        withUnsafeBytes(of: length) { bytes.replaceSubrange(start..<start + 2, with: $0) }
    }

    mutating func addFlags(_ flags: UInt16) {
        let all = (bytes[...].number(UInt16.self, at: 6) ?? 0) | flags
        withUnsafeBytes(of: all) { bytes.replaceSubrange(6..<8, with: $0) }
    }

    /// The message with its length and sequence number written in.
    func finished(sequence: UInt32) -> [UInt8] {
        var message = bytes
        withUnsafeBytes(of: UInt32(bytes.count)) { message.replaceSubrange(0..<4, with: $0) }
        withUnsafeBytes(of: sequence) { message.replaceSubrange(8..<12, with: $0) }
        return message
    }
}
