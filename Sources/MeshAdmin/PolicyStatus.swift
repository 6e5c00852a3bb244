// SPDX-License-Identifier: Apache-2.0

/// A policy of the agent's cluster: an element of `GET /v1/policies`.
public struct PolicyStatus: Codable, Hashable, Sendable {
    public enum State: String, Codable, Sendable, CaseIterable {
        /// This node goes by it.
        case enforced
        /// Not yet in the kernel.
        case pending
        /// What was in force before stays; see ``PolicyStatus/problem``.
        case refused
    }

    public var kind: String
    /// Nil for those of the whole cluster.
    public var namespace: String?
    public var name: String
    public var tier: String
    /// 0...1001, the lowest first; nil in the tier that has no order.
    public var priority: Int?
    public var rules: Int
    /// Endpoints of this node that it selects.
    public var endpointsHere: Int
    public var state: State
    public var problem: String?

    public init(
        kind: String, namespace: String?, name: String, tier: String, priority: Int?, rules: Int,
        endpointsHere: Int, state: State, problem: String? = nil
    ) {
        self.kind = kind
        self.namespace = namespace
        self.name = name
        self.tier = tier
        self.priority = priority
        self.rules = rules
        self.endpointsHere = endpointsHere
        self.state = state
        self.problem = problem
    }
}

/// What a policy means: `GET /v1/policies/KIND/[NAMESPACE/]NAME`, and an element of what
/// `POST /v1/policies/check` answers.
public struct PolicyMeaning: Codable, Hashable, Sendable {
    /// `NetworkPolicy shop/db`.
    public var policy: String
    /// A section or a rule each.
    public var sentences: [String]
    /// What its author may not have meant.
    public var findings: [String]
    /// Endpoints of this node that it selects, `namespace/name`; nil for one that isn't in force.
    public var endpointsHere: [String]?

    public init(
        policy: String, sentences: [String], findings: [String], endpointsHere: [String]? = nil
    ) {
        self.policy = policy
        self.sentences = sentences
        self.findings = findings
        self.endpointsHere = endpointsHere
    }
}

/// What a file of policies would mean: the answer of `POST /v1/policies/check`.
public struct PolicyCheckAnswer: Codable, Hashable, Sendable {
    /// Why the file can't be used, with lines; not empty: nothing of it would be in force.
    public var problems: [String]
    public var policies: [PolicyMeaning]

    public init(problems: [String], policies: [PolicyMeaning]) {
        self.problems = problems
        self.policies = policies
    }
}

/// What policies say to a flow, on both sides: `GET /v1/policies/trace`.
public struct PolicyTraceAnswer: Codable, Hashable, Sendable {
    public struct End: Codable, Hashable, Sendable {
        /// `shop/db`, `world`.
        public var name: String
        public var address: String?
        public var identity: UInt32?
        public var labels: [String: String]
        public var cluster: String?

        public init(
            name: String, address: String? = nil, identity: UInt32? = nil,
            labels: [String: String] = [:], cluster: String? = nil
        ) {
            self.name = name
            self.address = address
            self.identity = identity
            self.labels = labels
            self.cluster = cluster
        }
    }

    public struct Decision: Codable, Hashable, Sendable {
        public var allows: Bool
        /// `denied: NetworkPolicy shop/db isolates it and no rule accepts`.
        public var reason: String
        /// Denied, but reported only: the endpoint's policies are being tried out.
        public var isAudited: Bool

        public init(allows: Bool, reason: String, isAudited: Bool = false) {
            self.allows = allows
            self.reason = reason
            self.isAudited = isAudited
        }
    }

    public var source: End
    public var destination: End
    /// `TCP 5432`.
    public var traffic: String
    /// At the source.
    public var egress: Decision
    /// At the destination.
    public var ingress: Decision
    /// Whether packets pass.
    public var allows: Bool
    /// What the answer rests on that this node can't be sure of.
    public var notes: [String]

    public init(
        source: End, destination: End, traffic: String, egress: Decision, ingress: Decision,
        allows: Bool, notes: [String]
    ) {
        self.source = source
        self.destination = destination
        self.traffic = traffic
        self.egress = egress
        self.ingress = ingress
        self.allows = allows
        self.notes = notes
    }
}

public protocol PolicyProvider: Sendable {
    func policies() async throws -> [PolicyStatus]
    /// - Parameter name: `NetworkPolicy/shop/db`; `notFound` for one that isn't there.
    func policy(_ name: String) async throws -> PolicyMeaning
    /// - Parameter manifest: YAML or JSON documents.
    func checkPolicies(_ manifest: [UInt8]) async throws -> PolicyCheckAnswer
    /// - Parameters:
    ///   - source: `[CLUSTER:]NAMESPACE/NAME`, an address, `world`, `host` or `remote-node`.
    ///   - traffic: `5432`, `53/udp`, `icmp`.
    func trace(
        from source: String, to destination: String, traffic: String
    ) async throws -> PolicyTraceAnswer
}
