// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// What one relay tells another, several times a second.
///
/// 98 bytes and 9 a testimony, sealed and opened by the transport; nothing in it is believed before
/// that.
public struct Heartbeat: Hashable, Sendable {
    /// Of the sender.
    public var cluster: ClusterID
    /// Different in every life of the sending process, so that a restarted one may count from 1.
    public var instance: UInt64
    /// From 1, contiguous.
    public var sequence: UInt64
    /// The sender's monotonic clock when it sent this; says nothing without another one of it.
    public var sentAt: Instant
    /// Until the sender's next beat at the latest; whole milliseconds, 1...65,535.
    public var interval: Duration
    /// How often the sender would like to hear from the receiver (RFC 5880 §6.8.7 has the same
    /// pair); whole milliseconds, 1...65,535.
    public var wanted: Duration
    /// False for a beat between two due ones: an answer, or news that can't wait.
    public var isScheduled: Bool
    /// False once the sender goes by relays between which there is no such path: it goes on while the
    /// receiver still plans it.
    public var isPlanned: Bool
    /// Whether the sender takes beats inside the overlay; every second one goes there then.
    public var takesInside: Bool
    /// Whether the sender's beat before this one went inside the overlay.
    public var followsInside: Bool
    /// The receiver's beats inside the overlay that the sender misses, as ``PathStatus/insideMissed``.
    public var insideMissed: UInt8
    /// Nil as long as the sender hasn't heard the receiver.
    public var echo: HeartbeatEcho?
    public var drain: DrainDeclaration
    /// Where the sender's own ledger is.
    public var head: Position
    public var rollup: RollupHash
    /// Of the sender's cluster's set of relays; a higher one than known means: fetch it.
    public var relaySetGeneration: UInt64
    /// Of the sender's cluster, all its living nodes together; nil: it doesn't know.
    public var workload: Workload?
    /// Which nodes of the receiver's cluster the sender's cluster hears, and which not any more.
    public var testimonies: [Testimony]

    public init(
        cluster: ClusterID, instance: UInt64, sequence: UInt64, sentAt: Instant,
        interval: Duration, wanted: Duration, isScheduled: Bool = true, isPlanned: Bool = true,
        takesInside: Bool = false, followsInside: Bool = false, insideMissed: UInt8 = 0,
        echo: HeartbeatEcho?,
        drain: DrainDeclaration, head: Position, rollup: RollupHash, relaySetGeneration: UInt64,
        workload: Workload? = nil, testimonies: [Testimony] = []
    ) {
        self.cluster = cluster
        self.instance = instance
        self.sequence = sequence
        self.sentAt = sentAt
        self.interval = interval
        self.wanted = wanted
        self.isScheduled = isScheduled
        self.isPlanned = isPlanned
        self.takesInside = takesInside
        self.followsInside = followsInside
        self.insideMissed = insideMissed
        self.echo = echo
        self.drain = drain
        self.head = head
        self.rollup = rollup
        self.relaySetGeneration = relaySetGeneration
        self.workload = workload
        self.testimonies = testimonies
    }
}

/// Whether a cluster's relays hear the heartbeats of one node of another cluster. To that cluster it
/// is evidence: of life, if it is heard; never alone of death.
public struct Testimony: Hashable, Sendable {
    /// ``FNV1a`` of the node's name.
    public var nameHash: UInt64
    public var isHeard: Bool

    public init(about name: String, isHeard: Bool) {
        self.init(nameHash: Self.hash(of: name), isHeard: isHeard)
    }

    init(nameHash: UInt64, isHeard: Bool) {
        self.nameHash = nameHash
        self.isHeard = isHeard
    }

    public static func hash(of name: String) -> UInt64 { FNV1a(name.utf8).value }
}

/// The last beat heard from the receiver, and how long ago: proves the other direction and measures
/// the round trip without comparing two clocks.
public struct HeartbeatEcho: Hashable, Sendable {
    public var sequence: UInt64
    /// Whole microseconds, at most 71 minutes.
    public var hold: Duration

    public init(sequence: UInt64, hold: Duration) {
        self.sequence = sequence
        self.hold = hold
    }
}

/// A cluster's wish to take no new flows, or its end. The highest generation counts.
public struct DrainDeclaration: Hashable, Sendable {
    /// Raised by the owner with every declaration, across restarts; 0 is never declared.
    public var generation: UInt64
    public var isDraining: Bool

    public init(generation: UInt64, isDraining: Bool) {
        self.generation = generation
        self.isDraining = isDraining
    }

    public static let never = DrainDeclaration(generation: 0, isDraining: false)
}

/// Hash of the positions of all ledgers that a relay holds: 16 bytes, compared for equality only.
public struct RollupHash: Hashable, Sendable {
    public var high: UInt64
    public var low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    public static let zero = RollupHash(high: 0, low: 0)
}
