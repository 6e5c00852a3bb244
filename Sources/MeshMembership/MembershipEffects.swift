// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// What ``Membership`` wants done, in order. The shell does it, logs and counts.
public struct MembershipEffects: Sendable {
    /// To be sealed and sent at once.
    public var sends: [OutgoingDatagram] = []
    public var events: [MembershipEvent] = []

    public init() {}
}

public struct OutgoingDatagram: Hashable, Sendable {
    /// A name of the roster.
    public let to: String
    /// Plaintext, at most 1,184 bytes.
    public let bytes: [UInt8]
}

/// Why a datagram was dropped before it changed anything.
public enum MembershipRejection: Hashable, Sendable {
    /// The sender isn't in the roster.
    case unknownSender
    case oversized
    /// Written by a version that this one can't read.
    case unsupportedVersion(UInt8)
    case malformed(DecodingFault)
}

public enum MembershipEvent: Hashable, Sendable {
    case changed(MemberChange)
    /// The factor on this member's own interval and timeout, 1...8; above 1 it doubts itself.
    case healthChanged(from: Int, to: Int)
    /// Others said that this member is suspect or dead; it contradicted with `incarnation`.
    case refuted(incarnation: UInt32, accusers: [String])
    /// This process was held up; nobody is judged for that time.
    case late(by: Duration)
    /// Neither a member nor an outside witness is heard, or one is again: until then nobody is accused.
    case isolated(Bool)
    case rejected(from: String, MembershipRejection)
}

/// Totals since the start.
public struct MembershipCounters: Hashable, Sendable {
    public var probes: UInt64 = 0
    /// Neither an ack nor a helper's.
    public var probesFailed: UInt64 = 0
    /// Failed, but nobody was accused: this member is isolated.
    public var accusationsWithheld: UInt64 = 0
    /// By this member's own probes.
    public var accusations: UInt64 = 0
    public var refutations: UInt64 = 0
    public var deaths: UInt64 = 0
    /// Members back with a later incarnation than the one that died.
    public var revivals: UInt64 = 0
    /// Deaths told by others and taken as suspicions.
    public var deathsDoubted: UInt64 = 0
    public var late: UInt64 = 0
    /// Statements about names outside the roster.
    public var strangers: UInt64 = 0
    /// Pings for others that weren't sent, for too many are under way.
    public var errandsRefused: UInt64 = 0
    public var unknownSenders: UInt64 = 0
    public var oversized: UInt64 = 0
    public var unsupportedVersions: UInt64 = 0
    public var malformed: UInt64 = 0
    /// Testimonies of no configured witness, or about nobody in the roster.
    public var strangeTestimonies: UInt64 = 0
    public var datagramsSent: UInt64 = 0
    /// Plaintext.
    public var bytesSent: UInt64 = 0
}
