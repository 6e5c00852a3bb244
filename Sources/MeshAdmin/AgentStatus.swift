// SPDX-License-Identifier: Apache-2.0

/// Name and number of a cluster.
public struct ClusterReference: Codable, Hashable, Sendable {
    public var name: String
    /// 1...4095.
    public var id: UInt16

    public init(name: String, id: UInt16) {
        self.name = name
        self.id = id
    }
}

/// What an agent says about itself: `GET /v1/status`.
public struct AgentStatus: Codable, Hashable, Sendable {
    public var version: String
    public var cluster: ClusterReference
    public var node: String
    public var health: HealthSummary
    public var uptimeSeconds: Double
    /// Resident memory of the process.
    public var memoryBytes: UInt64
    /// Whether this cluster told the others to send it nothing new.
    public var isDraining: Bool
    public var publisher: PublisherStatus
    /// One for each cluster whose state this node holds, own first.
    public var ledgers: [LedgerStatus]
    public var peers: [ClusterReference]
    /// Streams to other agents.
    public var links: [LinkStatus]
    /// What peers sent and this node didn't take, since its start.
    public var rejections: [RejectionStatus]
    /// What is watched at an API server; empty without one.
    public var sources: [SourceStatus]
    public var manifestProblems: [ManifestProblem]
    /// Kinds of objects in the folder that this version has no use for.
    public var ignoredKinds: [IgnoredKind]
    /// Sentences that an operator should read, most urgent first.
    public var warnings: [String]

    public init(
        version: String, cluster: ClusterReference, node: String, health: HealthSummary,
        uptimeSeconds: Double, memoryBytes: UInt64, isDraining: Bool, publisher: PublisherStatus,
        ledgers: [LedgerStatus], peers: [ClusterReference], links: [LinkStatus],
        rejections: [RejectionStatus] = [], sources: [SourceStatus] = [],
        manifestProblems: [ManifestProblem], ignoredKinds: [IgnoredKind], warnings: [String]
    ) {
        self.version = version
        self.cluster = cluster
        self.node = node
        self.health = health
        self.uptimeSeconds = uptimeSeconds
        self.memoryBytes = memoryBytes
        self.isDraining = isDraining
        self.publisher = publisher
        self.ledgers = ledgers
        self.peers = peers
        self.links = links
        self.rejections = rejections
        self.sources = sources
        self.manifestProblems = manifestProblems
        self.ignoredKinds = ignoredKinds
        self.warnings = warnings
    }
}

/// A watch of an API server.
public struct SourceStatus: Codable, Hashable, Sendable {
    public enum State: String, Codable, Sendable, CaseIterable {
        /// Never listed yet.
        case connecting
        case synced
        /// Doesn't hear of changes: what was last known stays in force.
        case stale
        /// The API server doesn't have the resource.
        case absent
    }

    /// As operators write it: `endpointslices.discovery.k8s.io`.
    public var resource: String
    public var state: State
    public var sinceSeconds: Double
    public var objects: Int
    /// Of the last attempt that failed, until one succeeds.
    public var lastError: String?

    public init(
        resource: String, state: State, sinceSeconds: Double, objects: Int,
        lastError: String? = nil
    ) {
        self.resource = resource
        self.state = state
        self.sinceSeconds = sinceSeconds
        self.objects = objects
        self.lastError = lastError
    }
}

public struct HealthSummary: Codable, Hashable, Sendable {
    public enum State: String, Codable, Sendable {
        case healthy
        /// Serves, but something needs attention: `reasons` says what.
        case degraded
        /// Doesn't do its job.
        case failing
    }

    public var state: State
    /// Empty when healthy.
    public var reasons: [String]

    public init(state: State, reasons: [String]) {
        self.state = state
        self.reasons = reasons
    }
}

/// The node that sequences this cluster's ledger.
public struct PublisherStatus: Codable, Hashable, Sendable {
    /// Nil while nobody is known to publish.
    public var node: String?
    /// Whether this agent is the publisher.
    public var isLocal: Bool
    public var isReachable: Bool
    /// On the publisher: the position up to which nothing can be lost, `epoch.revision`.
    public var acknowledged: String?
    /// On the publisher: whether no second node holds what is acknowledged.
    public var isAlone: Bool

    public init(
        node: String?, isLocal: Bool, isReachable: Bool, acknowledged: String? = nil,
        isAlone: Bool = false
    ) {
        self.node = node
        self.isLocal = isLocal
        self.isReachable = isReachable
        self.acknowledged = acknowledged
        self.isAlone = isAlone
    }
}

/// How far this node's copy of one cluster's ledger is.
public struct LedgerStatus: Codable, Hashable, Sendable {
    public var cluster: ClusterReference
    public var epoch: UInt32
    public var revision: UInt64
    /// Time since this copy was known to be the owner's newest state, all hops added up. Nil: nobody
    /// has said so yet.
    public var ageSeconds: Double?
    public var records: Int
    /// Records that didn't decode and are set aside.
    public var quarantined: Int
    /// Records that the cluster's charter doesn't allow.
    public var refused: Int
    /// Two different histories were seen: what is held stays until the next epoch.
    public var isFrozen: Bool

    public init(
        cluster: ClusterReference, epoch: UInt32, revision: UInt64, ageSeconds: Double?,
        records: Int, quarantined: Int, refused: Int, isFrozen: Bool
    ) {
        self.cluster = cluster
        self.epoch = epoch
        self.revision = revision
        self.ageSeconds = ageSeconds
        self.records = records
        self.quarantined = quarantined
        self.refused = refused
        self.isFrozen = isFrozen
    }
}

/// Ledger messages of one peer that were rejected for one reason.
public struct RejectionStatus: Codable, Hashable, Sendable {
    /// `cluster/node`.
    public var peer: String
    /// One of a bounded set of names.
    public var reason: String
    public var messages: UInt64

    public init(peer: String, reason: String, messages: UInt64) {
        self.peer = peer
        self.reason = reason
        self.messages = messages
    }
}

public struct LinkStatus: Codable, Hashable, Sendable {
    public enum State: String, Codable, Sendable {
        case connecting
        case connected
        /// Waiting before the next attempt.
        case waiting
    }

    /// `cluster/node`, or the address while the name isn't known.
    public var peer: String
    public var state: State
    public var sinceSeconds: Double
    public var lastError: String?

    public init(peer: String, state: State, sinceSeconds: Double, lastError: String? = nil) {
        self.peer = peer
        self.state = state
        self.sinceSeconds = sinceSeconds
        self.lastError = lastError
    }
}

/// A file of the manifest folder that doesn't say what it should; what it last said stays in force.
public struct ManifestProblem: Codable, Hashable, Sendable {
    public var file: String
    /// From 1; nil when the problem has no place.
    public var line: Int?
    public var message: String

    public init(file: String, line: Int? = nil, message: String) {
        self.file = file
        self.line = line
        self.message = message
    }
}

public struct IgnoredKind: Codable, Hashable, Sendable {
    public var kind: String
    public var objects: Int

    public init(kind: String, objects: Int) {
        self.kind = kind
        self.objects = objects
    }
}
