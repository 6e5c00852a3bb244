// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MeshDatapath

@Suite("ranges of a slab")
struct RangeAllocatorTests {
    @Test("the first range that is long enough is taken")
    func firstFit() {
        var allocator = RangeAllocator(1..<100)
        var taken = [10, 5].map { allocator.allocate($0) }
        allocator.release(1..<11)
        taken += [11, 4].map { allocator.allocate($0) }
        #expect(taken == [1..<11, 11..<16, 16..<27, 1..<5])
        #expect(allocator.usedCount == 20)
    }

    @Test(
        "neighbours join, whatever the order they come back in",
        arguments: [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]])
    func coalescing(order: [Int]) {
        var allocator = RangeAllocator(0..<30)
        let ranges = (0..<3).map { _ in allocator.allocate(10)! }
        let fourth = allocator.allocate(1)
        #expect(fourth == nil)
        for index in order { allocator.release(ranges[index]) }
        #expect(allocator == RangeAllocator(0..<30))
    }

    @Test("what is in use already can be reserved once")
    func reserving() {
        var allocator = RangeAllocator(0..<30)
        let wanted = [10..<20, 19..<21, 5..<11, 28..<31, 20..<30, 0..<10]
        let isReserved = wanted.map { allocator.reserve($0) }
        #expect(isReserved == [true, false, false, false, true, true])
        #expect(allocator.freeCount == 0)
        #expect(allocator.free.isEmpty)
    }

    @Test("nothing asked for is nothing taken")
    func empty() {
        var allocator = RangeAllocator(0..<0)
        let taken = [0, 1].map { allocator.allocate($0) }
        #expect(taken == [0..<0, nil])
        allocator.release(0..<0)
        #expect(allocator.free.isEmpty)
    }

    @Test("a long random life loses and duplicates nothing", arguments: [1, 2, 3] as [UInt64])
    func randomLife(seed: UInt64) {
        var state = seed
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        var allocator = RangeAllocator(0..<500)
        var held: [Range<Int>] = []
        for _ in 0..<5_000 {
            if random(2) == 0, let range = allocator.allocate(1 + random(20)) {
                held.append(range)
            } else if !held.isEmpty {
                allocator.release(held.remove(at: random(held.count)))
            }
            #expect(allocator.usedCount == held.reduce(0) { $0 + $1.count })
        }
        let taken = held.flatMap(Array.init)
        #expect(Set(taken).count == taken.count)
        for range in held { allocator.release(range) }
        #expect(allocator == RangeAllocator(0..<500))
    }
}
