// SPDX-License-Identifier: Apache-2.0

internal import CMeshABI

/// What the programs count besides drops; raw values are those of `enum weft_counter`.
public enum DatapathCounter: UInt32, Hashable, Sendable, CaseIterable {
    case connectionsOpened = 128
    case socketsTranslated
    /// New flows that from-endpoint translated because no socket hook had.
    case packetsTranslated
    /// A backend was chosen although no cluster of its service is live.
    case lastResort
    /// Connections to a dead cluster or node that were answered with a reset.
    case connectionsReset
    case tooBigAnswered
    case mssClamped
    /// Flow events that found the ring buffer full.
    case eventsLost
    /// Flows forwarded although the connection table had no room.
    case connectionInsertFailed
    case encapsulated
    case delivered
    case toHost
    /// SYNs that endpoints here sent again without an answer.
    case openingsSilent
    /// Openings that a reset answered.
    case openingsRefused
    /// Openings that an ICMP error answered.
    case openingsUnreachable
    /// Other nodes' probes that the kernel answered in the agent's name.
    case probesAnswered
    /// Verdicts of policies that were told and not enforced.
    case audited
    /// Senders that were told of a policy's denial.
    case denialsAnswered
    /// Denials beyond those that are answered in a second.
    case denialsUnanswered
    /// Denials that the opener's node was told of, and not the opener.
    case denialsSignalled
    /// Denials at other nodes of what endpoints here opened.
    case denialsHeard

    /// Metric label.
    public var label: String {
        switch self {
        case .connectionsOpened: "connections_opened"
        case .socketsTranslated: "sockets_translated"
        case .packetsTranslated: "packets_translated"
        case .lastResort: "last_resort"
        case .connectionsReset: "connections_reset"
        case .tooBigAnswered: "too_big_answered"
        case .mssClamped: "mss_clamped"
        case .eventsLost: "events_lost"
        case .connectionInsertFailed: "connection_insert_failed"
        case .encapsulated: "encapsulated"
        case .delivered: "delivered"
        case .toHost: "to_host"
        case .openingsSilent: "openings_silent"
        case .openingsRefused: "openings_refused"
        case .openingsUnreachable: "openings_unreachable"
        case .probesAnswered: "probes_answered"
        case .audited: "audited"
        case .denialsAnswered: "denials_answered"
        case .denialsUnanswered: "denials_unanswered"
        case .denialsSignalled: "denials_signalled"
        case .denialsHeard: "denials_heard"
        }
    }
}

/// A counter, summed over all CPUs, since the maps were first pinned.
public struct CounterReading: Hashable, Sendable {
    public enum Subject: Hashable, Sendable {
        case drop(DropReason)
        case counter(DatapathCounter)
    }

    public let subject: Subject
    public let packets: UInt64
    public let bytes: UInt64

    public init(subject: Subject, packets: UInt64, bytes: UInt64) {
        self.subject = subject
        self.packets = packets
        self.bytes = bytes
    }

    public var label: String {
        switch subject {
        case .drop(let reason): reason.label
        case .counter(let counter): counter.label
        }
    }
}

extension CounterReading.Subject {
    /// Every counter but that of packets that were not dropped.
    static var all: [Self] {
        DropReason.allCases.dropFirst().map(Self.drop) + DatapathCounter.allCases.map(Self.counter)
    }

    /// In `weft_counters`.
    var index: Int {
        switch self {
        case .drop(let reason): Int(reason.rawValue)
        case .counter(let counter): Int(counter.rawValue)
        }
    }
}
