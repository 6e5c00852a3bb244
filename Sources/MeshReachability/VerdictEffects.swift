// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// What a ``VerdictEngine`` wants done: stores into the kernel's array, in order, and what to log.
public struct VerdictEffects: Sendable {
    public var words: [LivenessChange] = []
    public var events: [VerdictEvent] = []

    public init() {}
}

/// One 8-byte store that fails over, drains or ramps a whole cluster.
public struct LivenessChange: Hashable, Sendable {
    public let cluster: ClusterID
    public let word: LivenessWord
    public let previous: LivenessWord

    /// Whether open flows are to be ended now, idle readers included; true once per death.
    public var endsFlows: Bool {
        word.verdict == .unreachable && previous.verdict != .unreachable
    }
}

/// What the paths to a cluster said when its verdict was taken.
public struct Evidence: Hashable, Sendable {
    /// Paths reported by punctual relays that were ever up.
    public var counted = 0
    /// Of these: two beats missing or more, and three or more.
    public var suspect = 0
    public var down = 0
    /// Of these: up, and heard often enough in a row.
    public var recovered = 0
    public var up = 0
    /// Missing beats of all of them together.
    public var missed = 0
    /// Of `suspect`: the other end is heard, but not inside the overlay.
    public var overlaySilent = 0
    /// Whether connections to most of its backends get no answer.
    public internal(set) var isContradicted = false
    /// What the cluster says of itself over the paths that are up.
    public internal(set) var workloads = WorkloadSum()

    /// Whether it is the overlay alone that doesn't answer.
    public var isOverlayOnly: Bool { overlaySilent > 0 && overlaySilent == suspect }

    /// 2 of 3, 2 of 2, 1 of 1.
    public var quorum: Int { counted / 2 + 1 }
}

public enum VerdictEvent: Hashable, Sendable {
    case verdictChanged(ClusterID, from: Verdict, to: Verdict, Evidence)
    /// Too many clusters fell silent together: the fault is taken for mine, and `silent` stay suspect.
    case selfDoubtBegan(silent: [ClusterID], inUse: Int)
    case selfDoubtEnded
    /// Came and went too often: stays out for now, though it answers.
    case suppressed(ClusterID, penalty: Double)
    case suppressionEnded(ClusterID)
    case drainDeclared(ClusterID, DrainDeclaration)
    /// It has so little to spare that its weight falls.
    case capacityShort(ClusterID, Workload)
    /// Its weight is full again, as far as its capacity goes.
    case capacityAmple(ClusterID)
}
