// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// Elements of each map. A pinned map keeps its size: changing one needs ``KernelDatapath/tearDown()``.
public struct MapCapacities: Hashable, Sendable {
    /// Frontends and services, one a service port and address family.
    public var frontends = 32_768
    /// A list takes one element, and one for each cluster and tier.
    public var lists = 131_072
    public var backends = 262_144
    public var endpoints = 131_072
    /// Tracked connections; the least recently used make room.
    public var connections = 131_072
    /// Clients that stay with their backend.
    public var affinities = 65_536
    public var udpPeers = 65_536
    public var prefixes = 16_384
    /// Backends that openings failed at; the least recently used make room.
    public var evidence = 16_384
    /// Policy sets, number 0 included, which allows all.
    public var policySets = 65_536
    /// Peers with verdicts of their own, one for each version of a set and direction. A version that
    /// replaces another needs room beside it.
    public var policyPeers = 262_144
    /// A list takes one, and one for each interval; equal lists are kept once.
    public var policyIntervals = 1_048_576
    /// Prefixes that policies tell apart.
    public var policyBlocks = 65_536
    /// Peers that lists were made for, by identity and block.
    public var policyKnown = 131_072
    /// Bytes of the ring buffer of flow events: a power of two, whole pages.
    public var eventBytes = 1 << 20

    public init() {}
}

/// How long a connection may be silent before its entry no longer counts.
public struct ConnectionTimeouts: Hashable, Sendable {
    /// Established TCP: above the 2 h 11 min after which keep-alive gives a peer up.
    public var tcpIdle = Duration.seconds(8_000)
    /// TCP that nobody has answered.
    public var tcpOpening = Duration.seconds(60)
    public var otherIdle = Duration.seconds(60)

    public init() {}
}

/// Where the kernel answers other nodes' probes in the agent's name.
public struct ProbeResponder: Hashable, Sendable {
    /// Index of the interface that they arrive at, in the namespace of the thread that makes the
    /// datapath. Ethernet; on any other kind of device no probe is answered.
    public var interface: UInt32
    /// The UDP port of heartbeats and gossip, host byte order.
    public var port: UInt16

    public init(interface: UInt32, port: UInt16) {
        self.interface = interface
        self.port = port
    }
}

/// What the sender of a packet hears that a policy denies. Values are those of
/// `enum weft_denied_answer`.
public enum DeniedAnswer: UInt32, Hashable, Sendable, CaseIterable {
    /// Nothing.
    case drop = 0
    /// A TCP reset, or an ICMP error "administratively prohibited"; 1,000 a second on each CPU.
    case reject = 1
}

/// What a node's datapath is made with.
public struct DatapathConfiguration: Hashable, Sendable {
    /// The node it runs on; has index 0.
    public var node: NodeID
    /// Own address on the underlay: outer source of what is sent.
    public var underlayAddress: Address
    /// Bytes.
    public var underlayMTU: UInt16
    /// Index of the VXLAN device, in the namespace of the thread that makes the datapath.
    public var overlayInterface: UInt32
    /// Folder of this agent alone in a BPF file system.
    public var pinDirectory: String
    /// Folder of the cgroup2 hierarchy whose processes' sockets are translated.
    public var cgroupPath: String
    /// Nil answers no probes, and takes off what an earlier agent attached for them.
    public var responder: ProbeResponder?
    public var flowEvents = true
    public var deniedAnswer = DeniedAnswer.drop
    public var capacities = MapCapacities()
    public var timeouts = ConnectionTimeouts()

    public init(
        node: NodeID, underlayAddress: Address, underlayMTU: UInt16, overlayInterface: UInt32,
        pinDirectory: String, cgroupPath: String
    ) {
        self.node = node
        self.underlayAddress = underlayAddress
        self.underlayMTU = underlayMTU
        self.overlayInterface = overlayInterface
        self.pinDirectory = pinDirectory
        self.cgroupPath = cgroupPath
    }
}
