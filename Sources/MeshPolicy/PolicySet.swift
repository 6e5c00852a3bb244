// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// What decides for an endpoint; endpoints with equal sets share their compiled policy.
public struct PolicySet: Hashable, Sendable {
    /// Sections of the book that select the endpoint, ascending.
    let sections: [Int32]
    /// Of the endpoint, if ingress rules ask for any by name; else none.
    let namedPorts: [NamedPort]

    /// Whether no policy selects the endpoint, so that everything is allowed.
    public var isEmpty: Bool { sections.isEmpty }
}

/// Which of a book's matchers mean a peer; found once for all compiled policies.
public struct PeerMatches: Hashable, Sendable {
    /// Ascending.
    let certain: [Int32]
    let possible: [Int32]
    /// Nil if they aren't known.
    let namedPorts: [NamedPort]?
    let isHost: Bool
}

/// What the datapath knows a peer by: its identity, and the class of its address if there are any.
public struct PeerKey: Hashable, Comparable, Sendable {
    public let identity: Identity
    /// One of the book's ``PolicyBook/classes``, nil for addresses in none.
    public let prefix: Prefix?

    public init(identity: Identity, prefix: Prefix?) {
        self.identity = identity
        self.prefix = prefix
    }

    /// As lists are looked up: the datapath doesn't ask for an address of the endpoint's own node, who
    /// always reaches it.
    func listed(_ direction: PolicyDirection) -> PeerKey {
        direction == .ingress && identity.reserved == .host
            ? PeerKey(identity: identity, prefix: nil) : self
    }

    public static func < (left: Self, right: Self) -> Bool {
        guard left.identity == right.identity else { return left.identity < right.identity }
        guard let first = left.prefix, let second = right.prefix else {
            return left.prefix == nil && right.prefix != nil
        }
        return first < second
    }
}

extension PolicyBook {
    /// - Complexity: an index look-up for each of the endpoint's labels.
    public func set(for subject: Principal) -> PolicySet {
        let selecting = subjectIndex.selecting(subject).sorted()
        let asksForNames = namingSections.contains { selecting.contains($0) }
        return PolicySet(
            sections: selecting, namedPorts: asksForNames ? subject.namedPorts : [])
    }

    /// Policies that select an endpoint, in the order in which they decide.
    public func policies(selecting subject: Principal) -> [PolicyName] {
        Set(subjectIndex.selecting(subject).map { sections[Int($0)].policy }).sorted()
            .map { policies[$0].name }
    }

    /// - Parameter prefix: the class of the peer's address.
    /// - Complexity: an index look-up for each of the peer's labels and each length of prefix.
    public func matches(of peer: PolicyPeer, in prefix: Prefix?) -> PeerMatches {
        if peer == .unknown { return matches(of: peer, in: prefix, among: matchers.indices) }
        var candidates = entities
        if let prefix { candidates += networkIndex.candidates(at: prefix) }
        switch peer {
        case .endpoint(let principal): candidates += selectorIndex.selecting(principal)
        case .initializing: return matches(of: peer, in: prefix, among: matchers.indices)
        case .host, .remoteNode, .health, .world, .unknown: break
        }
        return matches(of: peer, in: prefix, among: candidates.map(Int.init))
    }

    private func matches(
        of peer: PolicyPeer, in prefix: Prefix?, among candidates: some Sequence<Int>
    ) -> PeerMatches {
        var certain: [Int32] = []
        var possible: [Int32] = []
        for number in candidates {
            switch matchers[number].match(peer, at: prefix, in: environment) {
            case .yes: certain.append(Int32(number))
            case .maybe: possible.append(Int32(number))
            case .no: break
            }
        }
        return PeerMatches(
            certain: certain.sorted(), possible: possible.sorted(),
            namedPorts: peer.namedPorts, isHost: peer == .host)
    }
}
