// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// How an opening fails.
public enum BackendFailure: String, Hashable, Sendable {
    case silent
    case refused
    case unreachable
}

/// A backend that takes no new flows of this node.
public struct Quarantine: Hashable, Sendable {
    public let backend: BackendKey
    public let node: NodeID
    public let since: Instant
    /// How it failed last.
    public let failure: BackendFailure
    /// Failures and connections that they befell.
    public let failures: Int
    public let openings: Int
    /// Times it had come back a short while before.
    public let relapses: Int
}

/// Why a quarantine ended.
public enum QuarantineEnd: String, Hashable, Sendable {
    /// Probes were answered.
    case answered
    /// It can't be probed, and its time is over.
    case expired
    /// It would be its service's last backend, or one too many of them.
    case needed
    /// No service has it any more.
    case gone
}

/// Something that more than one backend's failure speaks against: for whoever judges nodes and
/// clusters, and never alone a proof against a cluster.
public struct Suspicion: Hashable, Sendable {
    public enum Subject: Hashable, Sendable {
        case node(NodeID)
        case cluster(ClusterID)
    }

    public let subject: Subject
    /// False when something there answered again, or nothing has failed for long enough.
    public let isRaised: Bool
    /// Addresses of backends that are silent, and of all that services have there.
    public let silent: Int
    public let known: Int
    /// First of the failures.
    public let since: Instant
}

extension Suspicion.Subject: CustomStringConvertible {
    public var description: String {
        switch self {
        case .node(let node): "node \(node)"
        case .cluster(let cluster): "cluster \(cluster)"
        }
    }
}

/// A connection to try, from the endpoint behind an interface or any other of this node.
public struct ProbeRequest: Hashable, Sendable {
    public let backend: BackendKey
    /// Host-side interface of the endpoint that saw the last failure.
    public let interface: UInt32

    public init(backend: BackendKey, interface: UInt32) {
        self.backend = backend
        self.interface = interface
    }
}

public enum ProbeOutcome: String, Hashable, Sendable {
    case answered
    case refused
    case silent
    case unreachable
    /// A policy at the backend's node doesn't let the endpoint try: the node lives, the backend wasn't
    /// asked.
    case denied
    /// No endpoint of this node can try.
    case impossible
}

/// What the shell does for ``BackendHealth``, in this order.
public struct BackendHealthEffects: Sendable {
    public var quarantined: [Quarantine] = []
    public var released: [(quarantine: Quarantine, end: QuarantineEnd)] = []
    /// Backends that a bound kept out of quarantine; told once until they answer.
    public var spared: [BackendKey] = []
    public var suspicions: [Suspicion] = []
    /// Each is answered with ``BackendHealth/finish(_:_:at:using:into:)``.
    public var probes: [ProbeRequest] = []

    public init() {}
}
