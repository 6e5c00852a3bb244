// SPDX-License-Identifier: Apache-2.0

/// FNV-1a over 64 bits: the same in every process and on every machine, unlike `Hasher`. Placement in
/// ledgers, names of interfaces and relays' ranks rest on its values, which must never change.
///
/// It spreads, it protects nothing: whoever chooses the input can make two collide.
///
/// - SeeAlso: RFC 9923.
@frozen
public struct FNV1a: Hashable, Sendable {
    public var value: UInt64 = 0xcbf2_9ce4_8422_2325

    @inlinable
    public init() {}

    @inlinable
    public init(_ bytes: some Sequence<UInt8>) {
        for byte in bytes { combine(byte) }
    }

    @inlinable
    public mutating func combine(_ byte: UInt8) {
        value = (value ^ UInt64(byte)) &* 0x0000_0100_0000_01b3
    }

    /// The high half folded into the low one, where the bits are better mixed.
    @inlinable
    public var folded: UInt64 { value ^ value >> 32 }
}
