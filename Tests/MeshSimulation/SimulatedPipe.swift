// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// One direction of an ordered, reliable stream, as TCP makes it: what is late delays what follows,
/// and what a cut holds up arrives when it heals, unless the stream breaks before.
public struct SimulatedPipe<Message> {
    public var latency: Duration
    public var isCut = false
    private var messages: [(message: Message, sent: Instant, arrival: Instant)] = []
    private var lastArrival = Instant.zero

    public init(latency: Duration) { self.latency = latency }

    /// Messages under way.
    public var count: Int { messages.count }

    /// - Returns: when to call ``receive(at:)``.
    public mutating func send(_ message: Message, at now: Instant) -> Instant {
        lastArrival = max(lastArrival, now + latency)
        messages.append((message, now, lastArrival))
        return lastArrival
    }

    /// The next message, if it has arrived, and when it was sent.
    public mutating func receive(at now: Instant) -> (message: Message, sent: Instant)? {
        guard !isCut, let first = messages.first, first.arrival <= now else { return nil }
        messages.removeFirst()
        return (first.message, first.sent)
    }
}
