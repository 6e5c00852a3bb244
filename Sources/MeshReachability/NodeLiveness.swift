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
/// - A node of the own cluster is what the members of the cluster hold it for, see ``believe(_:_:at:)``. One
///   whose kernel still answers isn't dead: its agent is restarting or stalled, and its workloads
///   are served.
/// - A remote node is what its cluster's relays claim. Nobody's claim kills a node whose authenticated
///   beats arrive; otherwise a majority of its cluster's reachable relays must claim it.
///
/// One that says that it leaves takes no new flow while it lives, and its silence after its farewell
/// ends no open one.
///
/// Unknown is not dead: a node never heard keeps weight 255. The time this process was held up itself
/// is held against nobody.
public struct NodeLiveness: Sendable {
    private let own: ClusterID
    private let parameters: ReachabilityParameters
    private var nodes: OrderedDictionary<NodeID, Node> = [:]
    private var claims = NodeClaims()
    private var punctuality: Punctuality
    /// When all were judged last: deadlines until then are met.
    private var judgedAt = Instant.zero
    /// How often a node was judged; what this costs.
    private(set) var judgements = 0
    public private(set) var nextWake: Instant?

    /// What the members of the own cluster hold one of them for.
    public enum Belief: Hashable, Sendable {
        case live
        /// Accused; it still counts as live.
        case suspect
        case dead
        /// It says itself that it goes.
        case left
    }

    private struct Node: Sendable {
        var word: LivenessWord
        /// Of a remote node: the last beat.
        var heardAt: Instant?
        /// Of an own node; nil is unknown, which is not dead.
        var belief: Belief?
        /// Since when it is believed to live again.
        var returnedAt: Instant?
        /// When its kernel last answered in place of its agent.
        var answeredAt: Instant?
        /// Connections to it get no answer.
        var isContradicted = false
        /// When its kernel is asked next, while there is doubt.
        var nextProbe: Instant?
        /// By its own record.
        var isDraining = false

        var takesNothingNew: Bool { isDraining || belief == .left }

        var isDoubted: Bool {
            belief == .suspect || belief == .dead && word.verdict != .unreachable
        }

        /// When time alone may change its word; a remote node has no belief.
        func deadline(_ parameters: ReachabilityParameters) -> Instant? {
            let isOut = word.verdict == .unreachable
            return switch belief {
            case .live where isOut: returnedAt.map { $0 + parameters.nodeHold }
            case .dead where !isOut:
                answeredAt.map { $0 + parameters.answerPatience + .nanoseconds(1) }
            default: heardAt.map { $0 + parameters.nodeTimeout + .nanoseconds(1) }
            }
        }
    }

    public init(own: ClusterID, parameters: ReachabilityParameters = .default) {
        self.own = own
        self.parameters = parameters
        punctuality = Punctuality(parameters)
    }

    /// Begins to judge a node; one that is known is left as it is.
    /// - Parameter word: what the kernel holds from before a restart. If it says that a remote node is
    ///   up, that one's time runs from now.
    public mutating func add(_ node: NodeID, restoring word: LivenessWord? = nil, at now: Instant) {
        guard nodes[node] == nil else { return }
        let start = word ?? LivenessWord(verdict: .unknown, weight: .max, generation: 0)
        nodes[node] = Node(
            word: start,
            heardAt: node.cluster != own && [.up, .draining].contains(start.verdict) ? now : nil)
        plan()
    }

    public mutating func remove(_ node: NodeID) {
        nodes.removeValue(forKey: node)
        claims.forget(node)
    }

    /// An authenticated heartbeat of a remote node.
    ///
    /// - Complexity: `O(1)`, unless ``nextWake`` has come.
    public mutating func hear(_ node: NodeID, at now: Instant) -> [NodeChange] {
        forgiveOversleep(at: now)
        guard node.cluster != own, let index = nodes.index(forKey: node) else { return [] }
        nodes.values[index].heardAt = now
        if let nextWake, nextWake <= now { return evaluate(at: now) }
        let change = evaluate(index, at: now)
        // Its deadline before is left: too early a wake does no harm.
        if let deadline = nodes.values[index].deadline(parameters) {
            nextWake = min(nextWake ?? deadline, deadline)
        }
        punctuality.ask(for: nextWake)
        return change.map { [$0] } ?? []
    }

    /// What the members of the own cluster hold one of them for now.
    public mutating func believe(
        _ node: NodeID, _ belief: Belief, at now: Instant
    ) -> [NodeChange] {
        forgiveOversleep(at: now)
        if node.cluster == own {
            if belief == .live, nodes[node]?.belief == .dead { nodes[node]?.returnedAt = now }
            nodes[node]?.belief = belief
            let isDoubted = nodes[node]?.isDoubted == true
            nodes[node]?.nextProbe = isDoubted ? now : nil
        }
        return evaluate(at: now)
    }

    /// The kernel of a node of the own cluster answered for its agent, which lately was there.
    public mutating func answered(_ node: NodeID, at now: Instant) -> [NodeChange] {
        forgiveOversleep(at: now)
        if node.cluster == own { nodes[node]?.answeredAt = now }
        return evaluate(at: now)
    }

