// SPDX-License-Identifier: Apache-2.0

/// Packets dropped for one reason since the programs were first loaded: `GET /v1/drops`.
public struct DropCount: Codable, Hashable, Sendable {
    /// Metric label, `policy_denied`.
    public var label: String
    /// What it means, for an operator.
    public var sentence: String
    public var packets: UInt64
    public var bytes: UInt64

    public init(label: String, sentence: String, packets: UInt64, bytes: UInt64) {
        self.label = label
        self.sentence = sentence
        self.packets = packets
        self.bytes = bytes
    }
}

/// How full a kernel map is: `GET /v1/bpf/maps`.
public struct MapUsage: Codable, Hashable, Sendable {
    public var name: String
    /// The kernel's name of the type, `lru_hash`.
    public var type: String
    public var keyBytes: UInt32
    public var valueBytes: UInt32
    public var maximumEntries: UInt32
    /// Nil where counting would mean walking millions of entries, and for arrays, which are always full.
    public var entries: UInt32?
    /// As the kernel accounts it.
    public var memoryBytes: UInt64?

    public init(
        name: String, type: String, keyBytes: UInt32, valueBytes: UInt32, maximumEntries: UInt32,
        entries: UInt32? = nil, memoryBytes: UInt64? = nil
    ) {
        self.name = name
        self.type = type
        self.keyBytes = keyBytes
        self.valueBytes = valueBytes
        self.maximumEntries = maximumEntries
        self.entries = entries
        self.memoryBytes = memoryBytes
    }
}

/// A frontend read back from the kernel: `GET /v1/bpf/services`.
public struct KernelService: Codable, Hashable, Sendable {
    public var address: String
    public var port: UInt16
    public var transport: String
    public var slot: UInt32
    /// Index of the published list; 0 refuses.
    public var list: UInt32
    public var generation: UInt32
    public var affinitySeconds: UInt32
    public var slices: [KernelSlice]

    public init(
        address: String, port: UInt16, transport: String, slot: UInt32, list: UInt32,
        generation: UInt32, affinitySeconds: UInt32, slices: [KernelSlice]
    ) {
        self.address = address
        self.port = port
        self.transport = transport
        self.slot = slot
        self.list = list
        self.generation = generation
        self.affinitySeconds = affinitySeconds
        self.slices = slices
    }
}

public struct KernelSlice: Codable, Hashable, Sendable {
    /// 1...4095.
    public var cluster: UInt16
    public var tier: UInt8
    public var weight: UInt8
    /// Weight of the cluster's liveness word, 0...255; 0 takes no new flow.
    public var clusterWeight: UInt8
    public var backends: [KernelBackend]

    public init(
        cluster: UInt16, tier: UInt8, weight: UInt8, clusterWeight: UInt8, backends: [KernelBackend]
    ) {
        self.cluster = cluster
        self.tier = tier
        self.weight = weight
        self.clusterWeight = clusterWeight
        self.backends = backends
    }
}

public struct KernelBackend: Codable, Hashable, Sendable {
    public var address: String
    public var port: UInt16
    /// Index into the kernel's table of nodes.
    public var node: UInt32
    /// Weight of the node's liveness word, 0...255; 0 takes no new flow.
    public var nodeWeight: UInt8

    public init(address: String, port: UInt16, node: UInt32, nodeWeight: UInt8) {
        self.address = address
        self.port = port
        self.node = node
        self.nodeWeight = nodeWeight
    }
}

/// A tracked connection: `GET /v1/bpf/connections`.
public struct ConnectionEntry: Codable, Hashable, Sendable {
    public enum State: String, Codable, Sendable {
        case opening, established, closing, reset
    }

    public var transport: String
    public var state: State
    public var source: ConnectionSide
    public var destination: ConnectionSide
    /// The service address that was asked for, `address:port`; nil without translation.
    public var frontend: String?
    /// Number of the remote side's cluster.
    public var cluster: UInt16
    /// Index of the remote side's node.
    public var node: UInt32
    public var ageSeconds: Double
    public var idleSeconds: Double

    public init(
        transport: String, state: State, source: ConnectionSide, destination: ConnectionSide,
        frontend: String? = nil, cluster: UInt16, node: UInt32, ageSeconds: Double,
        idleSeconds: Double
    ) {
        self.transport = transport
        self.state = state
        self.source = source
        self.destination = destination
        self.frontend = frontend
        self.cluster = cluster
        self.node = node
        self.ageSeconds = ageSeconds
        self.idleSeconds = idleSeconds
    }
}

public struct ConnectionSide: Codable, Hashable, Sendable {
    public var address: String
    public var port: UInt16
    public var identity: UInt32
    public var packets: UInt64
    public var bytes: UInt64

    public init(address: String, port: UInt16, identity: UInt32, packets: UInt64, bytes: UInt64) {
        self.address = address
        self.port = port
        self.identity = identity
        self.packets = packets
        self.bytes = bytes
    }
}
