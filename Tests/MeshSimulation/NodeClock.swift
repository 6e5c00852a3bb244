// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// A node's monotonic clock: it began at some time of its own and runs a little fast or slow.
struct NodeClock {
    /// Nanoseconds ahead of the world.
    private var offset: UInt64
    private let rate: Double

    /// - Parameter drift: largest, in parts of one.
    init(drift: Double, _ generator: inout SeededGenerator) {
        // Up to twelve days.
        offset = generator.next() >> 14
        rate = drift == 0 ? 0 : (2 * generator.unit() - 1) * drift
    }

    func reading(at time: Instant) -> Instant {
        let gained = Int64(Double(time.nanoseconds) * rate)
        return Instant(nanoseconds: time.nanoseconds + offset) + .nanoseconds(gained)
    }

    /// When it shows `reading`, not earlier.
    func time(of reading: Instant) -> Instant {
        let bare = Double(reading.nanoseconds - min(offset, reading.nanoseconds))
        var time =
            rate == 0
            ? reading - .nanoseconds(Int64(offset))
            : Instant(nanoseconds: UInt64(bare / (1 + rate)))
        while self.reading(at: time) < reading { time = time + .nanoseconds(1) }
        return time
    }

    mutating func leap(by duration: Duration) { offset += UInt64(duration.nanoseconds) }
}
