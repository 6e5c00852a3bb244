// SPDX-License-Identifier: Apache-2.0

/// What policies of one side say to a flow, and why.
public struct PolicyDecision: Hashable, Sendable {
    public let allows: Bool
    /// Denied, but what isn't known of the peer might have it allowed: find out who it is.
    public let dependsOnPeer: Bool
    public let reason: PolicyReason

    public init(allows: Bool, dependsOnPeer: Bool = false, reason: PolicyReason) {
        self.allows = allows
        self.dependsOnPeer = dependsOnPeer
        self.reason = reason
    }
}

public enum PolicyReason: Hashable, Sendable {
    case rule(RuleReference)
    /// The policy, the first by name of those that isolate the endpoint, accepts nothing unless a
    /// rule does, and none did.
    case isolated(by: PolicyName)
    /// No policy decided: allowed.
    case noPolicy
    /// Denied because a rule may deny that can't be judged before the peer is known.
    case undetermined
    /// An endpoint's own node always reaches it: it checks its health.
    case ownNode
    /// An endpoint always reaches itself.
    case itself
}

/// A rule of a policy of some object.
public struct RuleReference: Hashable, Sendable {
    public let policy: PolicyName
    public let tier: PolicyTier
    public let direction: PolicyDirection
    /// Within the object: `spec.ingress[0]`.
    public let path: String
    /// What its author calls it; empty for most.
    public let name: String

    public init(
        policy: PolicyName, tier: PolicyTier, direction: PolicyDirection, path: String, name: String
    ) {
        self.policy = policy
        self.tier = tier
        self.direction = direction
        self.path = path
        self.name = name
    }
}

extension RuleReference: CustomStringConvertible {
    /// `NetworkPolicy shop/db, spec.ingress[0]`.
    public var description: String {
        "\(policy), \(path)\(name.isEmpty ? "" : " (\(name))")"
    }
}

extension PolicyDecision: CustomStringConvertible {
    /// `denied: NetworkPolicy shop/db isolates it and no rule accepts`.
    public var description: String {
        "\(allows ? "allowed" : "denied"): \(reason)"
            + (dependsOnPeer ? "; the peer isn't known yet" : "")
    }
}

extension PolicyReason: CustomStringConvertible {
    public var description: String {
        switch self {
        case .rule(let rule): "\(rule)"
        case .isolated(let policy): "\(policy) isolates it and no rule accepts"
        case .noPolicy: "no policy decides"
        case .undetermined: "a rule may deny it that asks who the peer is"
        case .ownNode: "it comes from the endpoint's own node"
        case .itself: "it stays within the endpoint"
        }
    }
}