    /// Connections to a node's backends get no answer, or do again: as long as they don't, what its
    /// kernel answers counts for nothing.
    public mutating func contradict(
        _ node: NodeID, _ isContradicted: Bool, at now: Instant
    ) -> [NodeChange] {
        forgiveOversleep(at: now)
        nodes[node]?.isContradicted = isContradicted
        return evaluate(at: now)
    }

    /// Who says in its record that it leaves, its cluster's own word; all others don't.
    public mutating func setDraining(
        _ draining: some Sequence<NodeID>, at now: Instant
    ) -> [NodeChange] {
        forgiveOversleep(at: now)
        let draining = Set(draining)
        for index in nodes.values.indices {
            nodes.values[index].isDraining = draining.contains(nodes.keys[index])
        }
        return evaluate(at: now)
    }

    /// Nodes whose kernels are to be asked now: ask again when ``nextWake`` has come.
    public mutating func takeProbes(at now: Instant) -> [NodeID] {
        guard let wake = nextWake, wake <= now else { return [] }
        var due: [NodeID] = []
        for index in nodes.values.indices
        where nodes.values[index].nextProbe.map({ $0 <= now }) == true {
            let isDoubted = nodes.values[index].isDoubted
            nodes.values[index].nextProbe = isDoubted ? now + parameters.answerInterval : nil
            if isDoubted { due.append(nodes.keys[index]) }
        }
        plan()
        return due
    }

    /// Which relays of a remote cluster can be heard at present; only their claims count.
    public mutating func setReachable(
        relays: [NodeID], of cluster: ClusterID, at now: Instant
    ) -> [NodeChange] {
        claims.setReachable(relays, of: cluster) ? evaluate(at: now) : []
    }

    /// What a relay claims of its own cluster's nodes: these are dead, all others live. Claims about
    /// another cluster's nodes are ignored.
    public mutating func receive(
        dead: [NodeID], claimedBy relay: NodeID, at now: Instant
    ) -> [NodeChange] {
        claims.receive(dead: dead, from: relay)
        return evaluate(at: now)
    }

    /// Nothing unless ``nextWake`` has come.
    public mutating func tick(at now: Instant) -> [NodeChange] {
        guard let nextWake, nextWake <= now else { return [] }
        return evaluate(at: now)
    }

    public func word(of node: NodeID) -> LivenessWord? { nodes[node]?.word }

    /// Nodes of the own cluster that are dead, sorted: what a relay claims to others.
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
            nodes.values[index].answeredAt = nodes.values[index].answeredAt.map {
                min($0 + forgiven, now)
            }
        }
        punctuality.ask(for: nil)
    }

    private mutating func evaluate(at now: Instant) -> [NodeChange] {
        forgiveOversleep(at: now)
        judgedAt = now
        let changes = nodes.values.indices.compactMap { evaluate($0, at: now) }
        plan()
        return changes
    }

    private mutating func evaluate(_ index: Int, at now: Instant) -> NodeChange? {
        judgements += 1
        let id = nodes.keys[index]
        let node = nodes.values[index]
        let previous = node.word
        guard let verdict = verdict(on: id, node, at: now), previous.verdict != verdict else {
            return nil
        }
        // A death and the return from one: open flows look again.
        let isDeath = verdict == .unreachable || previous.verdict == .unreachable
        let word = LivenessWord(
            verdict: verdict, weight: verdict == .up ? .max : 0,
            generation: previous.generation &+ (isDeath ? 1 : 0))
        nodes.values[index].word = word
        return NodeChange(node: id, word: word, previous: previous)
    }

    /// - Returns: nil if it stays as it is.
    private func verdict(on id: NodeID, _ node: Node, at now: Instant) -> Verdict? {
        switch judge(id, node, at: now) {
        case false?: return .unreachable
        case true?: return node.takesNothingNew ? .draining : .up
        case nil:
            // Whether it lives is as it was; it may have changed its mind.
            if node.word.verdict == .unreachable { return nil }
            if node.takesNothingNew { return .draining }
            return node.word.verdict == .draining ? .up : nil
        }
    }

    /// - Returns: nil if nothing is known that could change what is believed.
    private func judge(_ id: NodeID, _ node: Node, at now: Instant) -> Bool? {
        guard id.cluster != own else {
            switch node.belief {
            case nil, .suspect, .left: return nil
            case .live:
                guard node.word.verdict == .unreachable, let back = node.returnedAt else {
                    return true
                }
                return now - back >= parameters.nodeHold ? true : nil
            case .dead:
                let answers = node.answeredAt.map { now - $0 <= parameters.answerPatience }
                return answers == true && !node.isContradicted ? nil : false
            }
        }
        let isHeard = node.heardAt.map { now - $0 <= parameters.nodeTimeout }
        return isHeard == true ? true : claims.isLive(id)
    }

    private mutating func plan() {
        var next: Instant?
        func consider(_ wake: Instant) { next = next.map { min($0, wake) } ?? wake }
        for node in nodes.values {
            if let deadline = node.deadline(parameters), deadline > judgedAt { consider(deadline) }
            if let probe = node.nextProbe { consider(probe) }
        }
        nextWake = next
        punctuality.ask(for: nextWake)
    }
}
