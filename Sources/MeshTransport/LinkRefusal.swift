// SPDX-License-Identifier: Apache-2.0

public import MeshModel
public import MeshTrust

/// A connection that didn't become a link.
public struct LinkRefusal: Sendable {
    public let remote: TransportAddress?
    /// Known only when the certificate was good.
    public let peer: PeerIdentity?
    public let reason: RefusalReason
}

/// Why a connection didn't become a link. Dialled ones are tried again, later and later.
public enum RefusalReason: Error, Hashable, Sendable {
    case trust(TrustError)
    case tls(String)
    /// A resumed session bypasses verification.
    case unverifiedSession
    case handshakeTimeout
    case tooManyHandshakes
    case unsupportedVersion(UInt8)
    case malformed(String)
    case oversizedFrame(bytes: Int)
    case truncatedFrame
    /// The certificate's names aren't those of the hello.
    case identityMismatch(hello: String)
    case unknownCluster(ClusterName)
    case wrongClusterID(claimed: ClusterID, configured: ClusterID)
    /// Somebody else answered at a target's address.
    case unexpectedPeer(expected: String)
    case selfConnection
    /// A link with the same node exists and stays.
    case duplicate
    /// The peer's incarnation is older than its link's.
    case staleIncarnation
    /// The peer's own words, bounded.
    case refusedByPeer(String)
    case closedByPeer
    case cannotConnect(String)

    var rejection: TransportRejection {
        switch self {
        case .trust: .trust
        case .tls, .closedByPeer: .tls
        case .unverifiedSession: .unverifiedSession
        case .handshakeTimeout: .handshakeTimeout
        case .tooManyHandshakes: .tooManyHandshakes
        case .unsupportedVersion: .unsupportedVersion
        case .malformed: .malformedFrame
        case .oversizedFrame: .oversizedFrame
        case .truncatedFrame: .truncatedFrame
        case .identityMismatch, .unknownCluster, .wrongClusterID, .unexpectedPeer, .selfConnection:
            .identityMismatch
        case .duplicate, .staleIncarnation: .duplicateLink
        case .refusedByPeer: .refusedByPeer
        case .cannotConnect: .cannotConnect
        }
    }

    /// Part of normal life, not for an operator's eyes.
    public var isRoutine: Bool {
        self == .duplicate || self == .refusedByPeer(Self.duplicate.description)
    }
}

extension RefusalReason: CustomStringConvertible {
    public var description: String {
        switch self {
        case .trust(let error): "\(error)"
        case .tls(let reason):
            "TLS failed: \(reason); if the peer refused this node's certificate, its log says why"
        case .unverifiedSession:
            "the peer resumed an old session, which isn't accepted: it must connect anew"
        case .handshakeTimeout: "the peer didn't introduce itself in time"
        case .tooManyHandshakes: "too many connections are being opened at once"
        case .unsupportedVersion(let version):
            "the peer speaks protocol version \(version), this node \(Hello.version): upgrade the older"
        case .malformed(let what): "the peer sent something malformed: \(what)"
        case .oversizedFrame(let bytes):
            "the peer sent a frame of \(bytes) bytes, at most \(Frame.lengthMaximum) are read"
        case .truncatedFrame: "the peer's stream ended within a frame"
        case .identityMismatch(let hello):
            "the peer says it is \(hello), its certificate says otherwise: check its configured names"
        case .unknownCluster(let name):
            "cluster \(name) isn't configured here: add it to the peers"
        case .wrongClusterID(let claimed, let configured):
            "the peer says its cluster's ID is \(claimed), the configuration here says \(configured): "
                + "correct one of them"
        case .unexpectedPeer(let expected):
            "\(expected) was expected at this address: correct the peer's addresses"
        case .selfConnection: "this address is the node itself: take it out of the peers' addresses"
        case .duplicate: "a link between the two nodes exists"
        case .staleIncarnation:
            "a newer instance of that node is connected: two agents run as the same node, or its clock "
                + "went back"
        case .refusedByPeer(let words): "the peer refused: \(words)"
        case .closedByPeer: "the peer closed the connection before introducing itself"
        case .cannotConnect(let reason): "cannot connect: \(reason)"
        }
    }
}
