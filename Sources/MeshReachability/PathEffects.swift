// SPDX-License-Identifier: Apache-2.0

/// What a ``PathMonitor`` wants done, in order. The shell does it, logs and counts.
public struct PathEffects: Sendable {
    /// To be sealed and sent at once.
    public var beats: [OutgoingBeat] = []
    /// To be pushed to every node of the own cluster, this one included; nil if nothing is due.
    public var report: RelayReport?
    public var events: [PathEvent] = []

    public init() {}
}

public struct OutgoingBeat: Hashable, Sendable {
    public let path: PathID
    public let beat: Heartbeat
    /// To be sent through the overlay, as the workloads' packets are.
    public let isInside: Bool
}

/// Why a beat changed nothing.
public enum IgnoredBeat: String, Hashable, Sendable, CaseIterable {
    case unknownPath
    /// It says it is of another cluster than the path's key belongs to.
    case foreignCluster
    /// Replayed, or overtaken by a later one.
    case oldSequence
    /// Of a life of the peer that has ended.
    case retiredInstance
}

public enum PathEvent: Hashable, Sendable {
    case stateChanged(PathID, from: PathState, to: PathState, missed: Int)
    case ignored(PathID, IgnoredBeat)
    /// The peer's cluster has another set of relays than it had: fetch it.
    case relaySetChanged(PathID, generation: UInt64)
    /// This process overslept; its reports abstain until ``punctualAgain``.
    case late(by: Duration)
    case punctualAgain
}
