// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Takes secrets out of text that others wrote: logs above all. What the agent answers has none; it is
/// scrubbed all the same.
enum Redaction {
    static let mark = "REDACTED"

    private static let keyBegin = Array("-----BEGIN".utf8)
    private static let keyEnd = Array("-----END".utf8)
    private static let privateKey = Array("PRIVATE KEY-----".utf8)
    /// Tokens for joining: `weft1-` and base 32.
    private static let token = Array("weft1-".utf8)
    /// Names whose value is nobody's business, in small letters; what stands behind another comes first.
    private static let names = ["bearer", "authorization", "password", "passwd", "secret"].map {
        Array($0.utf8)
    }

    static func scrub(_ bytes: [UInt8]) -> [UInt8] {
        var lines: [[UInt8]] = []
        var isInKey = false
        for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            let isKey = line.holds(privateKey)
            if isKey, line.holds(keyEnd), !isInKey, !line.holds(keyBegin) {
                // The beginning was cut off.
                while let last = lines.last, isBase64(last) { lines.removeLast() }
                lines.append(Array(mark.utf8))
            } else if isKey, line.holds(keyEnd) {
                if !isInKey { lines.append(Array(mark.utf8)) }
                isInKey = false
            } else if isKey, line.holds(keyBegin) {
                isInKey = true
                lines.append(Array(mark.utf8))
            } else if !isInKey {
                lines.append(scrub(line: Array(line)))
            }
        }
        return Array(lines.joined(separator: [UInt8(ascii: "\n")]))
    }

    private static func isBase64(_ line: [UInt8]) -> Bool {
        line.count >= 16 && line.allSatisfy { isWord($0) || "+/=".utf8.contains($0) }
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: false
        }
    }

    private static func scrub(line: [UInt8]) -> [UInt8] {
        var line = line
        if line.holds(token) {
            line = replace(token, in: line) { rest in rest.prefix(while: isWord).count }
        }
        let small = line.map { $0 >= 65 && $0 <= 90 ? $0 + 32 : $0 }
        for name in names where small.holds(name) { line = blank(name, in: line) }
        return line
    }

    /// Replaces what follows each `needle`, as many bytes as `count` says.
    private static func replace(
        _ needle: [UInt8], in line: [UInt8], _ count: (ArraySlice<UInt8>) -> Int
    ) -> [UInt8] {
        var result: [UInt8] = []
        var rest = line[...]
        while let start = rest.position(of: needle) {
            let end = start + needle.count
            result += rest[rest.startIndex..<end]
            rest = rest[end...]
            let secret = count(rest)
            guard secret > 0 else { continue }
            result += Array(mark.utf8)
            rest = rest.dropFirst(secret)
        }
        return result + rest
    }

    /// Takes the value of `name` out: what stands behind `=`, `:` or a space, up to the end of the
    /// word, or of the string that it is.
    private static func blank(_ name: [UInt8], in line: [UInt8]) -> [UInt8] {
        let small = line.map { $0 >= 65 && $0 <= 90 ? $0 + 32 : $0 }
        var result: [UInt8] = []
        var at = 0
        while let start = small[at...].position(of: name) {
            var end = start + name.count
            let separators = Array("\"' :=\\".utf8)
            let before = end
            while end < line.count, separators.contains(line[end]) { end += 1 }
            result += line[at..<end]
            at = end
            guard end > before else { continue }
            let stops = Array("\"' ,;}\\".utf8)
            while at < line.count, !stops.contains(line[at]) { at += 1 }
            if at > end { result += Array(mark.utf8) }
        }
        return result + line[at...]
    }
}

extension Collection<UInt8> where Index == Int {
    /// Where `needle`, which isn't empty, first stands.
    fileprivate func position(of needle: [UInt8]) -> Int? {
        let found = withContiguousStorageIfAvailable { bytes -> Int? in
            guard let base = bytes.baseAddress else { return nil }
            var at = 0
            while at + needle.count <= bytes.count,
                let next = memchr(base + at, Int32(needle[0]), bytes.count - at)
            {
                at = UnsafeRawPointer(next) - UnsafeRawPointer(base)
                guard at + needle.count <= bytes.count else { return nil }
                if memcmp(base + at, needle, needle.count) == 0 { return at }
                at += 1
            }
            return nil
        }
        return (found ?? nil).map { startIndex + $0 }
    }

    fileprivate func holds(_ needle: [UInt8]) -> Bool { position(of: needle) != nil }
}
