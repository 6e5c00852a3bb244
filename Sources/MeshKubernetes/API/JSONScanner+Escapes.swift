// SPDX-License-Identifier: Apache-2.0

extension JSONScanner {
    /// What a string's content says; half a surrogate pair is a fault.
    static func unescaped(
        _ content: ArraySlice<UInt8>, at offset: Int
    ) throws(JSONFault) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(content.count)
        var rest = content
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\") else {
                result.append(byte)
                continue
            }
            guard let escape = rest.popFirst() else { throw fault(at: offset) }
            switch escape {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): result.append(escape)
            case UInt8(ascii: "b"): result.append(0x08)
            case UInt8(ascii: "f"): result.append(0x0c)
            case UInt8(ascii: "n"): result.append(0x0a)
            case UInt8(ascii: "r"): result.append(0x0d)
            case UInt8(ascii: "t"): result.append(0x09)
            case UInt8(ascii: "u"):
                var value = try unit(&rest, at: offset)
                if value >= 0xd800, value < 0xdc00 {
                    guard rest.popFirst() == UInt8(ascii: "\\"),
                        rest.popFirst() == UInt8(ascii: "u")
                    else { throw fault(at: offset) }
                    let low = try unit(&rest, at: offset)
                    guard low >= 0xdc00, low < 0xe000 else { throw fault(at: offset) }
                    value = 0x10000 + (value - 0xd800) << 10 + (low - 0xdc00)
                }
                guard let scalar = Unicode.Scalar(value) else { throw fault(at: offset) }
                result.append(contentsOf: String(Character(scalar)).utf8)
            default: throw fault(at: offset)
            }
        }
        return result
    }

    private static func unit(
        _ rest: inout ArraySlice<UInt8>, at offset: Int
    ) throws(JSONFault) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = rest.popFirst(),
                let digit = Character(Unicode.Scalar(byte)).hexDigitValue
            else { throw fault(at: offset) }
            value = value << 4 | UInt32(digit)
        }
        return value
    }

    private static func fault(at offset: Int) -> JSONFault {
        JSONFault(code: .malformed, offset: offset)
    }
}
