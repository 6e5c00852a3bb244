// SPDX-License-Identifier: Apache-2.0

/// Files one after the other, as POSIX.1-1988 (ustar) has them.
enum Tar {
    static let blockBytes = 512
    static let nameBytesMaximum = 100
    /// Two empty blocks.
    static let end = [UInt8](repeating: 0, count: 2 * blockBytes)

    /// Header, content and padding of a file that its owner may read.
    ///
    /// - Parameters:
    ///   - name: at most 100 bytes of it.
    ///   - unixSeconds: when it was last changed.
    static func file(_ name: String, _ content: [UInt8], unixSeconds: Int64) -> [UInt8] {
        var header = [UInt8](repeating: 0, count: blockBytes)
        func put(_ text: String, at offset: Int, atMost count: Int) {
            for (index, byte) in text.utf8.prefix(count).enumerated() {
                header[offset + index] = byte
            }
        }
        func put(octal number: Int64, at offset: Int, digits: Int) {
            let text = String(max(number, 0), radix: 8)
            put(
                String(repeating: "0", count: max(digits - text.count, 0)) + text, at: offset,
                atMost: digits)
        }
        put(name, at: 0, atMost: nameBytesMaximum)
        put(octal: 0o600, at: 100, digits: 7)
        put(octal: 0, at: 108, digits: 7)
        put(octal: 0, at: 116, digits: 7)
        put(octal: Int64(content.count), at: 124, digits: 11)
        put(octal: unixSeconds, at: 136, digits: 11)
        header[156] = UInt8(ascii: "0")
        put("ustar", at: 257, atMost: 6)
        put("00", at: 263, atMost: 2)
        // The sum counts itself as spaces.
        for index in 148..<156 { header[index] = UInt8(ascii: " ") }
        let sum = header.reduce(0) { $0 + Int64($1) }
        put(octal: sum, at: 148, digits: 6)
        header[154] = 0
        let padding = (blockBytes - content.count % blockBytes) % blockBytes
        return header + content + [UInt8](repeating: 0, count: padding)
    }
}
