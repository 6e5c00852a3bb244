// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// How far the kernel is behind a row.
public enum Realisation: String, Codable, Sendable {
    case pending
    case done
    /// The last good state is kept; the row says why.
    case error
}

/// One frontend of a service: `GET /v1/services` and `GET /v1/services/{namespace}/{name}`.
public struct ServiceStatus: Codable, Hashable, Sendable {
    public var namespace: String
    public var name: String
    /// Empty for the only port of a service.
    public var portName: String
    public var address: String
    public var port: UInt16
    /// As Kubernetes writes it: `TCP`, `UDP`, `SCTP`.
    public var transport: String
    public var isGlobal: Bool
    public var affinity: ServiceAffinity
    /// Seconds a client stays with its backend; 0 is no session affinity.
    public var sessionAffinitySeconds: UInt32
    public var state: Realisation
    /// Set with ``Realisation/error``.
    public var reason: String?
    public var slices: [SliceStatus]

    public init(
        namespace: String, name: String, portName: String, address: String, port: UInt16,
        transport: String, isGlobal: Bool, affinity: ServiceAffinity,
        sessionAffinitySeconds: UInt32, state: Realisation, reason: String? = nil,
        slices: [SliceStatus]
    ) {
        self.namespace = namespace
        self.name = name
        self.portName = portName
        self.address = address
        self.port = port
        self.transport = transport
        self.isGlobal = isGlobal
        self.affinity = affinity
        self.sessionAffinitySeconds = sessionAffinitySeconds
        self.state = state
        self.reason = reason
        self.slices = slices
    }
}

/// The backends that one cluster gives a frontend.
public struct SliceStatus: Codable, Hashable, Sendable {
    public var cluster: ClusterReference
    /// Lower is preferred.
    public var tier: UInt8
    /// Relative within the tier.
    public var weight: UInt8
    /// Whether the cluster takes new flows.
    public var isLive: Bool
    public var backends: [BackendStatus]

    public init(
        cluster: ClusterReference, tier: UInt8, weight: UInt8, isLive: Bool,
        backends: [BackendStatus]
    ) {
        self.cluster = cluster
        self.tier = tier
        self.weight = weight
        self.isLive = isLive
        self.backends = backends
    }
}

public struct BackendStatus: Codable, Hashable, Sendable {
    public var address: String
    public var port: UInt16
    public var node: String
    /// Whether its node takes new flows.
    public var isLive: Bool
    /// Set while it takes none because of how its connections fared.
    public var quarantine: QuarantineStatus?

    public init(
        address: String, port: UInt16, node: String, isLive: Bool,
        quarantine: QuarantineStatus? = nil
    ) {
        self.address = address
        self.port = port
        self.node = node
        self.isLive = isLive
        self.quarantine = quarantine
    }
}

/// Why one node left a backend out.
public struct QuarantineStatus: Codable, Hashable, Sendable {
    public var sinceSeconds: Double
    /// A sentence's end: `3 failures, …`.
    public var reason: String

    public init(sinceSeconds: Double, reason: String) {
        self.sinceSeconds = sinceSeconds
        self.reason = reason
    }
}
