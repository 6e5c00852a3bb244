// SPDX-License-Identifier: Apache-2.0

/// A set of the numbers below a bound, a bit each, that finds numbers it lacks 64 at a time.
struct NumberSet: Sendable {
    private var words: [UInt64]

    /// - Parameter bound: first number that can't be in the set.
    init(bound: Int) { words = Array(repeating: 0, count: (bound + 63) / 64) }

    func contains(_ number: Int) -> Bool { words[number / 64] & Self.bit(number) != 0 }
    mutating func insert(_ number: Int) { words[number / 64] |= Self.bit(number) }
    mutating func remove(_ number: Int) { words[number / 64] &= ~Self.bit(number) }

    /// The lowest number of `range` that isn't in the set.
    func firstMissing(in range: Range<Int>) -> Int? {
        for (word, mask) in Self.masks(of: range) {
            let missing = ~words[word] & mask
            if missing != 0 { return word * 64 + missing.trailingZeroBitCount }
        }
        return nil
    }

    /// How many numbers of `range` aren't in the set.
    func missingCount(in range: Range<Int>) -> Int {
        Self.masks(of: range).reduce(0) { $0 + (~words[$1.word] & $1.mask).nonzeroBitCount }
    }

    private static func bit(_ number: Int) -> UInt64 { 1 << UInt64(number % 64) }

    /// The words that hold `range`, and which of their bits.
    private static func masks(
        of range: Range<Int>
    ) -> some Sequence<(word: Int, mask: UInt64)> {
        let words = range.isEmpty ? 0..<0 : range.lowerBound / 64..<(range.upperBound + 63) / 64
        return words.lazy.map { word in
            var mask = UInt64.max
            if word * 64 < range.lowerBound { mask &= .max << UInt64(range.lowerBound % 64) }
            if range.upperBound < word * 64 + 64 {
                mask &= ~(.max << UInt64(range.upperBound % 64))
            }
            return (word, mask)
        }
    }
}
