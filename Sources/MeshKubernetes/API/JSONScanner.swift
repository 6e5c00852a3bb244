// SPDX-License-Identifier: Apache-2.0

/// Why bytes are no JSON, or none that is accepted here: nothing of them is used.
public struct JSONFault: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable {
        case malformed
        /// More than ``JSONScanner/maximumDepth`` arrays and objects inside one another.
        case tooDeep
    }

    public let code: Code
    /// Offset of the byte that doesn't fit.
    public let offset: Int

    public var description: String { "JSON \(code.rawValue) at byte \(offset)" }
}

/// Reads RFC 8259 from front to back, without a tree: an API server's objects pass through as the
/// bytes they are.
struct JSONScanner {
    static let maximumDepth = 128

    let bytes: [UInt8]
    private(set) var index: Int
    private var depth = 0

    init(_ bytes: [UInt8], from index: Int = 0) {
        self.bytes = bytes
        self.index = index
    }

    /// The next byte that is no white space, not taken; nil at the end.
    mutating func peek() -> UInt8? {
        while index < bytes.count {
            let byte = bytes[index]
            guard byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 else { return byte }
            index += 1
        }
        return nil
    }

    /// - Throws: ``JSONFault`` unless nothing but white space is left.
    mutating func end() throws(JSONFault) {
        guard peek() == nil else { throw fault() }
    }

    func fault(_ code: JSONFault.Code = .malformed) -> JSONFault {
        JSONFault(code: code, offset: index)
    }

    // MARK: Values

    /// - Parameter body: gets each key, and has to take its value.
    mutating func members(
        _ body: (String, inout JSONScanner) throws(JSONFault) -> Void
    ) throws(JSONFault) {
        try take(UInt8(ascii: "{"))
        try nest()
        if peek() != UInt8(ascii: "}") {
            repeat {
                _ = peek()
                let key = try string()
                try take(UInt8(ascii: ":"))
                try body(key, &self)
            } while try isFollowed(before: UInt8(ascii: "}"))
        }
        try take(UInt8(ascii: "}"))
        depth -= 1
    }

    /// - Parameter body: has to take one element.
    mutating func elements(
        _ body: (inout JSONScanner) throws(JSONFault) -> Void
    ) throws(JSONFault) {
        try take(UInt8(ascii: "["))
        try nest()
        if peek() != UInt8(ascii: "]") {
            repeat { try body(&self) } while try isFollowed(before: UInt8(ascii: "]"))
        }
        try take(UInt8(ascii: "]"))
        depth -= 1
    }

    /// - Returns: where the value that was passed over stands.
    @discardableResult
    mutating func skip() throws(JSONFault) -> Range<Int> {
        guard let first = peek() else { throw fault() }
        let start = index
        switch first {
        case UInt8(ascii: "{"):
            try members { (_, scanner) throws(JSONFault) in try scanner.skip() }
        case UInt8(ascii: "["):
            try elements { (scanner) throws(JSONFault) in try scanner.skip() }
        case UInt8(ascii: "\""): try skipString()
        case UInt8(ascii: "t"): try word("true")
        case UInt8(ascii: "f"): try word("false")
        case UInt8(ascii: "n"): try word("null")
        default: try number()
        }
        return start..<index
    }

    /// Nil for `null`; any other value that is no string is a fault.
    mutating func stringOrNull() throws(JSONFault) -> String? {
        if peek() == UInt8(ascii: "n") {
            try word("null")
            return nil
        }
        return try string()
    }

    mutating func string() throws(JSONFault) -> String {
        _ = peek()
        let start = index
        let hasEscapes = try skipString()
        let content = bytes[start + 1..<index - 1]
        let decoded = hasEscapes ? try Self.unescaped(content, at: start) : Array(content)
        guard let text = String(validating: decoded, as: UTF8.self) else {
            throw JSONFault(code: .malformed, offset: start)
        }
        return text
    }

    /// As written.
    @discardableResult
    mutating func number() throws(JSONFault) -> String {
        _ = peek()
        let start = index
        if current == UInt8(ascii: "-") { index += 1 }
        if current == UInt8(ascii: "0") { index += 1 } else { try digits() }
        if current == UInt8(ascii: ".") {
            index += 1
            try digits()
        }
        if current == UInt8(ascii: "e") || current == UInt8(ascii: "E") {
            index += 1
            if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { index += 1 }
            try digits()
        }
        return String(decoding: bytes[start..<index], as: UTF8.self)
    }

    mutating func word(_ word: StaticString) throws(JSONFault) {
        for offset in 0..<word.utf8CodeUnitCount {
            guard current == word.utf8Start[offset] else { throw fault() }
            index += 1
        }
    }

    // MARK: Parts

    private var current: UInt8? { index < bytes.count ? bytes[index] : nil }

    private mutating func take(_ byte: UInt8) throws(JSONFault) {
        guard peek() == byte else { throw fault() }
        index += 1
    }

    private mutating func nest() throws(JSONFault) {
        depth += 1
        guard depth <= Self.maximumDepth else { throw fault(.tooDeep) }
    }

    private mutating func isFollowed(before closing: UInt8) throws(JSONFault) -> Bool {
        switch peek() {
        case UInt8(ascii: ","):
            index += 1
            return true
        case closing: return false
        default: throw fault()
        }
    }

    private mutating func digits() throws(JSONFault) {
        let start = index
        while let byte = current, byte >= 0x30, byte <= 0x39 { index += 1 }
        guard index > start else { throw fault() }
    }

    /// - Returns: whether it has escapes.
    @discardableResult
    private mutating func skipString() throws(JSONFault) -> Bool {
        guard current == UInt8(ascii: "\"") else { throw fault() }
        index += 1
        var hasEscapes = false
        while let byte = current {
            index += 1
            switch byte {
            case UInt8(ascii: "\""): return hasEscapes
            case UInt8(ascii: "\\"):
                guard index < bytes.count else { throw fault() }
                hasEscapes = true
                index += 1
            case 0..<0x20: throw fault()
            default: break
            }
        }
        throw fault()
    }
}
