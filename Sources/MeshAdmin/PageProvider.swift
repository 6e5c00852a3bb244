// SPDX-License-Identifier: Apache-2.0

/// What the page needs besides what the command line reads.
public protocol PageProvider: Sendable {
    /// What became of flows of this node since its start, busiest pair first; nil where flow events
    /// are off.
    func traffic() async throws -> [TrafficCount]?

    /// What happened after `position`; nil: what is still known. Returns at once, also with nothing.
    func news(after position: PageNews.Position?) async throws -> PageNews
}

/// Flows that this node saw from one cluster to another, since the agent's start.
public struct TrafficCount: Codable, Hashable, Sendable {
    /// Nil: outside every cluster.
    public var from: ClusterReference?
    public var to: ClusterReference?
    public var opened: UInt64
    public var closed: UInt64
    /// Both directions of the closed ones.
    public var packets: UInt64
    public var bytes: UInt64
    /// Denied, dropped and reset.
    public var refused: UInt64

    public init(
        from: ClusterReference?, to: ClusterReference?, opened: UInt64, closed: UInt64,
        packets: UInt64, bytes: UInt64, refused: UInt64
    ) {
        self.from = from
        self.to = to
        self.opened = opened
        self.closed = closed
        self.packets = packets
        self.bytes = bytes
        self.refused = refused
    }
}

/// What happened between two looks: an event of `GET /v1/page/news`.
public struct PageNews: Codable, Hashable, Sendable {
    /// Of each kind; older ones are left out and counted.
    public static let maximum = 64

    /// How many of each kind there have been since the agent's start.
    public struct Position: Codable, Hashable, Sendable {
        public var beliefs: UInt64
        public var refusals: UInt64

        public init(beliefs: UInt64, refusals: UInt64) {
            self.beliefs = beliefs
            self.refusals = refusals
        }
    }

    /// Where to go on.
    public var position: Position
    /// Changes of what is believed of clusters and nodes, oldest first.
    public var beliefs: [HealthStory.Event]
    public var beliefsLost: UInt64
    /// Flows that were denied, dropped or reset, oldest first.
    public var refusals: [Flow]
    public var refusalsLost: UInt64

    public init(
        position: Position, beliefs: [HealthStory.Event], beliefsLost: UInt64, refusals: [Flow],
        refusalsLost: UInt64
    ) {
        self.position = position
        self.beliefs = beliefs
        self.beliefsLost = beliefsLost
        self.refusals = refusals
        self.refusalsLost = refusalsLost
    }

    var isEmpty: Bool {
        beliefs.isEmpty && refusals.isEmpty && beliefsLost == 0 && refusalsLost == 0
    }
}
