// SPDX-License-Identifier: Apache-2.0

/// A line of `GET /v1/flows`: `type` says which it is.
public enum FlowLine: Hashable, Sendable {
    case flow(Flow)
    case node(FlowNodeNotice)
    case lost(FlowLoss)
}

/// A node whose flows were asked for can't be asked, or can again: a line of `type` `node`.
public struct FlowNodeNotice: Codable, Hashable, Sendable {
    public enum State: String, Codable, Sendable {
        case unreachable, reachable
    }

    /// `CLUSTER/NODE`.
    public var node: String
    public var state: State
    /// Why not.
    public var reason: String?

    public init(node: String, state: State, reason: String? = nil) {
        self.node = node
        self.state = state
        self.reason = reason
    }
}

/// Flows that this reader should have got and didn't: a line of `type` `lost`.
public struct FlowLoss: Codable, Hashable, Sendable {
    public enum Stage: String, Codable, Sendable, CaseIterable {
        /// The ring buffer was full, or a reason had used up its share.
        case kernel
        /// They left the node's history before a reader of this node took them.
        case reader
        /// They left the node's history before another node asked for them.
        case network
    }

    /// `CLUSTER/NODE`, where they were lost.
    public var node: String
    public var stage: Stage
    /// Of any kind: whether the filter would have let them pass isn't known.
    public var records: UInt64

    public init(node: String, stage: Stage, records: UInt64) {
        self.node = node
        self.stage = stage
        self.records = records
    }
}

/// What somebody wants to see of flows.
public struct FlowQuestion: Hashable, Sendable {
    /// Flows that happened already.
    public static let lastMaximum = 4096

    public var filter: FlowFilter
    /// So many of those that happened already, the newest; of each node that is asked.
    public var last: Int
    /// Goes on with what happens from now on.
    public var follow: Bool
    /// Asks every node of the cluster, not this one alone.
    public var allNodes: Bool

    public init(
        _ filter: FlowFilter = FlowFilter(), last: Int = lastMaximum, follow: Bool = false,
        allNodes: Bool = false
    ) {
        self.filter = filter
        self.last = last
        self.follow = follow
        self.allNodes = allNodes
    }
}

extension FlowLine: Codable {
    private enum Key: String, CodingKey { case type }

    public init(from decoder: any Decoder) throws {
        switch try decoder.container(keyedBy: Key.self).decode(String.self, forKey: .type) {
        case "node": self = .node(try FlowNodeNotice(from: decoder))
        case "lost": self = .lost(try FlowLoss(from: decoder))
        default: self = .flow(try Flow(from: decoder))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        switch self {
        case .flow(let flow): try flow.encode(to: encoder)
        case .node(let notice):
            try notice.encode(to: encoder)
            try container.encode("node", forKey: .type)
        case .lost(let loss):
            try loss.encode(to: encoder)
            try container.encode("lost", forKey: .type)
        }
    }
}
