// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// A discrete-event world: virtual time, one queue, one seed. The same seed gives the same run.
///
/// The owner pulls events with ``next(until:)``, lets its cores handle them, and schedules what they
/// ask for. A paused node gets nothing until it resumes, then everything at once and late, as a
/// process does that the scheduler left out. A dead one gets nothing any more.
public struct Simulation<Node: Hashable, Event> {
    private struct Delivery {
        let node: Node
        let life: Int
        let event: Event
    }

    public private(set) var now: Instant
    public var network: Network<Node>
    public var generator: SeededGenerator
    private var queue = EventQueue<Delivery>()
    private var pausedUntil: [Node: Instant] = [:]
    private var lives: [Node: Int] = [:]
    private var dead: Set<Node> = []

    public init(seed: UInt64, start: Instant, network: Network<Node>) {
        now = start
        self.network = network
        generator = SeededGenerator(seed: seed)
    }

    // MARK: Events

    /// Schedules an event of a node itself, as a timer, for its present life.
    public mutating func schedule(_ event: Event, for node: Node, at time: Instant) {
        queue.add(Delivery(node: node, life: lives[node, default: 0], event: event), at: time)
    }

    /// Sends over the network; the event arrives, or doesn't, as the link has it.
    public mutating func send(_ event: Event, from: Node, to: Node) {
        guard let arrival = network.arrival(from: from, to: to, at: now, &generator) else { return }
        schedule(event, for: to, at: arrival)
    }

    /// Moves time on to the next event before `end`, or to `end` if there is none.
    public mutating func next(until end: Instant) -> (node: Node, event: Event)? {
        while let time = queue.nextTime, time < end, let (_, delivery) = queue.take() {
            now = max(now, time)
            guard !dead.contains(delivery.node), delivery.life == lives[delivery.node, default: 0]
            else { continue }
            if let resume = pausedUntil[delivery.node], resume > now {
                queue.add(delivery, at: resume)
                continue
            }
            return (delivery.node, delivery.event)
        }
        now = max(now, end)
        return nil
    }

    // MARK: Faults

    /// Holds up everything a node does for `duration` from now.
    public mutating func pause(_ node: Node, for duration: Duration) {
        pausedUntil[node] = now + duration
    }

    public mutating func kill(_ node: Node) {
        dead.insert(node)
        lives[node, default: 0] += 1
    }

    /// Begins another life; the owner gives it a new core and first timers.
    public mutating func revive(_ node: Node) { dead.remove(node) }
}
