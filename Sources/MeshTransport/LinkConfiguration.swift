// SPDX-License-Identifier: Apache-2.0

public import FoundationEssentials
public import MeshModel
public import MeshTrust

/// What a node proves itself with and whom it believes; replaced as a whole by
/// ``LinkService/reload(_:)``.
public struct LinkSecurity: Sendable {
    public let credentials: NodeCredentials
    public let trust: TrustStore
    /// IDs of this cluster and of every peer by name.
    public let clusters: [ClusterName: ClusterID]

    public init(
        credentials: NodeCredentials, trust: TrustStore, clusters: [ClusterName: ClusterID]
    ) {
        self.credentials = credentials
        self.trust = trust
        self.clusters = clusters
    }
}

/// Periods of a link. Tests shorten them.
public struct LinkTiming: Sendable {
    /// A keepalive is sent when nothing else was for so long.
    public var keepalive: Duration = .seconds(1)
    public var deadAfter: Duration = .seconds(3)
    /// From connecting or accepting to the last acknowledgement.
    public var handshake: Duration = .seconds(5)
    public var backoffMinimum: Duration = .milliseconds(100)
    public var backoffMaximum: Duration = .seconds(5)
    /// Attempts to connect that may begin at once, over all targets ...
    public var dialBurst = 32
    /// ... and in a second after those. A handshake costs about 2 ms of a processor.
    public var dialsPerSecond = 64

    public init() {}
}

public struct LinkConfiguration: Sendable {
    /// Where to listen, and the source of outgoing connections; port 0 takes a free one.
    public var listen: TransportAddress
    public var clusterID: ClusterID
    /// Rises with every start of the agent.
    public var incarnation: UInt64
    public var security: LinkSecurity
    public var timing = LinkTiming()
    /// Bytes one link may keep for a peer that doesn't read before the link is closed.
    public var outboundBytesMaximum = 16 * 1024 * 1024
    /// Bytes of one link that may wait for the reader of the events; then its socket isn't read.
    public var inboundBytesMaximum = 2 * 1024 * 1024
    public var handshakesMaximum = 128
    /// Asked about every chain that is otherwise good, on any thread. When it answers differently
    /// than before, call ``LinkService/judgeAgain()``.
    public var denied: Denial?
    /// What certificates are compared with.
    public var wallClock: @Sendable () -> Date = { Date() }

    public init(
        listen: TransportAddress, clusterID: ClusterID, incarnation: UInt64,
        security: LinkSecurity
    ) {
        self.listen = listen
        self.clusterID = clusterID
        self.incarnation = incarnation
        self.security = security
    }
}
