// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// A path between two relays. It is known by the heartbeats' key, not by a source address.
public struct PathID: Hashable, Comparable, Sendable {
    /// Name of the relay on this side, a node of the own cluster.
    public let local: String
    public let remote: NodeID

    public init(local: String, remote: NodeID) {
        self.local = local
        self.remote = remote
    }

    public var cluster: ClusterID { remote.cluster }

    public static func < (left: PathID, right: PathID) -> Bool {
        (left.remote, left.local) < (right.remote, right.local)
    }
}

extension PathID: CustomStringConvertible {
    public var description: String { "\(local)-\(remote)" }
}

/// How a path is to be watched.
public struct PathPlan: Hashable, Sendable {
    public let path: PathID
    /// Whether a service here has, or may fail over to, backends of that cluster.
    public let isInUse: Bool
    /// Whether this is the only path between the two clusters.
    public let isSingle: Bool
    /// Whether the cluster was up before this process started: then silence is news. Otherwise a
    /// path never heard stays unknown, which is not dead.
    public let wasUp: Bool

    public init(path: PathID, isInUse: Bool, isSingle: Bool, wasUp: Bool = false) {
        self.path = path
        self.isInUse = isInUse
        self.isSingle = isSingle
        self.wasUp = wasUp
    }

    /// The same without the past.
    var forgetting: PathPlan {
        PathPlan(path: path, isInUse: isInUse, isSingle: isSingle)
    }

    func interval(_ parameters: ReachabilityParameters) -> Duration {
        guard isInUse else { return parameters.intervalBackground }
        return isSingle ? parameters.intervalSinglePath : parameters.intervalInUse
    }
}

public enum PathState: UInt8, Hashable, Sendable, CaseIterable {
    /// Never heard with an echo of mine.
    case unknown = 0
    case up = 1
    case suspect = 2
    case down = 3
}

/// What a relay says about one of its paths.
public struct PathStatus: Hashable, Sendable {
    public var remote: NodeID
    public var state: PathState
    /// Beats missing in a row, in the worse direction, 0...15.
    public var missed: UInt8
    /// Beats heard in a row since the path was last suspect, 0...255 and no further.
    public var beats: UInt8
    /// Since the last beat, in whole milliseconds; nil if there was none.
    public var silence: Duration?
    /// Nil until measured; whole microseconds.
    public var roundTrip: Duration?
    public var drain: DrainDeclaration
    /// Where the remote cluster's ledger is, by its own word.
    public var head: Position
    public var relaySetGeneration: UInt64
    /// Of the remote cluster, by its own word; nil: it doesn't say.
    public var workload: Workload?
    /// Beats inside the overlay that miss in a row although those around them came, in the worse
    /// direction, 0...16; nil: none go there.
    public var insideMissed: UInt8?

    public init(
        remote: NodeID, state: PathState, missed: UInt8, beats: UInt8, silence: Duration?,
        roundTrip: Duration?, drain: DrainDeclaration, head: Position, relaySetGeneration: UInt64,
        workload: Workload? = nil, insideMissed: UInt8? = nil
    ) {
        self.remote = remote
        self.state = state
        self.missed = missed
        self.beats = beats
        self.silence = silence
        self.roundTrip = roundTrip
        self.drain = drain
        self.head = head
        self.relaySetGeneration = relaySetGeneration
        self.workload = workload
        self.insideMissed = insideMissed
    }

    /// Whether the path isn't up though the other end is heard, and hears: what is missing are the
    /// beats inside the overlay.
    public var overlayIsSilent: Bool {
        guard state == .suspect || state == .down, let insideMissed else { return false }
        return insideMissed > missed
    }
}
