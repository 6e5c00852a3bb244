// SPDX-License-Identifier: Apache-2.0

/// 32 bits of a ledger key: they say in which bucket the key lies, and stand for it where its text
/// would cost too much.
///
/// ``FNV1a``, folded: whoever writes an owner's keys can make two of that owner's records collide.
public struct RecordHash: RawRepresentable, Hashable, Comparable, Sendable {
    public let rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// - Parameter key: the text of a ``RecordKey``.
    @inlinable
    public init(of key: some Sequence<UInt8>) {
        self.init(rawValue: UInt32(truncatingIfNeeded: FNV1a(key).folded))
    }

    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}
