// SPDX-License-Identifier: Apache-2.0

/// An address prefix (CIDR). The length counts all 128 bits, so an IPv4 /24 has length 120.
public struct Prefix: Hashable, Comparable, Sendable {
    /// First address: the bits behind `length` are zero.
    public let address: Address
    /// 0...128; 96 more than what is written for IPv4.
    public let length: UInt8

    /// Clears the host bits of `address`.
    public init?(address: Address, length: UInt8) {
        guard length <= 128 else { return nil }
        let mask = Self.mask(length)
        self.address = Address(high: address.high & mask.high, low: address.low & mask.low)
        self.length = length
    }

    /// The prefix that holds just `address`.
    public init(_ address: Address) {
        self.address = address
        self.length = 128
    }

    public var isIPv4: Bool { address.isIPv4 && length >= 96 }

    public func contains(_ other: Address) -> Bool {
        let mask = Self.mask(length)
        return other.high & mask.high == address.high && other.low & mask.low == address.low
    }

    public func overlaps(_ other: Prefix) -> Bool {
        length <= other.length ? contains(other.address) : other.contains(address)
    }

    public static func < (left: Prefix, right: Prefix) -> Bool {
        (left.address, left.length) < (right.address, right.length)
    }

    private static func mask(_ length: UInt8) -> (high: UInt64, low: UInt64) {
        func ones(_ count: Int) -> UInt64 { count == 0 ? 0 : ~0 << UInt64(64 - count) }
        return (ones(min(Int(length), 64)), ones(max(Int(length) - 64, 0)))
    }
}

extension Prefix: LosslessStringConvertible {
    /// `10.0.0.0/24` or `fd00::/64`; a bare address is the prefix that holds just it.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard let address = Address(String(parts[0])) else { return nil }
        guard parts.count == 2 else {
            guard parts.count == 1 else { return nil }
            self.init(address)
            return
        }
        guard (1...3).contains(parts[1].utf8.count), parts[1].allSatisfy(\.isWholeNumber),
            let bits = UInt8(parts[1]), bits <= (address.isIPv4 ? 32 : 128)
        else { return nil }
        self.init(address: address, length: address.isIPv4 ? bits + 96 : bits)
    }

    public var description: String { "\(address)/\(isIPv4 ? length - 96 : length)" }
}
