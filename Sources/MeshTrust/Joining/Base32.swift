// SPDX-License-Identifier: Apache-2.0

/// Crockford's base 32: no letter that looks like another, either case, one double-click selects it.
enum Base32 {
    private static let alphabet = Array("0123456789abcdefghjkmnpqrstvwxyz".utf8)

    static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        var bits = 0
        var count = 0
        for byte in bytes {
            bits = bits << 8 | Int(byte)
            count += 8
            while count >= 5 {
                count -= 5
                text.append(alphabet[bits >> count & 31])
            }
            bits &= 1 << count - 1
        }
        if count > 0 { text.append(alphabet[bits << (5 - count) & 31]) }
        return String(decoding: text, as: UTF8.self)
    }

    /// Nil for a foreign character, a length that no bytes have, and bits behind the last byte.
    static func decode(_ text: some StringProtocol) -> [UInt8]? {
        var bytes: [UInt8] = []
        var bits = 0
        var count = 0
        for character in text.utf8 {
            guard let digit = value(of: character) else { return nil }
            bits = bits << 5 | digit
            count += 5
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(bits >> count & 255))
                bits &= 1 << count - 1
            }
        }
        return count < 5 && bits == 0 ? bytes : nil
    }

    private static func value(of character: UInt8) -> Int? {
        let isUpper = (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(character)
        switch isUpper ? character | 0x20 : character {
        case UInt8(ascii: "o"): return 0
        case UInt8(ascii: "i"), UInt8(ascii: "l"): return 1
        case let letter: return alphabet.firstIndex(of: letter)
        }
    }
}
