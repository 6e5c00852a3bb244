// SPDX-License-Identifier: Apache-2.0

internal import CMeshABI
public import MeshModel

/// Something that befell a flow: not one for each packet.
public struct FlowEvent: Hashable, Sendable {
    /// Raw values are those of `enum weft_event_type`.
    public enum Kind: UInt8, Hashable, Sendable {
        case opened = 1
        case closed = 2
        case denied = 3
        case dropped = 4
        case reset = 5
        /// A policy denies it, and it was let through: the endpoint is only audited.
        case audited = 6
    }

    public let kind: Kind
    /// Nanoseconds of CLOCK_MONOTONIC.
    public let nanoseconds: UInt64
    /// IP protocol number.
    public let transport: UInt8
    public let source: FlowSide
    public let destination: FlowSide
    /// The service that was asked for, nil without translation on this node.
    public let frontend: FlowAddress?
    /// Of the remote side; nil for what is no cluster's.
    public let cluster: ClusterID?
    /// Nil unless packets were dropped.
    public let reason: DropReason?
    /// Both directions; only of closed flows.
    public let packets: UInt64
    public let bytes: UInt64
    /// Index of the interface where the packet came in.
    public let interface: UInt32
    /// What decided, if a policy did: of what is denied, audited or dropped as `unknown_identity`.
    public let policy: FlowPolicy?

    public init(
        kind: Kind, nanoseconds: UInt64, transport: UInt8, source: FlowSide,
        destination: FlowSide, frontend: FlowAddress?, cluster: ClusterID?, reason: DropReason?,
        packets: UInt64, bytes: UInt64, interface: UInt32, policy: FlowPolicy? = nil
    ) {
        self.kind = kind
        self.nanoseconds = nanoseconds
        self.transport = transport
        self.source = source
        self.destination = destination
        self.frontend = frontend
        self.cluster = cluster
        self.reason = reason
        self.packets = packets
        self.bytes = bytes
        self.interface = interface
        self.policy = policy
    }
}

/// The interval that decided on a flow.
public struct FlowPolicy: Hashable, Sendable {
    /// Raw values are those of `enum weft_direction`.
    public enum Direction: UInt8, Hashable, Sendable, CaseIterable {
        /// By the set of the connection's opener, who isn't the packet's source when it is an answer.
        case egress = 0
        case ingress = 1
    }

    /// What ``Datapath/publishPolicy(_:as:)`` returned; 0 when the set has no version.
    public let version: UInt32
    public let rule: Int32
    public let direction: Direction

    public init(version: UInt32, rule: Int32, direction: Direction) {
        self.version = version
        self.rule = rule
        self.direction = direction
    }
}

public struct FlowAddress: Hashable, Sendable {
    public let address: Address
    /// Host byte order; 0 for protocols without ports.
    public let port: UInt16

    public init(address: Address, port: UInt16) {
        self.address = address
        self.port = port
    }
}

public struct FlowSide: Hashable, Sendable {
    public let at: FlowAddress
    public let identity: Identity

    public init(at: FlowAddress, identity: Identity) {
        self.at = at
        self.identity = identity
    }
}

extension FlowEvent {
    /// Nil for an event type of a newer program.
    init?(_ event: weft_event) {
        guard let kind = Kind(rawValue: event.type) else { return nil }
        func address(_ address: weft_address, _ port: UInt16) -> FlowAddress {
            FlowAddress(address: Address(address), port: UInt16(bigEndian: port))
        }
        let frontend = address(event.frontend, event.frontend_port)
        self.init(
            kind: kind, nanoseconds: event.time, transport: event.protocol,
            source: FlowSide(
                at: address(event.source, event.source_port),
                identity: Identity(rawValue: event.source_identity)),
            destination: FlowSide(
                at: address(event.destination, event.destination_port),
                identity: Identity(rawValue: event.destination_identity)),
            frontend: frontend.address == .unspecified ? nil : frontend,
            cluster: ClusterID(rawValue: event.cluster),
            reason: event.reason == 0 ? nil : DropReason(rawValue: event.reason),
            packets: event.packets, bytes: event.bytes, interface: event.ifindex,
            policy: FlowPolicy(event))
    }
}

extension FlowPolicy {
    /// Nil for events that no policy decided.
    init?(_ event: weft_event) {
        let isDecided =
            [WEFT_EVENT_DENIED, WEFT_EVENT_AUDITED].contains { $0.rawValue == event.type }
            || UInt32(event.reason) == WEFT_DROP_UNKNOWN_IDENTITY.rawValue
        guard isDecided, let direction = Direction(rawValue: event.policy_direction)
        else { return nil }
        self.init(version: event.policy_version, rule: event.policy_rule, direction: direction)
    }
}
