// SPDX-License-Identifier: Apache-2.0

/// A policy of any kind, as far as it decides anything.
public struct Policy: Hashable, Sendable {
    /// Priorities of cluster-wide policies, lower first. Policies of equal priority are asked in the
    /// order of their names: upstream leaves that open.
    public static let priorities = 0...1000
    /// Of what has none of its own in its tier, behind all that have.
    public static let lastPriority = 1001

    public let name: PolicyName
    public let tier: PolicyTier
    /// 0...1001; 0 in the standard tier, which has no order.
    public let priority: Int
    public let sections: [PolicySection]

    public init(
        name: PolicyName, tier: PolicyTier, priority: Int = 0, sections: [PolicySection]
    ) {
        self.name = name
        self.tier = tier
        self.priority = priority
        self.sections = sections
    }
}

/// What a policy says to some endpoints of its own cluster. Only CiliumNetworkPolicy has several.
public struct PolicySection: Hashable, Sendable {
    /// Which endpoints; endpoints of other clusters are never among them.
    public let subject: EndpointSelector
    /// Directions in which what no rule accepts is denied. Only the standard tier isolates.
    public let isolates: Set<PolicyDirection>
    /// In the order of the object, by direction.
    public let ingress: [PolicyRule]
    public let egress: [PolicyRule]
    /// Directions with rules that don't count, for the object's `policyTypes` leave them out.
    public let unused: Set<PolicyDirection>

    public init(
        subject: EndpointSelector, isolates: Set<PolicyDirection> = [], ingress: [PolicyRule] = [],
        egress: [PolicyRule] = [], unused: Set<PolicyDirection> = []
    ) {
        self.subject = subject
        self.isolates = isolates
        self.ingress = ingress
        self.egress = egress
        self.unused = unused
    }

    public func rules(_ direction: PolicyDirection) -> [PolicyRule] {
        switch direction {
        case .ingress: ingress
        case .egress: egress
        }
    }
}

public enum PolicyAction: String, Hashable, Sendable, CaseIterable {
    case accept
    case deny
    /// Leaves the decision to the next tier.
    case pass
}

public struct PolicyRule: Hashable, Sendable {
    /// Where it stands in its object: `spec.ingress[0]`.
    public let path: String
    /// What its author calls it; empty for most.
    public let name: String
    public let action: PolicyAction
    /// Any of them; nil for everyone, none for nobody.
    public let peers: [PeerMatcher]?
    /// Any of them; nil for all protocols and ports, none for no traffic.
    public let ports: [PortMatcher]?

    public init(
        path: String, name: String = "", action: PolicyAction, peers: [PeerMatcher]?,
        ports: [PortMatcher]?
    ) {
        self.path = path
        self.name = name
        self.action = action
        self.peers = peers
        self.ports = ports
    }
}

extension Policy {
    /// Keys of the endpoint labels that its selectors ask for: identities must carry them.
    public var labelKeys: Set<String> {
        var keys: Set<String> = []
        for section in sections {
            keys.formUnion(section.subject.labelKeys)
            for rule in section.ingress + section.egress {
                for case .endpoints(let selector) in rule.peers ?? [] {
                    keys.formUnion(selector.labelKeys)
                }
            }
        }
        return keys
    }
}
