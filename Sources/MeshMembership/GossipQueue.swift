// SPDX-License-Identifier: Apache-2.0

/// Members whose present statement is still to be told, those told least often first, and among
/// these the newest. One place per member: news replaces what it contradicts.
///
/// Lists through arrays, one for each number of times told; all operations are `O(1)`.
struct GossipQueue: Sendable {
    private struct Link: Sendable {
        var previous = -1
        var next = -1
        /// The list it is in, −1 for none.
        var told = -1
    }

    private var links: [Link] = []
    /// First slot of each list, −1 if empty.
    private var heads: [Int] = []
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }

    /// Takes a slot in as news, wherever it was.
    mutating func add(_ slot: Int) {
        remove(slot)
        while links.count <= slot { links.append(Link()) }
        link(slot, told: 0)
    }

    mutating func remove(_ slot: Int) {
        guard slot < links.count, links[slot].told >= 0 else { return }
        let link = links[slot]
        if link.previous >= 0 {
            links[link.previous].next = link.next
        } else {
            heads[link.told] = link.next
        }
        if link.next >= 0 { links[link.next].previous = link.previous }
        links[slot] = Link()
        count -= 1
    }

    /// Counts one telling; at `limit` the slot is out.
    mutating func tell(_ slot: Int, limit: Int) {
        guard slot < links.count, links[slot].told >= 0 else { return }
        let told = links[slot].told + 1
        remove(slot)
        if told < limit { link(slot, told: told) }
    }

    /// Calls `body` with slots in their order until it returns false.
    func visit(_ body: (Int) -> Bool) {
        for head in heads {
            var slot = head
            while slot >= 0 {
                guard body(slot) else { return }
                slot = links[slot].next
            }
        }
    }

    private mutating func link(_ slot: Int, told: Int) {
        while heads.count <= told { heads.append(-1) }
        let next = heads[told]
        links[slot] = Link(previous: -1, next: next, told: told)
        if next >= 0 { links[next].previous = slot }
        heads[told] = slot
        count += 1
    }
}
