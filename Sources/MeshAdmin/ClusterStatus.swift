// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// A verdict in JSON: the case's name.
public enum VerdictName: String, Codable, Sendable, CaseIterable {
    case unknown, up, suspect, unreachable, probation, draining

    public init(_ verdict: Verdict) {
        self =
            switch verdict {
            case .unknown: .unknown
            case .up: .up
            case .suspect: .suspect
            case .unreachable: .unreachable
            case .probation: .probation
            case .draining: .draining
            }
    }
}

/// One cluster as this node sees it: `GET /v1/clusters`.
public struct ClusterStatus: Codable, Hashable, Sendable {
    public var name: String
    /// 1...4095.
    public var id: UInt16
    public var isLocal: Bool
    public var verdict: VerdictName
    /// Time since the verdict last changed.
    public var sinceSeconds: Double
    /// 0...255; 0 takes no new flow.
    public var weight: UInt8
    /// Rises when open flows must look again.
    public var generation: UInt32
    /// Empty for the own cluster.
    public var paths: [PathStatus]
    public var epoch: UInt32
    public var revision: UInt64
    public var nodes: Int
    public var services: Int
    public var endpoints: Int
    /// Nil: it doesn't say.
    public var capacity: CapacityStatus?
    /// On the home: whether it belongs to the mesh. Nil elsewhere, and for clusters that an operator's
    /// file names.
    public var roster: RosterStatus?

    public init(
        name: String, id: UInt16, isLocal: Bool, verdict: VerdictName, sinceSeconds: Double,
        weight: UInt8, generation: UInt32, paths: [PathStatus], epoch: UInt32, revision: UInt64,
        nodes: Int, services: Int, endpoints: Int, capacity: CapacityStatus? = nil,
        roster: RosterStatus? = nil
    ) {
        self.roster = roster
        self.name = name
        self.id = id
        self.isLocal = isLocal
        self.verdict = verdict
        self.sinceSeconds = sinceSeconds
        self.weight = weight
        self.generation = generation
        self.paths = paths
        self.epoch = epoch
        self.revision = revision
        self.nodes = nodes
        self.services = services
        self.endpoints = endpoints
        self.capacity = capacity
    }
}

/// What a cluster says of itself, and what follows from it here.
public struct CapacityStatus: Codable, Hashable, Sendable {
    /// In its own unit, thousandths of a processor if it wasn't told another; above 0.
    public var capacity: UInt32
    public var spare: UInt32
    /// 0.1...1, the factor on its weight.
    public var weightShare: Double

    public init(capacity: UInt32, spare: UInt32, weightShare: Double) {
        self.capacity = capacity
        self.spare = spare
        self.weightShare = weightShare
    }
}

/// What becomes of the heartbeats that go through the overlay, as the workloads' packets do.
public enum OverlayAnswer: String, Codable, Hashable, Sendable, CaseIterable {
    case answers
    /// They are missing, while those on the underlay come: the path isn't up for that.
    case silent
}

/// A pair of relays that exchange heartbeats.
public struct PathStatus: Codable, Hashable, Sendable {
    public var localRelay: String
    public var remoteNode: String
    public var state: VerdictName
    /// Nil until a beat's echo came back.
    public var rttMilliseconds: Double?
    /// Time since the last beat; nil before the first.
    public var lastBeatSeconds: Double?
    /// Nil: none of its beats go through the overlay.
    public var overlay: OverlayAnswer?

    public init(
        localRelay: String, remoteNode: String, state: VerdictName, rttMilliseconds: Double? = nil,
        lastBeatSeconds: Double? = nil, overlay: OverlayAnswer? = nil
    ) {
        self.overlay = overlay
        self.localRelay = localRelay
        self.remoteNode = remoteNode
        self.state = state
        self.rttMilliseconds = rttMilliseconds
        self.lastBeatSeconds = lastBeatSeconds
    }
}

/// One node of any cluster: `GET /v1/nodes`.
public struct NodeStatus: Codable, Hashable, Sendable {
    public var cluster: ClusterReference
    public var name: String
    public var isLocal: Bool
    public var isRelay: Bool
    public var verdict: VerdictName
    public var sinceSeconds: Double
    /// 0...255; 0 takes no new flow.
    public var weight: UInt8
    public var generation: UInt32
    /// Place in the kernel's table of nodes; 0 is this node.
    public var index: UInt32
    /// Where the node is reached on the underlay, first the preferred.
    public var outerAddresses: [String]
    public var podPrefixes: [String]
    public var endpoints: Int
    /// What the members of this node's own cluster hold it for; nil for nodes of others.
    public var membership: MembershipStatus?

    public init(
        cluster: ClusterReference, name: String, isLocal: Bool, isRelay: Bool, verdict: VerdictName,
        sinceSeconds: Double, weight: UInt8, generation: UInt32, index: UInt32,
        outerAddresses: [String], podPrefixes: [String], endpoints: Int,
        membership: MembershipStatus? = nil
    ) {
        self.cluster = cluster
        self.name = name
        self.isLocal = isLocal
        self.isRelay = isRelay
        self.verdict = verdict
        self.sinceSeconds = sinceSeconds
        self.weight = weight
        self.generation = generation
        self.index = index
        self.outerAddresses = outerAddresses
        self.podPrefixes = podPrefixes
        self.endpoints = endpoints
        self.membership = membership
    }
}

/// What a node believes of a member of its own cluster (SWIM).
public struct MembershipStatus: Codable, Hashable, Sendable {
    /// `unknown`, `alive`, `suspect`, `dead` or `left`.
    public var state: String
    /// Raised by the member, to contradict an accusation.
    public var incarnation: UInt32
    /// Time since its last datagram; nil: none has come, or it is this node.
    public var heardSeconds: Double?
    /// Who says that it doesn't answer, the first one first.
    public var accusers: [String]

    public init(state: String, incarnation: UInt32, heardSeconds: Double?, accusers: [String]) {
        self.state = state
        self.incarnation = incarnation
        self.heardSeconds = heardSeconds
        self.accusers = accusers
    }
}
