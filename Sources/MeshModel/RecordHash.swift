// SPDX-License-Identifier: Apache-2.0

/// 32 bits of a ledger key: they say in which bucket the key lies, and stand for it where its text
/// would cost too much.
///
/// FNV-1a, folded. It spreads keys, it protects nothing: whoever writes an owner's keys can make two
/// of that owner's records collide.
public struct RecordHash: RawRepresentable, Hashable, Comparable, Sendable {
    public let rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// - Parameter key: the text of a ``RecordKey``.
    @inlinable
    public init(of key: some Sequence<UInt8>) {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in key { hash = (hash ^ UInt64(byte)) &* 0x0100_0000_01b3 }
        self.init(rawValue: UInt32(truncatingIfNeeded: hash ^ hash >> 32))
    }

    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}
