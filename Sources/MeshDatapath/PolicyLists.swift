// SPDX-License-Identifier: Apache-2.0

internal import CMeshABI

/// The lists of intervals in `weft_policy_intervals`: equal ones are kept once, and immutable.
///
/// A list is named by the index of its first word. Its memory is free again when its last use was
/// released, which must happen only when no program can read it any more.
struct PolicyLists: Sendable {
    private struct List: Sendable {
        let words: [UInt64]
        var uses: Int
        var range: Range<Int>
    }

    private let slab: any Slab<UInt64>
    private var lists: [UInt32: List] = [:]
    private var byContent: [[UInt64]: UInt32] = [:]
    private var free: RangeAllocator

    init(_ slab: any Slab<UInt64>) {
        self.slab = slab
        // Index 0 means no list.
        free = RangeAllocator(min(1, slab.count)..<slab.count)
    }

    var usedCount: Int { free.usedCount }
    var name: String { slab.name }
    var count: Int { slab.count }

    /// A list with these words, header included; each call is a use.
    ///
    /// - Returns: nil when there is no room.
    mutating func use(_ words: [UInt64]) -> UInt32? {
        if let first = byContent[words] {
            lists[first]!.uses += 1
            return first
        }
        guard let range = free.allocate(words.count) else { return nil }
        slab.store(words, at: range.lowerBound)
        insert(List(words: words, uses: 1, range: range))
        return UInt32(range.lowerBound)
    }

    /// Another use of a list that pinned maps lead to.
    ///
    /// - Returns: false when there is no sound list.
    mutating func adopt(_ first: UInt32) -> Bool {
        guard lists[first] == nil else {
            lists[first]!.uses += 1
            return true
        }
        let start = Int(first)
        guard start > 0, start < slab.count else { return false }
        let count = slab.load(start..<start + 1)[0]
        guard (1...UInt64(PolicyInterval.maximumPerList)).contains(count),
            start + 1 + Int(count) <= slab.count
        else { return false }
        let range = start..<start + 1 + Int(count)
        let words = slab.load(range)
        guard PolicyLists.isSound(words), free.reserve(range) else { return false }
        insert(List(words: words, uses: 1, range: range))
        return true
    }

    mutating func release(_ first: UInt32) {
        guard var list = lists[first] else { return }
        list.uses -= 1
        guard list.uses == 0 else {
            lists[first] = list
            return
        }
        lists[first] = nil
        if byContent[list.words] == first { byContent[list.words] = nil }
        free.release(list.range)
    }

    private mutating func insert(_ list: List) {
        let first = UInt32(list.range.lowerBound)
        lists[first] = list
        if byContent[list.words] == nil { byContent[list.words] = first }
    }
}

extension PolicyLists {
    /// A list's words, its header included.
    ///
    /// - Throws: `.invalid` naming what the datapath couldn't search.
    static func words(
        _ intervals: [PolicyInterval], _ subject: @autoclosure () -> String
    ) throws(DatapathError) -> [UInt64] {
        guard intervals.count <= PolicyInterval.maximumPerList else {
            throw .invalid(
                "\(subject()): \(intervals.count) intervals, \(PolicyInterval.maximumPerList) are "
                    + "possible")
        }
        var words: [UInt64] = []
        words.reserveCapacity(1 + intervals.count)
        words.append(UInt64(intervals.count))
        for interval in intervals {
            guard interval.start < UInt32(WEFT_POLICY_TRAFFIC_END) else {
                throw .invalid("\(subject()): no traffic has the number \(interval.start)")
            }
            words.append(interval.word)
        }
        guard isSound(words) else {
            throw .invalid("\(subject()): the intervals don't begin at 0 or aren't in order")
        }
        return words
    }

    /// Whether the intervals begin at 0 and are in order.
    private static func isSound(_ words: [UInt64]) -> Bool {
        guard words.count > 1, words[1] & 0xff_ffff == 0 else { return false }
        for index in 2..<max(words.count, 2)
        where words[index] & 0xff_ffff <= words[index - 1] & 0xff_ffff {
            return false
        }
        return true
    }
}

extension PolicyInterval {
    /// As the kernel has it.
    fileprivate var word: UInt64 {
        UInt64(UInt32(bitPattern: rule)) << 32 | UInt64(verdict.rawValue) << 24 | UInt64(start)
    }
}
