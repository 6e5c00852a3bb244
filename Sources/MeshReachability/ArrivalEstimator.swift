// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// When the next heartbeat is due: NFD-E with the sender's timestamp in the place of sequence number
/// times interval, so that a change of interval needs no new start.
///
/// Expected arrival = sent at + interval + mean of (arrival − sent at) over the window. The mean holds
/// the one-way delay and the distance of the two clocks, whatever they are.
struct ArrivalEstimator: Sendable {
    /// Delays this far from their mean are another clock or another road: start anew.
    private static let jumpNanoseconds: UInt64 = 1_000_000_000

    private var delays: Window
    private var errors: Window
    /// First delay of the window; sums are kept relative to it, so that they stay small.
    private var base: Int64 = 0
    private let trusted: Int
    private let sigmas: Double
    private let minimum: Int64
    private let maximum: Int64
    /// What is added to the expected arrival, in nanoseconds.
    private(set) var margin: Int64

    init(_ parameters: ReachabilityParameters) {
        delays = Window(capacity: parameters.arrivalWindow)
        errors = Window(capacity: parameters.arrivalWindow)
        trusted = parameters.arrivalsUntilTrusted
        sigmas = Double(parameters.marginSigmas)
        minimum = parameters.marginMinimum.nanoseconds
        maximum = parameters.marginMaximum.nanoseconds
        margin = maximum
    }

    /// - Returns: when the beat after this one is expected.
    mutating func observe(
        sentAt: Instant, arrival: Instant, expected: Instant?, interval: Int64
    ) -> Instant {
        let delay = Int64(bitPattern: arrival.nanoseconds &- sentAt.nanoseconds)
        let distance = delay &- base &- delays.mean
        if delays.count == 0 || distance.magnitude > Self.jumpNanoseconds {
            delays.removeAll()
            errors.removeAll()
            base = delay
        }
        delays.append(delay &- base)
        if let expected { noteError((arrival - expected).nanoseconds, interval: interval) }
        let offset = UInt64(bitPattern: base &+ delays.mean)
        let due = Int64(clamping: sentAt.nanoseconds &+ offset) + interval
        return Instant(nanoseconds: UInt64(max(due, 0)))
    }

    /// More than half an interval off is no jitter: the sender changes its pace, or stood still.
    private mutating func noteError(_ error: Int64, interval: Int64) {
        guard error.magnitude <= UInt64(interval / 2) else { return }
        errors.append(error / 1000)
        guard errors.count >= trusted else { return }
        let deviation = errors.meanSquare.squareRoot() * 1000
        margin = min(max(Int64(sigmas * deviation), minimum), maximum)
    }
}

/// The last `capacity` numbers with their sums, whole and so exact; operations are constant in time.
private struct Window: Sendable {
    private var values: [Int64] = []
    private var oldest = 0
    private var sum: Int64 = 0
    private var squares = 0.0
    private let capacity: Int

    init(capacity: Int) {
        self.capacity = max(capacity, 1)
        values.reserveCapacity(self.capacity)
    }

    var count: Int { values.count }
    var mean: Int64 { values.isEmpty ? 0 : sum / Int64(values.count) }
    var meanSquare: Double { values.isEmpty ? 0 : max(squares, 0) / Double(values.count) }

    mutating func append(_ value: Int64) {
        if values.count < capacity {
            values.append(value)
        } else {
            let gone = values[oldest]
            sum -= gone
            squares -= Double(gone) * Double(gone)
            values[oldest] = value
            oldest = oldest + 1 == capacity ? 0 : oldest + 1
        }
        sum += value
        squares += Double(value) * Double(value)
    }

    mutating func removeAll() {
        values.removeAll(keepingCapacity: true)
        oldest = 0
        sum = 0
        squares = 0
    }
}
