// SPDX-License-Identifier: Apache-2.0

import Glibc

/// An IPv4 or IPv6 address, as netlink carries it.
public struct NetworkAddress: Hashable, Sendable {
    /// 4 or 16 bytes in network byte order.
    public let bytes: [UInt8]

    /// - Returns: nil unless there are 4 or 16 bytes.
    public init?(bytes: some Sequence<UInt8>) {
        let bytes = Array(bytes)
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        self.bytes = bytes
    }

    public static let anyIPv4 = NetworkAddress(unchecked: Array(repeating: 0, count: 4))
    public static let anyIPv6 = NetworkAddress(unchecked: Array(repeating: 0, count: 16))

    public var isIPv4: Bool { bytes.count == 4 }

    /// 32 or 128: the prefix length that means this address alone.
    public var bitWidth: UInt8 { UInt8(bytes.count * 8) }

    var family: UInt8 { UInt8(isIPv4 ? AF_INET : AF_INET6) }

    private init(unchecked bytes: [UInt8]) { self.bytes = bytes }
}

extension NetworkAddress: LosslessStringConvertible {
    /// Parses what `inet_pton(3)` does.
    public init?(_ text: String) {
        let family = text.utf8.contains(UInt8(ascii: ":")) ? AF_INET6 : AF_INET
        var bytes = [UInt8](repeating: 0, count: family == AF_INET ? 4 : 16)
        guard inet_pton(family, text, &bytes) == 1 else { return nil }
        self.bytes = bytes
    }

    public var description: String {
        let words = stride(from: 0, to: bytes.count, by: 2).map {
            String(UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]), radix: 16)
        }
        return isIPv4
            ? bytes.map { String($0) }.joined(separator: ".") : words.joined(separator: ":")
    }
}

/// A 6-byte Ethernet address.
public struct HardwareAddress: Hashable, Sendable {
    public let bytes: [UInt8]

    /// - Returns: nil unless there are 6 bytes.
    public init?(bytes: some Sequence<UInt8>) {
        let bytes = Array(bytes)
        guard bytes.count == 6 else { return nil }
        self.bytes = bytes
    }

    /// A unicast address that its user made up (the locally-administered bit is set).
    public static func random(using generator: inout some RandomNumberGenerator) -> Self {
        var bytes = (0..<6).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
        bytes[0] = bytes[0] & 0xfe | 0x02
        return Self(unchecked: bytes)
    }

    private init(unchecked bytes: [UInt8]) { self.bytes = bytes }
}

extension HardwareAddress: LosslessStringConvertible {
    /// Parses `02:00:00:00:00:01`.
    public init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        let bytes = parts.compactMap { $0.utf8.count == 2 ? UInt8($0, radix: 16) : nil }
        guard parts.count == bytes.count else { return nil }
        self.init(bytes: bytes)
    }

    public var description: String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
    }
}
