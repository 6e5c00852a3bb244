// SPDX-License-Identifier: Apache-2.0

/// A disk that keeps transactions in their order: what a crash leaves is the result of the first N
/// written, for some N that is at least what was flushed.
public struct SimulatedDisk<Contents, Transaction> {
    /// Refuses what is written.
    public var isFull = false
    private var flushed: Contents
    private var behind: [Transaction] = []
    private let apply: (inout Contents, Transaction) -> Void

    public init(
        _ contents: Contents, applying apply: @escaping (inout Contents, Transaction) -> Void
    ) {
        flushed = contents
        self.apply = apply
    }

    /// Transactions that a crash may take.
    public var unflushedCount: Int { behind.count }

    /// - Returns: false if the disk is full: nothing was written.
    public mutating func write(_ transaction: Transaction) -> Bool {
        guard !isFull else { return false }
        behind.append(transaction)
        return true
    }

    /// Makes the oldest `count` transactions durable, or all.
    public mutating func flush(_ count: Int = .max) {
        for transaction in behind.prefix(count) { apply(&flushed, transaction) }
        behind.removeFirst(min(count, behind.count))
    }

    /// Power is cut: any number of the last transactions is gone.
    public mutating func crash(using generator: inout SeededGenerator) -> Contents {
        flush(Int.random(in: 0...behind.count, using: &generator))
        behind.removeAll()
        return flushed
    }
}
