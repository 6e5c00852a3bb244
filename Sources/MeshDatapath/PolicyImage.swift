// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// What the datapath does with traffic that an interval covers.
public enum PolicyVerdict: UInt8, Hashable, Sendable {
    case allow = 0
    case deny = 1
    /// Denied as long as no lists were made for the peer (``Datapath/setKnownPeers(_:)``), and
    /// perhaps allowed then: the packet is dropped as `unknown_identity`.
    case denyUnknown = 2
}

/// A verdict on all traffic from ``start`` to where the next interval starts.
public struct PolicyInterval: Hashable, Sendable {
    public static let maximumPerList = 16_384

    /// Protocol number in bits 16...23; in bits 0...15 the port at the destination, the type of an
    /// ICMP request, or 0.
    public let start: UInt32
    public let verdict: PolicyVerdict
    /// A number of the agent's, which events name: why.
    public let rule: Int32

    public init(start: UInt32, verdict: PolicyVerdict, rule: Int32) {
        self.start = start
        self.verdict = verdict
        self.rule = rule
    }
}

/// A peer as the datapath looks it up: its identity, and the block that its address lies in.
public struct DatapathPeer: Hashable, Sendable {
    public let identity: Identity
    /// Of the blocks of the set's version; 0: in none.
    public let block: UInt32

    public init(identity: Identity, block: UInt32 = 0) {
        self.identity = identity
        self.block = block
    }
}

/// One version of a policy set: what may be sent to whom, and received from whom.
///
/// Each list is sorted by start without doubles, begins at 0 and has 1...16,384 intervals.
public struct PolicyImage: Hashable, Sendable {
    public struct Standard: Hashable, Sendable {
        public let egress: [PolicyInterval]
        public let ingress: [PolicyInterval]

        public init(egress: [PolicyInterval], ingress: [PolicyInterval]) {
            self.egress = egress
            self.ingress = ingress
        }
    }

    /// A set, from whose version in force this one differs: peers that aren't named here have the
    /// lists that they have there, and an empty list takes a peer's away. Its blocks are these.
    public let base: UInt32?
    /// What ``Datapath/addPolicyBlocks(_:)`` returned; 0 looks no address up.
    public let blocks: UInt32
    /// For peers that have no list of their own.
    public let standard: Standard
    /// Lists that differ from the standard list.
    public let egress: [DatapathPeer: [PolicyInterval]]
    public let ingress: [DatapathPeer: [PolicyInterval]]

    public init(
        base: UInt32? = nil, blocks: UInt32 = 0, standard: Standard,
        egress: [DatapathPeer: [PolicyInterval]] = [:],
        ingress: [DatapathPeer: [PolicyInterval]] = [:]
    ) {
        self.base = base
        self.blocks = blocks
        self.standard = standard
        self.egress = egress
        self.ingress = ingress
    }
}

extension PolicyImage {
    /// Allows everything, and costs a flow no look-up.
    public static let allowAll = PolicyImage(
        standard: Standard(egress: Self.allowing, ingress: Self.allowing))

    private static let allowing = [PolicyInterval(start: 0, verdict: .allow, rule: 0)]
}
