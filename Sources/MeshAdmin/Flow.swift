// SPDX-License-Identifier: Apache-2.0

/// Something that happened to a connection: a line of `GET /v1/flows`.
public struct Flow: Codable, Hashable, Sendable {
    public enum Kind: String, Codable, Sendable, CaseIterable {
        case opened, closed, denied, dropped
        /// Answered with a reset because the other side's cluster or node is gone.
        case reset
        /// What policies deny, let through because they are being tried out.
        case audited
    }

    public enum Verdict: String, Codable, Sendable, CaseIterable {
        case forwarded, denied, dropped
    }

    /// Milliseconds since 1970-01-01T00:00Z.
    public var timeUnixMilliseconds: Int64
    /// `CLUSTER/NODE` of the node that saw it; nil from agents that don't say.
    public var node: String?
    public var type: Kind
    public var verdict: Verdict
    public var transport: String
    public var source: FlowPeer
    public var destination: FlowPeer
    /// The service address that was asked for, `address:port`; nil without translation here.
    public var frontend: String?
    /// Label of the drop reason.
    public var reason: String?
    /// Which policy decided against it: `NetworkPolicy shop/db isolates it and no rule accepts`.
    public var policy: String?
    /// Both directions, known when closed.
    public var packets: UInt64
    public var bytes: UInt64

    public init(
        timeUnixMilliseconds: Int64, node: String? = nil, type: Kind, verdict: Verdict,
        transport: String, source: FlowPeer, destination: FlowPeer, frontend: String? = nil,
        reason: String? = nil, policy: String? = nil, packets: UInt64, bytes: UInt64
    ) {
        self.timeUnixMilliseconds = timeUnixMilliseconds
        self.node = node
        self.type = type
        self.verdict = verdict
        self.transport = transport
        self.source = source
        self.destination = destination
        self.frontend = frontend
        self.reason = reason
        self.policy = policy
        self.packets = packets
        self.bytes = bytes
    }
}

public struct FlowPeer: Codable, Hashable, Sendable {
    public var address: String
    public var port: UInt16
    public var identity: UInt32
    /// Namespace and name of the endpoint, nil when it is none that is known.
    public var namespace: String?
    public var name: String?
    /// Name of the cluster; nil outside the mesh.
    public var cluster: String?
    /// Of its identity, where that is known.
    public var labels: [String: String]?
    /// `NAMESPACE/NAME` of the service that was asked for, or that it is a backend of; of several the
    /// first by name.
    public var service: String?

    public init(
        address: String, port: UInt16, identity: UInt32, namespace: String? = nil,
        name: String? = nil, cluster: String? = nil, labels: [String: String]? = nil,
        service: String? = nil
    ) {
        self.address = address
        self.port = port
        self.identity = identity
        self.namespace = namespace
        self.name = name
        self.cluster = cluster
        self.labels = labels
        self.service = service
    }
}
