// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// Events in the order of their time; those of one time in the order they were added.
///
/// - Complexity: `O(log n)` to add and to take.
public struct EventQueue<Event> {
    private struct Entry {
        let time: Instant
        let order: UInt64
        let event: Event

        func precedes(_ other: Entry) -> Bool {
            (time.nanoseconds, order) < (other.time.nanoseconds, other.order)
        }
    }

    private var heap: [Entry] = []
    private var added: UInt64 = 0

    public init() {}

    public var isEmpty: Bool { heap.isEmpty }
    public var nextTime: Instant? { heap.first?.time }

    public mutating func add(_ event: Event, at time: Instant) {
        added += 1
        heap.append(Entry(time: time, order: added, event: event))
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].precedes(heap[parent]) else { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    public mutating func take() -> (time: Instant, event: Event)? {
        guard let first = heap.first, let last = heap.popLast() else { return nil }
        if !heap.isEmpty {
            heap[0] = last
            sink()
        }
        return (first.time, first.event)
    }

    private mutating func sink() {
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < heap.count && heap[child].precedes(heap[least]) {
                least = child
            }
            guard least != parent else { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
