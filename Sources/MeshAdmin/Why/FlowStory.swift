// SPDX-License-Identifier: Apache-2.0

/// How far a flow gets, and what stops it: `GET /v1/why-flow`.
public struct FlowStory: Codable, Hashable, Sendable {
    public enum Outcome: String, Codable, Sendable, CaseIterable {
        case works
        /// Some of the backends that it may be sent to are reached.
        case partly
        case stops
    }

    /// In the order in which a flow comes to them.
    public enum Stage: String, Codable, Sendable, CaseIterable {
        case source
        /// The choice of a backend, at the source.
        case service
        /// Policies of the source.
        case egress
        case path
        /// Policies of the destination.
        case ingress
        /// What became of such flows lately.
        case evidence
    }

    public struct Step: Codable, Hashable, Sendable {
        public enum Mark: String, Codable, Sendable, CaseIterable {
            case fine
            /// The flow goes on; somebody should know.
            case note
            case stop
        }

        public var stage: Stage
        public var mark: Mark
        public var sentence: String
        public var details: [String]
        /// `CLUSTER/NODE` of each agent whose word it is.
        public var saidBy: [String]

        public init(
            _ stage: Stage, _ mark: Mark, _ sentence: String, details: [String] = [],
            saidBy: [String] = []
        ) {
            self.stage = stage
            self.mark = mark
            self.sentence = sentence
            self.details = details
            self.saidBy = saidBy
        }
    }

    public struct End: Codable, Hashable, Sendable {
        public enum Kind: String, Codable, Sendable {
            case endpoint, service
            /// An address that is neither, or `world`, `host`, `remote-node`.
            case other
        }

        public var kind: Kind
        /// `shop/web`, `192.0.2.7`, `world`.
        public var name: String
        /// Nil outside every cluster.
        public var cluster: String?
        public var node: String?
        /// Whether it is attached to the node that was asked.
        public var isHere: Bool
        public var addresses: [String]
        public var identity: UInt32?
        public var labels: [String: String]
        /// Why the node of the endpoint hasn't put it in place; nil if it has, or isn't this one.
        public var problem: String?

        public init(
            kind: Kind, name: String, cluster: String? = nil, node: String? = nil,
            isHere: Bool = false, addresses: [String] = [], identity: UInt32? = nil,
            labels: [String: String] = [:], problem: String? = nil
        ) {
            self.kind = kind
            self.name = name
            self.cluster = cluster
            self.node = node
            self.isHere = isHere
            self.addresses = addresses
            self.identity = identity
            self.labels = labels
            self.problem = problem
        }
    }

    /// Where the flow may go.
    public struct Candidate: Codable, Hashable, Sendable {
        public var address: String
        /// Nil for traffic without ports.
        public var port: UInt16?
        /// Nil outside every cluster.
        public var cluster: String?
        public var node: String?
        /// Lower is preferred; 0 for what is no service's backend.
        public var tier: UInt8
        /// Of its cluster as it stands, relative within the tier.
        public var weight: Int
        /// Why a new flow isn't sent there; nil: it may be.
        public var passedOver: String?
        /// The first stage that doesn't let it through, and why; nil: it would arrive. Not looked at
        /// where it is passed over.
        public var stoppedAt: Stage?
        public var obstacle: String?

        public init(
            address: String, port: UInt16?, cluster: String? = nil, node: String? = nil,
            tier: UInt8 = 0, weight: Int = 0, passedOver: String? = nil
        ) {
            self.address = address
            self.port = port
            self.cluster = cluster
            self.node = node
            self.tier = tier
            self.weight = weight
            self.passedOver = passedOver
        }
    }

    /// `CLUSTER/NODE` that was asked, and whose view counts where nobody else's is known.
    public var seenFrom: String
    public var source: End
    public var destination: End
    /// `TCP 80`, `ICMP`.
    public var traffic: String
    public var outcome: Outcome
    /// Set with ``Outcome/stops``.
    public var stoppedAt: Stage?
    /// One sentence: works, or where it stops and why.
    public var conclusion: String
    /// What to do about it; nil: nothing.
    public var advice: String?
    public var steps: [Step]
    /// Those that a flow may be sent to first.
    public var candidates: [Candidate]
    /// Flows like this one that this node or one of ``sides`` refused lately, the newest last.
    public var evidence: [Flow]
    /// The nodes where the flow begins and may end, the source's first.
    public var sides: [Side]
    /// What the answer rests on that this node can't be sure of.
    public var notes: [String]
}
