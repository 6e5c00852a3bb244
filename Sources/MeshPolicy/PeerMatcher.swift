// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// Whom a rule means.
public enum PeerMatcher: Hashable, Sendable {
    case endpoints(EndpointSelector)
    case network(PolicyNetwork)
    case entity(PolicyEntity)
}

/// Addresses of a block that are in none of the exceptions.
public struct PolicyNetwork: Hashable, Sendable {
    public let prefix: Prefix
    /// Within `prefix`.
    public let except: [Prefix]
    /// Kubernetes' blocks hold for whoever has such an address, Cilium's for the world only.
    public let worldOnly: Bool

    public init(prefix: Prefix, except: [Prefix] = [], worldOnly: Bool = false) {
        self.prefix = prefix
        self.except = except.sorted()
        self.worldOnly = worldOnly
    }

    /// Whether all of `location` is in it; none of it is otherwise if the location is an address or
    /// one of ``PrefixClasses`` that know this network.
    func contains(_ location: Prefix) -> Bool {
        prefix.covers(location) && !except.contains { $0.covers(location) }
    }
}

/// Groups that CiliumNetworkPolicy knows by name; raw values are its names.
public enum PolicyEntity: String, Hashable, Sendable, CaseIterable {
    case all
    case world
    case worldIPv4 = "world-ipv4"
    case worldIPv6 = "world-ipv6"
    /// The own cluster's endpoints, and the nodes of *every* cluster, as with Cilium.
    case cluster
    case host
    case remoteNode = "remote-node"
    case health
    case initializing = "init"
    case nobody = "none"
}

/// Of two that must both hold, the lesser counts; of alternatives, the greater.
enum Match: Hashable, Comparable, Sendable {
    case no
    /// Not enough is known of the peer.
    case maybe
    case yes

    init(_ isMatch: Bool) { self = isMatch ? .yes : .no }
}

extension PeerMatcher {
    /// - Parameter location: the peer's address, or the class of addresses that it is in; nil if it
    ///   is in none, or has none.
    func match(
        _ peer: PolicyPeer, at location: Prefix?, in environment: PolicyEnvironment
    ) -> Match {
        switch self {
        case .endpoints(let selector):
            switch peer {
            case .endpoint(let principal): Match(selector.selects(principal))
            case .initializing, .unknown: .maybe
            case .host, .remoteNode, .health, .world: .no
            }
        case .network(let network):
            switch peer {
            case .unknown: .maybe
            case _ where network.worldOnly && peer != .world: .no
            default: Match(location.map(network.contains) ?? false)
            }
        case .entity(let entity):
            entity.match(peer, at: location, in: environment)
        }
    }

    /// With the clusters that it means if it doesn't say.
    func scoped(by environment: PolicyEnvironment) -> PeerMatcher {
        if case .endpoints(let selector) = self {
            return .endpoints(selector.scoped(by: environment))
        }
        return self
    }
}

extension PolicyEntity {
    fileprivate func match(
        _ peer: PolicyPeer, at location: Prefix?, in environment: PolicyEnvironment
    ) -> Match {
        if self == .all { return .yes }
        if self == .nobody { return .no }
        switch peer {
        case .unknown: return .maybe
        case .endpoint(let principal):
            return Match(self == .cluster && principal.cluster == environment.cluster)
        case .host: return Match(self == .host || self == .cluster)
        case .remoteNode: return Match(self == .remoteNode || self == .cluster)
        case .health: return Match(self == .health || self == .cluster)
        case .initializing: return Match(self == .initializing || self == .cluster)
        case .world:
            switch self {
            case .world: return .yes
            case .worldIPv4: return Match(location?.isIPv4 == true)
            case .worldIPv6: return Match(location?.isIPv4 == false)
            default: return .no
            }
        }
    }
}

extension Prefix {
    /// All IPv4 addresses, as IPv6 holds them.
    static let ipv4 = Prefix(address: Address(ipv4: 0), length: 96)!
    static let ipv6 = Prefix(address: .unspecified, length: 0)!

    /// Whether all addresses of `other` are in it. IPv6 prefixes hold no IPv4 addresses, although
    /// ::/0 holds their bits.
    func covers(_ other: Prefix) -> Bool {
        isIPv4 == other.isIPv4 && length <= other.length && contains(other.address)
    }
}
