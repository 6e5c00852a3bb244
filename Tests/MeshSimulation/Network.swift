// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// How one direction of a connection behaves.
public struct Link: Hashable, Sendable {
    public var latency: Duration
    /// Added evenly in zero..<`jitter`, so that datagrams may overtake each other.
    public var jitter: Duration
    /// Of each datagram by itself, 0...1.
    public var loss: Double
    /// Nothing passes.
    public var isCut = false

    public init(latency: Duration, jitter: Duration = .zero, loss: Double = 0) {
        self.latency = latency
        self.jitter = jitter
        self.loss = loss
    }
}

/// Links between nodes, each direction by itself. What is under way when a link is cut still arrives.
public struct Network<Node: Hashable> {
    private struct Direction: Hashable {
        let from: Node
        let to: Node
    }

    /// Never iterated: its order differs in every process.
    private var links: [Direction: Link] = [:]
    private let usual: (Node, Node) -> Link

    /// - Parameter usual: the link from the first node to the second, unless another is set.
    public init(usual: @escaping (Node, Node) -> Link) { self.usual = usual }

    public subscript(from: Node, to: Node) -> Link {
        get { links[Direction(from: from, to: to)] ?? usual(from, to) }
        set { links[Direction(from: from, to: to)] = newValue }
    }

    /// Cuts or heals one direction.
    public mutating func cut(from: [Node], to: [Node], isCut: Bool = true) {
        for first in from {
            for second in to { self[first, second].isCut = isCut }
        }
    }

    /// Cuts or heals both directions.
    public mutating func partition(_ left: [Node], _ right: [Node], isCut: Bool = true) {
        cut(from: left, to: right, isCut: isCut)
        cut(from: right, to: left, isCut: isCut)
    }

    /// - Returns: when a datagram sent at `now` arrives, nil if it doesn't.
    public func arrival(
        from: Node, to: Node, at now: Instant, _ generator: inout SeededGenerator
    ) -> Instant? {
        let link = self[from, to]
        guard !link.isCut, !generator.chance(link.loss) else { return nil }
        return now + link.latency + generator.duration(below: link.jitter)
    }
}
