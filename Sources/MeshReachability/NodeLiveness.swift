// SPDX-License-Identifier: Apache-2.0

public import MeshModel
import OrderedCollections

/// A node whose word changed. ``LivenessChange`` is the same for clusters.
public struct NodeChange: Hashable, Sendable {
    public let node: NodeID
    public let word: LivenessWord
    public let previous: LivenessWord
}

/// Which nodes are alive, as one node sees it.
///
/// - A node of the own cluster is live while its reports arrive, with a timeout, or until it says
///   that it shuts down.
/// - A remote node is what its cluster's relays claim. Nobody's claim kills a node whose authenticated
///   beats arrive; otherwise a majority of its cluster's reachable relays must claim it.
///
/// Unknown is not dead: a node never heard keeps weight 255. The time this process was held up itself
/// is held against nobody.
public struct NodeLiveness: Sendable {
    private let own: ClusterID
    private let parameters: ReachabilityParameters
    private var nodes: OrderedDictionary<NodeID, Node> = [:]
    private var claims = NodeClaims()
    private var punctuality: Punctuality
    public private(set) var nextWake: Instant?

    private struct Node: Sendable {
        var word: LivenessWord
        /// The last report or beat.
        var heardAt: Instant?
        var hasLeft = false
    }

    public init(own: ClusterID, parameters: ReachabilityParameters = .default) {
        self.own = own
        self.parameters = parameters
        punctuality = Punctuality(parameters)
    }

    /// Begins to judge a node; one that is known is left as it is.
    /// - Parameter word: what the kernel holds from before a restart. If it says up, the node's time
    ///   runs from now.
    public mutating func add(_ node: NodeID, restoring word: LivenessWord? = nil, at now: Instant) {
        guard nodes[node] == nil else { return }
        let start = word ?? LivenessWord(verdict: .unknown, weight: .max, generation: 0)
        nodes[node] = Node(word: start, heardAt: start.verdict == .up ? now : nil)
        plan(after: now)
    }

    public mutating func remove(_ node: NodeID) {
        nodes.removeValue(forKey: node)
        claims.forget(node)
    }

    /// A report of a node of the own cluster, or an authenticated heartbeat of a remote one.
    public mutating func hear(_ node: NodeID, at now: Instant) -> [NodeChange] {
        forgiveOversleep(at: now)
        nodes[node]?.heardAt = now
        nodes[node]?.hasLeft = false
        return evaluate(at: now)
    }

    /// A node of the own cluster says that it shuts down; its next report takes that back.
    public mutating func leave(_ node: NodeID, at now: Instant) -> [NodeChange] {
        forgiveOversleep(at: now)
        if node.cluster == own { nodes[node]?.hasLeft = true }
        return evaluate(at: now)
    }

    /// Which relays of a remote cluster can be heard at present; only their claims count.
    public mutating func setReachable(
        relays: [NodeID], of cluster: ClusterID, at now: Instant
    ) -> [NodeChange] {
        claims.setReachable(relays, of: cluster)
        return evaluate(at: now)
    }

    /// What a relay claims of its own cluster's nodes: these are dead, all others live. Claims about
    /// another cluster's nodes are ignored.
    public mutating func receive(
        dead: [NodeID], claimedBy relay: NodeID, at now: Instant
    ) -> [NodeChange] {
        claims.receive(dead: dead, from: relay)
        return evaluate(at: now)
    }

    public mutating func tick(at now: Instant) -> [NodeChange] { evaluate(at: now) }

    public func word(of node: NodeID) -> LivenessWord? { nodes[node]?.word }

    /// Nodes of the own cluster that are dead or have left, sorted: what a relay claims to others.
    public var ownDead: [NodeID] {
        nodes.elements.filter { $0.key.cluster == own && $0.value.word.verdict == .unreachable }
            .map(\.key).sorted()
    }

    // MARK: -

    private mutating func forgiveOversleep(at now: Instant) {
        guard let overslept = punctuality.wake(at: now) else { return }
        // What was said meanwhile waits in the sockets: give it the time to be read.
        let forgiven = overslept + parameters.punctualFor
        for index in nodes.values.indices {
            nodes.values[index].heardAt = nodes.values[index].heardAt.map {
                min($0 + forgiven, now)
            }
        }
        punctuality.ask(for: nil)
    }

    private mutating func evaluate(at now: Instant) -> [NodeChange] {
        forgiveOversleep(at: now)
        var changes: [NodeChange] = []
        for index in nodes.values.indices {
            let id = nodes.keys[index]
            let node = nodes.values[index]
            guard let isLive = judge(id, node, at: now) else { continue }
            let previous = node.word
            let wasDead = previous.verdict == .unreachable
            let verdict: Verdict = isLive ? .up : .unreachable
            guard previous.verdict != verdict else { continue }
            // A death and the return from one: open flows look again.
            let generation = previous.generation &+ (wasDead || !isLive ? 1 : 0)
            let word = LivenessWord(
                verdict: verdict, weight: isLive ? .max : 0, generation: generation)
            nodes.values[index].word = word
            changes.append(NodeChange(node: id, word: word, previous: previous))
        }
        plan(after: now)
        return changes
    }

    /// - Returns: nil if nothing is known that could change what is believed.
    private func judge(_ id: NodeID, _ node: Node, at now: Instant) -> Bool? {
        if node.hasLeft { return false }
        let isHeard = node.heardAt.map { now - $0 <= parameters.nodeTimeout }
        if id.cluster == own { return isHeard }
        if isHeard == true { return true }
        return claims.isLive(id)
    }

    private mutating func plan(after now: Instant) {
        nextWake = nodes.values.compactMap { node in
            node.heardAt.map { $0 + parameters.nodeTimeout + .nanoseconds(1) }
        }.filter { $0 > now }.min()
        punctuality.ask(for: nextWake)
    }
}
