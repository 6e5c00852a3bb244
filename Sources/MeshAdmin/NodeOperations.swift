// SPDX-License-Identifier: Apache-2.0

/// `POST /v1/node/departure`: the agent's node leaves its cluster in order, or stays after all.
public struct DepartureRequest: Codable, Hashable, Sendable {
    /// How long it waits at most for what is open, up to a day; nil takes it back.
    public var timeoutSeconds: Double?

    public init(timeoutSeconds: Double?) {
        self.timeoutSeconds = timeoutSeconds
    }
}

/// How far the agent's node is: `GET /v1/node/departure`.
public struct DepartureStatus: Codable, Hashable, Sendable {
    public enum Phase: String, Codable, Sendable {
        /// It takes flows.
        case serving
        /// No new flows, open ones finish.
        case draining
        /// It may be stopped: nobody misses it.
        case left
    }

    public var phase: Phase
    /// What it waits for, in sentences; once it has left, what was left open.
    public var open: [String]
    /// Until it goes whatever is open; nil unless it drains.
    public var remainingSeconds: Double?

    public init(phase: Phase, open: [String], remainingSeconds: Double? = nil) {
        self.phase = phase
        self.open = open
        self.remainingSeconds = remainingSeconds
    }
}

/// A key that the agent's node gossips with inside its cluster: `GET /v1/node/gossip-keys`.
public struct GossipKeyStatus: Codable, Hashable, Sendable {
    /// The public half's first eight bytes in hexadecimal.
    public var key: String
    public var ageSeconds: Double
    /// Whether it is the newest one, which takes the others' place.
    public var isNewest: Bool
    /// Nodes that sealed their last datagram to it.
    public var users: Int
    /// Nodes that were heard at all.
    public var nodes: Int

    public init(key: String, ageSeconds: Double, isNewest: Bool, users: Int, nodes: Int) {
        self.key = key
        self.ageSeconds = ageSeconds
        self.isNewest = isNewest
        self.users = users
        self.nodes = nodes
    }
}
