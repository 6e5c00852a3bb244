// SPDX-License-Identifier: Apache-2.0

public import MeshModel
public import MeshTrust

/// A link of this process; never reused.
public struct LinkID: RawRepresentable, Hashable, Comparable, Sendable {
    public let rawValue: UInt64

    public init(rawValue: UInt64) { self.rawValue = rawValue }

    public static func < (left: LinkID, right: LinkID) -> Bool { left.rawValue < right.rawValue }
}

/// Where a socket is.
public struct TransportAddress: Hashable, Sendable {
    public let address: Address
    /// Host byte order.
    public let port: UInt16

    public init(address: Address, port: UInt16) {
        self.address = address
        self.port = port
    }
}

extension TransportAddress: CustomStringConvertible {
    public var description: String {
        address.isIPv4 ? "\(address):\(port)" : "[\(address)]:\(port)"
    }
}

/// A peer to keep a link to.
public struct LinkTarget: Hashable, Sendable {
    public let remote: TransportAddress
    /// Nil accepts any configured cluster at that address.
    public let cluster: ClusterName?
    /// Nil accepts any node of the cluster.
    public let node: String?

    public init(address: Address, port: UInt16, cluster: ClusterName? = nil, node: String? = nil) {
        remote = TransportAddress(address: address, port: port)
        self.cluster = cluster
        self.node = node
    }
}

/// An authenticated stream to another node, on which both sides have acknowledged each other.
public struct Link: Sendable, Identifiable {
    public let id: LinkID
    /// From the peer's certificate.
    public let peer: PeerIdentity
    /// The same node by its cluster's configured ID.
    public let node: NodeID
    /// Rises with every start of the peer's agent.
    public let incarnation: UInt64
    /// Whether this side dialled.
    public let isInitiator: Bool
    public let remoteAddress: TransportAddress
    /// Fresh for this link: hand them to ``DatagramSocket/install(_:for:)``.
    public let heartbeatKeys: HeartbeatKeys

    public var clusterID: ClusterID { node.cluster }
}

/// What happens on links, in order for each link: `.up`, any number of `.frame`, `.down`.
public enum LinkEvent: Sendable {
    case up(Link)
    /// At most ``Frame/payloadMaximum`` bytes.
    case frame(LinkID, [UInt8])
    case down(LinkID, LinkDownReason)
    /// A connection that never became a link. Lost when the reader is too far behind, and counted.
    case refused(LinkRefusal)
    /// A node that had a link before is no longer believed: drop its keys. A link that it has goes
    /// down as well.
    case distrusted(NodeID)
}

/// Why a link ended.
public enum LinkDownReason: String, Hashable, Sendable, CaseIterable {
    case closedByPeer = "closed-by-peer"
    /// Nothing heard for ``LinkTiming/deadAfter``.
    case silent
    /// More than ``LinkConfiguration/outboundBytesMaximum`` waited to be sent.
    case slowPeer = "slow-peer"
    /// Another link to the same node took its place.
    case replaced
    /// The peer's certificate is no longer good under the reloaded bundles.
    case trustWithdrawn = "trust-withdrawn"
    /// The peer's certificate, key, name or authority was denied.
    case denied
    /// The peer's certificate has ended, and the grace after it.
    case expired
    case protocolViolation = "protocol-violation"
    case closedLocally = "closed-locally"
    case shutdown
}
