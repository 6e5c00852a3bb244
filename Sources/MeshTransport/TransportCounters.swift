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
    private var rejections: [TransportRejection: UInt64] = [:]

    public init() {}

    public subscript(reason: TransportRejection) -> UInt64 {
        get { rejections[reason, default: 0] }
        set { rejections[reason] = newValue }
    }
}

/// The counters of one process, shared by links and heartbeats.
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
