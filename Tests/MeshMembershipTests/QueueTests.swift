// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshSimulation
import Testing

@testable import MeshMembership

@Suite("What the core keeps its members in")
struct QueueTests {
    static func order(_ queue: GossipQueue) -> [Int] {
        var slots: [Int] = []
        queue.visit {
            slots.append($0)
            return true
        }
        return slots
    }

    @Test("what was told least often comes first, of these the newest, and news begins anew")
    func order() {
        var queue = GossipQueue()
        for slot in [3, 1, 4] { queue.add(slot) }
        #expect(Self.order(queue) == [4, 1, 3])
        queue.tell(4, limit: 3)
        queue.tell(1, limit: 3)
        #expect(Self.order(queue) == [3, 1, 4])
        queue.add(4)
        #expect(Self.order(queue) == [4, 3, 1])
        queue.tell(1, limit: 3)
        queue.tell(1, limit: 3)
        #expect(Self.order(queue) == [4, 3])
        queue.remove(3)
        queue.remove(3)
        #expect(Self.order(queue) == [4])
        #expect(queue.count == 1)
    }

    @Test("it holds what a plain list would, whatever is done to it")
    func model() {
        var generator = SeededGenerator(seed: 4)
        var queue = GossipQueue()
        var told: [Int: Int] = [:]
        for _ in 0..<5000 {
            let slot = Int(generator.next() % 12)
            switch generator.next() % 4 {
            case 0:
                queue.add(slot)
                told[slot] = 0
            case 1:
                queue.remove(slot)
                told[slot] = nil
            default:
                queue.tell(slot, limit: 5)
                told[slot] = told[slot].flatMap { $0 + 1 < 5 ? $0 + 1 : nil }
            }
            let order = Self.order(queue)
            #expect(Set(order) == Set(told.keys) && order.count == queue.count)
            #expect(order.map { told[$0]! } == told.values.sorted())
        }
    }

    @Test("a set of slots gives each of them, and different ones")
    func slots() {
        var dice = Dice(seed: 1)
        var set = SlotSet()
        for slot in 0..<40 { set.insert(slot) }
        for slot in stride(from: 0, to: 40, by: 3) { set.remove(slot) }
        let wanted = Set((0..<40).filter { $0 % 3 != 0 })
        #expect(Set(set.items) == wanted)
        var seen: Set<Int> = []
        for _ in 0..<500 {
            let three = set.random(3, &dice) { $0 != 1 }
            #expect(Set(three).count == 3)
            seen.formUnion(three)
        }
        #expect(seen == wanted.subtracting([1]))
    }
}
