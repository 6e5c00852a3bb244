// SPDX-License-Identifier: Apache-2.0

public import MeshModel

extension PolicyBook {
    /// What the policies of one side of a flow say to it, asked rule by rule.
    ///
    /// - Parameters:
    ///   - subject: the endpoint on this side; policies say nothing about other clusters' endpoints.
    ///   - address: the peer's; nil if it has none that address blocks could mean.
    ///   - traffic: what the flow carries, with the port at its destination, after translation.
    /// - Complexity: linear in the number of sections and of rules that are for the subject.
    public func decide(
        _ direction: PolicyDirection, subject: Principal, peer: PolicyPeer, at address: Address?,
        traffic: PolicyTraffic
    ) -> PolicyDecision {
        if direction == .ingress, peer == .host { return decision(.ownNode) }
        let selected = sections.map { $0.subject.selects(subject) }
        let names = direction == .ingress ? subject.namedPorts : peer.namedPorts
        let location = address.map { Prefix($0) }
        let meant = rules.indices.compactMap { index -> (rule: Int32, match: Match)? in
            let rule = rules[index]
            guard rule.direction == direction, selected[Int(rule.section)] else { return nil }
            let match = min(match(rule, traffic, names), match(rule, peer, at: location))
            return match == .no ? nil : (Int32(index), match)
        }
        let isolating = sections.indices.first {
            selected[$0] && sections[$0].isolates.contains(direction)
        }
        var walk = TierWalk()
        for tier in PolicyTier.allCases where walk.isOpen {
            let rules = meant.filter { self.tier(of: $0.rule) == tier }
            let certain = rules.first { $0.match == .yes }?.rule
            let possible = rules.prefix { $0.match == .maybe }.map { action(of: $0.rule) }
            walk.ask(
                certain: certain.map { (self.rules[Int($0)].action, self.rules[Int($0)].code) },
                possible: TierWalk.Actions(possible),
                isolation: tier == .standard
                    ? isolating.map { sections[$0].isolation } : nil)
        }
        return decision(walk.verdict)
    }

    private func match(_ rule: Rule, _ peer: PolicyPeer, at location: Prefix?) -> Match {
        guard let numbers = rule.matchers else { return .yes }
        return numbers.map { matchers[Int($0)].match(peer, at: location, in: environment) }.max()
            ?? .no
    }

    private func match(_ rule: Rule, _ traffic: PolicyTraffic, _ names: [NamedPort]?) -> Match {
        guard let ports = rule.ports else { return .yes }
        return ports.map { $0.match(traffic, names: names) }.max() ?? .no
    }

    private func action(of rule: Int32) -> TierWalk.Actions {
        TierWalk.Actions(rules[Int(rule)].action)
    }
}

extension PolicyPeer {
    /// Nil if they aren't known.
    var namedPorts: [NamedPort]? {
        switch self {
        case .endpoint(let principal): principal.namedPorts
        case .initializing, .unknown: nil
        case .host, .remoteNode, .health, .world: []
        }
    }
}

extension TierWalk.Actions {
    init(_ action: PolicyAction) {
        switch action {
        case .accept: self = .accept
        case .deny: self = .deny
        case .pass: self = .pass
        }
    }
}
