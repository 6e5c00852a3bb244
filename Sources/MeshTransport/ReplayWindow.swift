// SPDX-License-Identifier: Apache-2.0

/// Remembers which of the last 1,024 counters were seen: late ones pass once, older ones never.
///
/// - SeeAlso: RFC 6479.
struct ReplayWindow: Sendable {
    static let size: UInt64 = 1_024
    private static let wordBits: UInt64 = 64

    /// 0 before the first; counters start at 1.
    private(set) var highest: UInt64
    private var words: [UInt64]

    /// - Parameter closed: what is not above it never passes.
    init(closedUpTo closed: UInt64 = 0) {
        highest = closed
        words = [UInt64](repeating: closed == 0 ? 0 : .max, count: Int(Self.size / Self.wordBits))
    }

    /// Whether `counter` is new. Nothing is remembered until ``accept(_:)``: only what was
    /// authenticated may move the window.
    func admits(_ counter: UInt64) -> Bool {
        guard counter > 0 else { return false }
        if counter > highest { return true }
        guard highest - counter < Self.size else { return false }
        return words[index(counter)] & bit(counter) == 0
    }

    mutating func accept(_ counter: UInt64) {
        if counter > highest {
            if counter - highest >= Self.size {
                words = [UInt64](repeating: 0, count: words.count)
            } else {
                for passed in (highest + 1)...counter { words[index(passed)] &= ~bit(passed) }
            }
            highest = counter
        }
        words[index(counter)] |= bit(counter)
    }

    private func index(_ counter: UInt64) -> Int {
        Int(counter / Self.wordBits % UInt64(words.count))
    }

    private func bit(_ counter: UInt64) -> UInt64 { 1 << (counter % Self.wordBits) }
}
