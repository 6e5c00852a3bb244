// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Why the transport rejected something; the raw value is the metric's label.
public enum TransportRejection: String, Error, Hashable, Sendable, CaseIterable {
    case trust
    case tls
    case unverifiedSession = "unverified-session"
    case handshakeTimeout = "handshake-timeout"
    case tooManyHandshakes = "too-many-handshakes"
    case unsupportedVersion = "unsupported-version"
    case malformedFrame = "malformed-frame"
    case oversizedFrame = "oversized-frame"
    case truncatedFrame = "truncated-frame"
    case unexpectedFrame = "unexpected-frame"
    case identityMismatch = "identity-mismatch"
    case duplicateLink = "duplicate-link"
    case refusedByPeer = "refused-by-peer"
    case cannotConnect = "cannot-connect"
    case slowPeer = "slow-peer"
    /// A connection of somebody without a certificate ended before its answer.
    case enrolmentFailed = "enrolment-failed"
    case silentPeer = "silent-peer"
    case frameTooLarge = "frame-too-large"
    case unknownLink = "unknown-link"
    case eventLost = "event-lost"
    case heartbeatMalformed = "heartbeat-malformed"
    case heartbeatUnknownKey = "heartbeat-unknown-key"
    case heartbeatReplayed = "heartbeat-replayed"
    case heartbeatForged = "heartbeat-forged"
    case heartbeatTooLarge = "heartbeat-too-large"
    case heartbeatNoKey = "heartbeat-no-key"
    case heartbeatUnsent = "heartbeat-unsent"
    case heartbeatLost = "heartbeat-lost"
    case gossipMalformed = "gossip-malformed"
    case gossipUnknownKey = "gossip-unknown-key"
    case gossipReplayed = "gossip-replayed"
    case gossipForged = "gossip-forged"
    case gossipTooLarge = "gossip-too-large"
    case gossipNoKey = "gossip-no-key"
    case gossipUnsent = "gossip-unsent"
    case gossipLost = "gossip-lost"
    /// A node above the bound of the roster.
    case gossipRosterFull = "gossip-roster-full"
    case probeUnsent = "probe-unsent"
    case probeMalformed = "probe-malformed"
    /// An answer that is late, repeated, from elsewhere, or to no question.
    case probeUnexpected = "probe-unexpected"
    /// Another node's probe, which the kernel answers while this agent has a lease.
    case probeUnanswered = "probe-unanswered"
    case probeLost = "probe-lost"
    /// A datagram of no kind and version that is spoken here.
    case datagramVersion = "datagram-version"
    case datagramOversized = "datagram-oversized"
    /// From an address that sent too many forgeries.
    case datagramRateLimited = "datagram-rate-limited"
}

/// What the transport did since it started. Bytes are those of payloads.
public struct TransportCounters: Hashable, Sendable {
    public var linksOpened: UInt64 = 0
    public var linksClosed: UInt64 = 0
    public var framesSent: UInt64 = 0
    public var framesReceived: UInt64 = 0
    public var bytesSent: UInt64 = 0
    public var bytesReceived: UInt64 = 0
    public var heartbeatsSent: UInt64 = 0
    public var heartbeatsReceived: UInt64 = 0
    /// Of these, through the overlay.
    public var heartbeatsSentInside: UInt64 = 0
    public var heartbeatsReceivedInside: UInt64 = 0
    public var gossipSent: UInt64 = 0
    public var gossipReceived: UInt64 = 0
    /// UDP payloads as on the wire, unlike the bytes of links.
    public var gossipBytesSent: UInt64 = 0
    public var gossipBytesReceived: UInt64 = 0
    public var probesSent: UInt64 = 0
    public var probesAnswered: UInt64 = 0
    private var rejections: [TransportRejection: UInt64] = [:]

    public init() {}

    public subscript(reason: TransportRejection) -> UInt64 {
        get { rejections[reason, default: 0] }
        set { rejections[reason] = newValue }
    }
}

/// The counters of one process, shared by links and datagrams.
public final class TransportStatistics: Sendable {
    private let counters = Mutex(TransportCounters())

    public init() {}

    public var snapshot: TransportCounters { counters.withLock { $0 } }

    func count(_ reason: TransportRejection) {
        counters.withLock { $0[reason] &+= 1 }
    }

    func update(_ body: (inout TransportCounters) -> Void) {
        counters.withLock { body(&$0) }
    }
}
