// SPDX-License-Identifier: Apache-2.0

/// Lifeguard's local health multiplier: how much this member doubts itself.
struct Awareness: Sendable {
    private let maximum: Int
    private var score = 0

    init(maximum: Int) { self.maximum = maximum }

    /// 1...maximum, on its own interval and timeout.
    var factor: Int { score + 1 }

    mutating func add(_ delta: Int) { score = min(max(score + delta, 0), maximum - 1) }
}

/// The last round trips, for a timeout that fits the network.
struct RoundTrips: Sendable {
    private static let window = 32
    private var last: [Duration] = []
    private var next = 0

    mutating func add(_ roundTrip: Duration) {
        if last.count < Self.window {
            last.append(roundTrip)
        } else {
            last[next] = roundTrip
            next = (next + 1) % Self.window
        }
        slowest = last.max() ?? .zero
    }

    private(set) var slowest = Duration.zero
}
