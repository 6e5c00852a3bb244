// SPDX-License-Identifier: Apache-2.0

public import FoundationEssentials
public import MeshModel

/// What is replaced.
public enum RotationKind: String, Hashable, Sendable, Codable {
    /// The anchor that peers hold: they must hold the new one before anything rests on it.
    case root
    /// Travels with every certificate it signed: no peer needs to know it beforehand.
    case intermediate
}

/// Where a rotation stands. A root passes all phases to ``removed``, an intermediate leaves out
/// ``published``; an aborted one passes ``aborting`` to ``aborted``.
public enum RotationPhase: String, Hashable, Sendable, Codable, CaseIterable {
    /// The new key is being made.
    case preparing
    /// The bundle with both roots is out; not every peer has acknowledged it.
    case published
    /// Every peer has, or was given up by force: the authority may change over.
    case acknowledged
    /// The new key signs; certificates under the old one are still in use.
    case active
    /// Nothing rests on the old one any more: it leaves the bundle, and its key is destroyed.
    case retiring
    case removed
    /// The new root leaves the bundle again and its key is destroyed.
    case aborting
    case aborted

    public var isFinal: Bool { self == .removed || self == .aborted }
}

/// What the shell has to do. Each may be asked for again after a crash, when it may be done already:
/// doing it twice must leave what doing it once leaves.
public enum RotationEffect: Hashable, Sendable {
    /// Make key and certificate number `generation` of that kind unless they exist (of a root also an
    /// intermediate below it), then call ``Rotation/generated(_:now:)`` instead of `performed`.
    case generateKey(RotationKind, generation: UInt64)
    /// Publish the bundle with that sequence and just these roots, signed by the issuer of now.
    /// Signed again or not, the statement's body must be the same each time.
    case publish(sequence: UInt64, roots: [String])
    /// From now on sign certificates and statements with this key.
    case switchIssuer(to: String)
    /// Make every node of the cluster renew now, and sign the statements in force again (deny list,
    /// delegations, admissions), each with its next sequence: what the old key signed won't be
    /// verifiable for ever.
    case reissue(under: String)
    /// Destroy the old key.
    case drop(String)
    /// Destroy key number `generation`, if it was made: it has signed nothing.
    case discardKey(RotationKind, generation: UInt64)
}

/// A key of the authority, by its certificate.
public struct AuthorityKey: Hashable, Sendable, Codable {
    /// The subject key identifier in lower-case hexadecimal.
    public let keyIdentifier: String
    public let notAfter: Date

    public init(keyIdentifier: String, notAfter: Date) {
        self.keyIdentifier = keyIdentifier
        self.notAfter = notAfter
    }

    /// ``keyIdentifier`` as certificates have it.
    public var bytes: [UInt8] { [UInt8](hexadecimal: keyIdentifier) ?? [] }
}

/// Who has to hold a bundle before a root may change: every other cluster of the mesh, and the own
/// cluster too when its nodes talk to each other.
public struct RotationPeer: Hashable, Sendable, Codable {
    public let cluster: ClusterName
    /// False while it is unreachable. It is waited for all the same, and named.
    public var isLive: Bool
    /// The highest bundle sequence that *all* its nodes hold, as it acknowledged; 0 for none.
    public var acknowledged: UInt64

    public init(cluster: ClusterName, isLive: Bool, acknowledged: UInt64 = 0) {
        self.cluster = cluster
        self.isLive = isLive
        self.acknowledged = acknowledged
    }
}

extension RotationPeer: CustomStringConvertible {
    public var description: String { isLive ? "\(cluster)" : "\(cluster) (unreachable)" }
}

public struct RotationParameters: Hashable, Sendable, Codable {
    /// How long a node certificate lives at most.
    public var leafLifeSeconds: Double
    /// How much the clocks of two nodes may differ.
    public var clockSkewSeconds: Double
    /// How long a session may outlive its certificate: its peer is judged again with each bundle.
    public var sessionGraceSeconds: Double

    public init(
        leafLifeSeconds: Double = 86_400, clockSkewSeconds: Double = 60,
        sessionGraceSeconds: Double = 0
    ) {
        self.leafLifeSeconds = leafLifeSeconds
        self.clockSkewSeconds = clockSkewSeconds
        self.sessionGraceSeconds = sessionGraceSeconds
    }
}

/// One step, for the log and the audit trail.
public struct RotationEvent: Hashable, Sendable {
    public let phase: RotationPhase
    public let sentence: String
}

extension RotationEvent: CustomStringConvertible {
    public var description: String { sentence }
}

/// The operator asked for what the phase doesn't allow. The rotation is as it was.
public enum RotationFault: Error, Hashable, Sendable {
    case nothingToForce(RotationPhase)
    case tooLateToAbort(RotationPhase)
}

extension RotationFault: CustomStringConvertible {
    public var description: String {
        switch self {
        case .nothingToForce(.preparing):
            "the new root isn't published yet, so nobody can hold it: try again in a moment"
        case .nothingToForce(let phase):
            "the rotation is \(phase.rawValue) and waits for nobody"
        case .tooLateToAbort(let phase):
            "the rotation is \(phase.rawValue), certificates may rest on the new key already: let it "
                + "end, then rotate again"
        }
    }
}
