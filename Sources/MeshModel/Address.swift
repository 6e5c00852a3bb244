// SPDX-License-Identifier: Apache-2.0

/// An IPv4 or IPv6 address as the datapath keeps it: 16 bytes, IPv4 as `::ffff:a.b.c.d`.
///
/// `high` and `low` hold the 16 bytes as two numbers: the first byte on the wire is the most
/// significant byte of `high`. Comparison is the order of the bytes on the wire.
public struct Address: Hashable, Comparable, Sendable {
    public var high: UInt64
    public var low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// The IPv4-mapped address of four bytes in host byte order: `0x0a00_0001` is 10.0.0.1.
    public init(ipv4 value: UInt32) {
        self.init(high: 0, low: 0xffff_0000_0000 | UInt64(value))
    }

    /// - Parameter bytes: 4 or 16 bytes in network byte order.
    public init?(bytes: some Collection<UInt8>) {
        switch bytes.count {
        case 4:
            self.init(ipv4: bytes.reduce(0) { $0 << 8 | UInt32($1) })
        case 16:
            self.init(
                high: bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) },
                low: bytes.suffix(8).reduce(0) { $0 << 8 | UInt64($1) })
        default:
            return nil
        }
    }

    public static let unspecified = Address(high: 0, low: 0)

    public var isIPv4: Bool { high == 0 && low >> 32 == 0xffff }

    public var family: IPFamily { isIPv4 ? .ipv4 : .ipv6 }

    /// The four bytes of an IPv4 address in host byte order, nil for IPv6.
    public var ipv4: UInt32? { isIPv4 ? UInt32(truncatingIfNeeded: low) : nil }

    /// 16 bytes in network byte order.
    public var bytes: [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: high >> (56 - 8 * UInt64($0))) }
            + (0..<8).map { UInt8(truncatingIfNeeded: low >> (56 - 8 * UInt64($0))) }
    }

    public static func < (left: Address, right: Address) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }

    /// The address `offset` further on, wrapping at the end of the 128 bits.
    public func advanced(by offset: UInt64) -> Address {
        let (low, overflow) = low.addingReportingOverflow(offset)
        return Address(high: overflow ? high &+ 1 : high, low: low)
    }
}

extension Address: LosslessStringConvertible {
    /// Parses dotted IPv4 (no leading zeros) or RFC 4291 IPv6, without zone and without brackets.
    public init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count <= 45 else { return nil }
        if bytes.contains(UInt8(ascii: ":")) {
            guard let words = Self.parseIPv6(bytes) else { return nil }
            self.init(
                high: words[0..<4].reduce(0) { $0 << 16 | UInt64($1) },
                low: words[4..<8].reduce(0) { $0 << 16 | UInt64($1) })
        } else {
            guard let value = Self.parseIPv4(bytes[...]) else { return nil }
            self.init(ipv4: value)
        }
    }

    /// Dotted IPv4, or IPv6 in the canonical form of RFC 5952.
    public var description: String {
        if let value = ipv4 {
            return (0..<4).map { String(value >> (24 - 8 * UInt32($0)) & 0xff) }
                .joined(separator: ".")
        }
        let words = [high, low].flatMap { half in
            (0..<4).map { half >> (48 - 16 * UInt64($0)) & 0xffff }
        }
        let zeros = Self.longestZeroRun(words)
        func join(_ part: ArraySlice<UInt64>) -> String {
            part.map { String($0, radix: 16) }.joined(separator: ":")
        }
        guard zeros.count > 1 else { return join(words[...]) }
        return join(words[..<zeros.lowerBound]) + "::" + join(words[zeros.upperBound...])
    }

    private static func longestZeroRun(_ words: [UInt64]) -> Range<Int> {
        var best = 0..<0
        var start = 0
        for index in 0...words.count where index == words.count || words[index] != 0 {
            if index - start > best.count { best = start..<index }
            start = index + 1
        }
        return best
    }

    private static func parseIPv4(_ bytes: ArraySlice<UInt8>) -> UInt32? {
        let parts = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var value: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.count),
                part.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
                part.count == 1 || part.first != UInt8(ascii: "0")
            else { return nil }
            let number = part.reduce(UInt32(0)) { $0 * 10 + UInt32($1 - UInt8(ascii: "0")) }
            guard number <= 255 else { return nil }
            value = value << 8 | number
        }
        return value
    }

    private static func parseIPv6(_ bytes: [UInt8]) -> [UInt16]? {
        let text = String(decoding: bytes, as: UTF8.self)
        let halves = splitAtDoubleColon(text)
        guard halves.count <= 2, let head = parseGroups(halves[0], last: halves.count == 1)
        else { return nil }
        if halves.count == 1 { return head.count == 8 ? head : nil }
        guard let tail = parseGroups(halves[1], last: true), head.count + tail.count <= 7
        else { return nil }
        return head + Array(repeating: 0, count: 8 - head.count - tail.count) + tail
    }

    private static func splitAtDoubleColon(_ text: String) -> [Substring] {
        let bytes = text.utf8
        var index = bytes.startIndex
        while index != bytes.endIndex {
            let next = bytes.index(after: index)
            if bytes[index] == UInt8(ascii: ":"), next != bytes.endIndex,
                bytes[next] == UInt8(ascii: ":")
            {
                return [text[..<index], text[bytes.index(after: next)...]]
            }
            index = next
        }
        return [text[...]]
    }

    private static func parseGroups(_ text: Substring, last: Bool) -> [UInt16]? {
        guard !text.isEmpty else { return [] }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        var words: [UInt16] = []
        for (index, part) in parts.enumerated() {
            if last, index == parts.count - 1, part.contains(".") {
                guard let value = parseIPv4(Array(part.utf8)[...]) else { return nil }
                words += [UInt16(value >> 16), UInt16(truncatingIfNeeded: value)]
            } else {
                guard (1...4).contains(part.utf8.count), part.allSatisfy(\.isHexDigit),
                    let word = UInt16(part, radix: 16)
                else { return nil }
                words.append(word)
            }
        }
        return words.count <= 8 ? words : nil
    }
}

/// Written as Kubernetes writes it: `IPv4`, `IPv6`.
public enum IPFamily: UInt8, Hashable, Sendable, CaseIterable, CustomStringConvertible {
    case ipv4 = 4
    case ipv6 = 6

    public init?(_ text: String) {
        guard let family = Self.allCases.first(where: { $0.description == text })
        else { return nil }
        self = family
    }

    public var description: String { self == .ipv4 ? "IPv4" : "IPv6" }
}
