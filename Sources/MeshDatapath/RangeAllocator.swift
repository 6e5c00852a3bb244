// SPDX-License-Identifier: Apache-2.0

/// Hands out ranges of a slab's indexes: first fit, free neighbours joined.
struct RangeAllocator: Equatable, Sendable {
    /// Sorted, disjoint, not adjacent, not empty.
    private(set) var free: [Range<Int>]
    private(set) var freeCount: Int
    let bounds: Range<Int>

    init(_ bounds: Range<Int>) {
        self.bounds = bounds
        free = bounds.isEmpty ? [] : [bounds]
        freeCount = bounds.count
    }

    var usedCount: Int { bounds.count - freeCount }

    /// The lowest range of `count` indexes, nil when none is left.
    ///
    /// - Complexity: linear in the number of free ranges.
    mutating func allocate(_ count: Int) -> Range<Int>? {
        guard count > 0 else { return bounds.lowerBound..<bounds.lowerBound }
        guard let index = free.firstIndex(where: { $0.count >= count }) else { return nil }
        let found = free[index]
        let taken = found.lowerBound..<found.lowerBound + count
        if found.count == count {
            free.remove(at: index)
        } else {
            free[index] = taken.upperBound..<found.upperBound
        }
        freeCount -= count
        return taken
    }

    /// Gives back what ``allocate(_:)`` or ``reserve(_:)`` took.
    mutating func release(_ range: Range<Int>) {
        guard !range.isEmpty else { return }
        let index = position(of: range.lowerBound)
        var joined = range
        var replaced = index..<index
        if index > 0, free[index - 1].upperBound == range.lowerBound {
            joined = free[index - 1].lowerBound..<joined.upperBound
            replaced = index - 1..<replaced.upperBound
        }
        if index < free.count, free[index].lowerBound == range.upperBound {
            joined = joined.lowerBound..<free[index].upperBound
            replaced = replaced.lowerBound..<index + 1
        }
        free.replaceSubrange(replaced, with: [joined])
        freeCount += range.count
    }

    /// Takes a range that is in use already, when state is rebuilt.
    ///
    /// - Returns: false when part of it is taken or out of bounds; nothing changed.
    mutating func reserve(_ range: Range<Int>) -> Bool {
        guard !range.isEmpty else { return true }
        let index = position(of: range.lowerBound + 1) - 1
        guard index >= 0, free[index].lowerBound <= range.lowerBound,
            range.upperBound <= free[index].upperBound
        else { return false }
        let whole = free[index]
        let rest = [
            whole.lowerBound..<range.lowerBound, range.upperBound..<whole.upperBound,
        ].filter { !$0.isEmpty }
        free.replaceSubrange(index...index, with: rest)
        freeCount -= range.count
        return true
    }

    /// How many free ranges start below `index`.
    private func position(of index: Int) -> Int {
        var low = 0
        var high = free.count
        while low < high {
            let middle = (low + high) / 2
            if free[middle].lowerBound < index { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
