// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// What changed in a roster, or why a statement changed nothing. Each is a line in the audit log.
public enum RosterEvent: Hashable, Sendable {
    case joined(ClusterName, introducers: [ClusterName])
    case pending(ClusterName, RosterMember.PendingReason)
    case conflicted(ClusterName, RosterMember.Conflict)
    case left(ClusterName)
    case forgotten(ClusterName, by: ClusterName)
    case rootsChanged(ClusterName, [KeyPin])
    case addressesChanged(ClusterName, [ClusterAddress])
    case charterChanged(ClusterName)
    /// It asks for more than was accepted; what was accepted stays in force.
    case growthWaits(ClusterName)
    /// Another cluster has withdrawn its admission of this one.
    case forgottenOurselves(by: ClusterName)
    case ignored(String, IgnoredReason)
}

/// Why a statement changed nothing. It names what is wrong with it, so counters may use the case.
public enum IgnoredReason: Hashable, Sendable {
    case replayed(known: UInt64)
    case otherMesh(String)
    /// Not signed by any of the roots in it.
    case forged(String)
    /// Its signer isn't known, or none of its known roots has signed it: kept, and judged again
    /// when more is known.
    case unverified
    /// Two statements of one signer with one sequence.
    case contradiction
    /// As many as are kept wait already; it may be offered again.
    case tooMany
    /// A newer version made it, or it is damaged.
    case unreadable(String)
    /// It says it is of this very cluster.
    case ourName
}

extension RosterEvent: CustomStringConvertible {
    public var description: String {
        switch self {
        case .joined(let name, let introducers):
            introducers.isEmpty
                ? "cluster '\(name)' is a member: accepted here"
                : "cluster '\(name)' is a member: admitted by \(list(introducers))"
        case .pending(let name, let reason):
            "cluster '\(name)' is pending: \(reason); run 'weft cluster accept \(name)' to trust it"
        case .conflicted(let name, let conflict):
            "cluster '\(name)' stays out: \(conflict); correct one of them, or choose with 'weft cluster accept'"
        case .left(let name): "cluster '\(name)' has left the mesh"
        case .forgotten(let name, let introducer):
            "cluster '\(name)' is no longer a member: forgotten by '\(introducer)'"
        case .rootsChanged(let name, let pins):
            "cluster '\(name)' has roots \(pins.map(\.short).joined(separator: ", ")) now, by its own signature"
        case .addressesChanged(let name, let addresses):
            "cluster '\(name)' is at \(addresses.map(\.description).joined(separator: ", ")) now"
        case .charterChanged(let name): "the charter of cluster '\(name)' has changed"
        case .growthWaits(let name):
            "cluster '\(name)' asks for a larger charter: run 'weft cluster accept \(name)' to grant it"
        case .forgottenOurselves(let name):
            "cluster '\(name)' has forgotten this cluster: make a token there and join again, or run 'weft leave'"
        case .ignored(let statement, let reason): "\(statement) changes nothing: \(reason)"
        }
    }

    private func list(_ names: [ClusterName]) -> String {
        names.map { "'\($0)'" }.joined(separator: ", ")
    }
}

extension IgnoredReason: CustomStringConvertible {
    public var description: String {
        switch self {
        case .replayed(let known): "sequence \(known) is known already"
        case .otherMesh(let mesh): "it is of mesh '\(mesh)'"
        case .forged(let reason): "its signature doesn't count (\(reason))"
        case .unverified: "none of the signer's known roots has signed it; it waits"
        case .contradiction:
            "its signer said something else under the same sequence; look for two authorities with one key there"
        case .tooMany: "too many statements wait to be verified"
        case .unreadable(let reason): "it can't be read (\(reason))"
        case .ourName: "it is said in this cluster's name with another root; find out who made it"
        }
    }
}
