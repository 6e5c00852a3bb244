// SPDX-License-Identifier: Apache-2.0

/// Whom to probe next: everybody once per traversal, in an order shuffled anew for each, so that two
/// probes of one member are never more than 2 N − 1 periods apart (SWIM §4.3).
struct Rotation: Sendable {
    private var order: [Int] = []
    private var cursor = 0
    private var isIn: [Bool] = []
    private var urgent: Int?

    /// Adds a slot at a random place of the present traversal.
    mutating func insert(_ slot: Int, _ dice: inout Dice) {
        while isIn.count <= slot { isIn.append(false) }
        guard !isIn[slot] else { return }
        isIn[slot] = true
        let place = dice.roll(below: order.count + 1)
        order.insert(slot, at: place)
        // Before the cursor: its turn in this traversal is over.
        if place < cursor { cursor += 1 }
    }

    mutating func remove(_ slot: Int) {
        guard slot < isIn.count, isIn[slot], let place = order.firstIndex(of: slot) else { return }
        isIn[slot] = false
        order.remove(at: place)
        if place < cursor { cursor -= 1 }
    }

    /// Makes a slot the next one. If its turn in this traversal is still to come, it comes twice.
    mutating func hasten(_ slot: Int) { urgent = slot }

    /// - Returns: the next slot that `isWanted`; nil if none is. The others are dropped as they
    ///   come up, and have to be inserted again.
    mutating func next(_ dice: inout Dice, where isWanted: (Int) -> Bool) -> Int? {
        if let slot = urgent.take(), isWanted(slot) { return slot }
        for _ in 0..<2 {
            while cursor < order.count {
                let slot = order[cursor]
                cursor += 1
                if isWanted(slot) { return slot }
            }
            order.removeAll { slot in
                let isOut = !isWanted(slot)
                if isOut { isIn[slot] = false }
                return isOut
            }
            order.shuffle(using: &dice)
            cursor = 0
        }
        return nil
    }
}
