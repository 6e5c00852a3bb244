// SPDX-License-Identifier: Apache-2.0

internal import CMeshABI
public import MeshModel

/// How full a map is.
public struct MapReading: Hashable, Sendable {
    public let name: String
    /// As the kernel's tools call it: `lru_hash`.
    public let kind: String
    public let keyBytes: Int
    public let valueBytes: Int
    public let capacity: Int
    /// Nil where counting would mean reading it all, and for arrays, which are always full.
    public let entries: Int?

    /// The same, with a number of entries that was counted apart, if there is one.
    public func counting(_ entries: Int?) -> MapReading {
        MapReading(
            name: name, kind: kind, keyBytes: keyBytes, valueBytes: valueBytes, capacity: capacity,
            entries: self.entries ?? entries)
    }
}

/// A frontend as the kernel holds it.
public struct ServiceReading: Hashable, Sendable {
    public let key: FrontendKey
    /// In `weft_services`.
    public let slot: UInt32
    /// Index of the published list; 0 refuses.
    public let list: UInt32
    /// Grows with every publication in the slot.
    public let generation: UInt32
    public let sessionAffinitySeconds: UInt32
    /// Sorted by tier.
    public let slices: [SliceReading]
}

public struct SliceReading: Hashable, Sendable {
    public let cluster: ClusterID
    public let tier: UInt8
    public let weight: UInt8
    public let clusterWord: LivenessWord
    public let backends: [BackendReading]
}

public struct BackendReading: Hashable, Sendable {
    public let address: Address
    /// Host byte order.
    public let port: UInt16
    /// Index in `weft_nodes`.
    public let nodeIndex: UInt32
    /// Nil when the agent has no name for the index.
    public let node: NodeID?
    public let nodeWord: LivenessWord
}

/// A tracked connection.
public struct ConnectionReading: Hashable, Sendable {
    public struct Flags: OptionSet, Hashable, Sendable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }

        /// A packet came back.
        public static let replied = Flags(rawValue: 1 << 1)
        public static let openerFinished = Flags(rawValue: 1 << 2)
        public static let replierFinished = Flags(rawValue: 1 << 3)
        public static let reset = Flags(rawValue: 1 << 4)
        public static let translated = Flags(rawValue: 1 << 5)
        /// The opener is on another node.
        public static let fromOverlay = Flags(rawValue: 1 << 7)
        /// The remote side is outside the mesh, or reached through the host's address translation.
        public static let throughHost = Flags(rawValue: 1 << 11)
        /// A policy at the replier's node denies it, and that node said so.
        public static let deniedAfar = Flags(rawValue: 1 << 12)
    }

    public struct Side: Hashable, Sendable {
        public let at: FlowAddress
        public let identity: Identity
        public let packets: UInt64
        public let bytes: UInt64
    }

    /// IP protocol number.
    public let transport: UInt8
    public let flags: Flags
    /// Who sent the first packet.
    public let opener: Side
    public let replier: Side
    /// What the opener asked for, nil without translation.
    public let frontend: FlowAddress?
    /// Of the remote side; the own one when both are here, nil outside the mesh.
    public let cluster: ClusterID?
    /// Index of the remote side's node; 65,536 when the agent knew none.
    public let nodeIndex: UInt32
    /// Generations of the cluster's and the node's liveness words when the flow was made.
    public let clusterGeneration: UInt32
    public let nodeGeneration: UInt32
    /// Nanoseconds of CLOCK_MONOTONIC: first and last packet.
    public let created: UInt64
    public let seen: UInt64
}

extension ConnectionReading {
    /// Nil for entries that only map an opener and a frontend to a backend.
    init?(_ key: weft_connection_key, _ value: weft_connection) {
        guard key.scope == 0 else { return nil }
        let isReversed = value.flags & WEFT_CONNECTION_REVERSED.rawValue != 0
        let a = FlowAddress(address: Address(key.a), port: UInt16(bigEndian: key.a_port))
        let b = FlowAddress(address: Address(key.b), port: UInt16(bigEndian: key.b_port))
        let flags = Flags(rawValue: value.flags)
        transport = key.protocol
        self.flags = flags
        opener = Side(
            at: isReversed ? b : a, identity: Identity(rawValue: value.opener_identity),
            packets: value.opener_packets, bytes: value.opener_bytes)
        replier = Side(
            at: isReversed ? a : b, identity: Identity(rawValue: value.replier_identity),
            packets: value.replier_packets, bytes: value.replier_bytes)
        frontend =
            flags.contains(.translated)
            ? FlowAddress(
                address: Address(value.frontend), port: UInt16(bigEndian: value.frontend_port))
            : nil
        cluster = ClusterID(rawValue: value.cluster)
        nodeIndex = value.node
        clusterGeneration = value.cluster_generation
        nodeGeneration = value.node_generation
        created = value.created
        seen = value.seen
    }
}

extension weft_connection_key {
    /// Of a connection between two ends in any order.
    init(_ one: FlowAddress, _ other: FlowAddress, over transport: UInt8) {
        let isReversed = (one.address, one.port) > (other.address, other.port)
        let (a, b) = isReversed ? (other, one) : (one, other)
        self.init(
            a: weft_address(a.address), b: weft_address(b.address), a_port: a.port.bigEndian,
            b_port: b.port.bigEndian, protocol: transport, scope: 0, pad: 0)
    }
}
