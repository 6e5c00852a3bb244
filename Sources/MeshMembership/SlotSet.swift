// SPDX-License-Identifier: Apache-2.0

/// A set of slots of the roster that gives a random one. All operations are `O(1)`.
struct SlotSet: Sendable {
    private(set) var items: [Int] = []
    /// Of a slot in `items`, −1 if it isn't there.
    private var positions: [Int] = []

    var count: Int { items.count }
    var isEmpty: Bool { items.isEmpty }

    func contains(_ slot: Int) -> Bool { slot < positions.count && positions[slot] >= 0 }

    mutating func insert(_ slot: Int) {
        while positions.count <= slot { positions.append(-1) }
        guard positions[slot] < 0 else { return }
        positions[slot] = items.count
        items.append(slot)
    }

    mutating func remove(_ slot: Int) {
        guard contains(slot) else { return }
        let position = positions[slot]
        positions[slot] = -1
        let last = items.removeLast()
        guard last != slot else { return }
        items[position] = last
        positions[last] = position
    }

    func random(_ dice: inout Dice) -> Int? {
        items.isEmpty ? nil : items[dice.roll(below: items.count)]
    }

    /// Up to `count` different slots that `isWanted`. Of many, some may be missed: it gives up after
    /// eight times as many tries.
    func random(
        _ count: Int, _ dice: inout Dice, where isWanted: (Int) -> Bool
    ) -> [Int] {
        guard count > 0, !items.isEmpty else { return [] }
        if items.count <= 16 {
            return Array(items.filter(isWanted).shuffled(using: &dice).prefix(count))
        }
        var chosen: [Int] = []
        for _ in 0..<8 * count where chosen.count < count {
            let slot = items[dice.roll(below: items.count)]
            if !chosen.contains(slot), isWanted(slot) { chosen.append(slot) }
        }
        return chosen
    }
}
