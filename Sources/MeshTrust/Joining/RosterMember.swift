// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// Another cluster, as a roster sees it.
public struct RosterMember: Hashable, Sendable {
    public enum State: Hashable, Sendable {
        case member
        /// Known, not trusted: an operator may accept it.
        case pending(PendingReason)
        /// Out, with every other newcomer that wants the same.
        case conflicted(Conflict)
        /// By its own word.
        case left
        case forgotten(by: ClusterName)

        public var isMember: Bool { self == .member }
    }

    public enum PendingReason: Hashable, Sendable {
        /// None of those who admitted it is accepted here as an introducer.
        case introducers([ClusterName])
        /// The name was known under other roots and nothing they signed leads to the new ones.
        case newRoot(replaces: [KeyPin])
        /// It uses what belonged to a cluster that an introducer has forgotten.
        case reserved(Conflict)
    }

    /// What two clusters can't both have.
    public enum Conflict: Hashable, Sendable {
        case name(ClusterName)
        case id(ClusterID, with: ClusterName)
        case prefixes(own: Prefix, other: Prefix, with: ClusterName)
    }

    public let state: State
    /// The newest announcement's.
    public let description: ClusterDescription
    /// What was admitted or accepted; no other cluster may have its addresses.
    public let granted: ClusterCharter
    /// Accepted introducers that admitted it; empty when it was accepted here.
    public let introducers: [ClusterName]
    /// Whether it was accepted here, by joining or by an operator.
    public let isAcceptedHere: Bool

    public var name: ClusterName { description.name }
    public var bundle: TrustBundle { description.bundle }
    /// What importers enforce: what it asks for, if that is no more than was granted, which else
    /// stays in force.
    public var charter: ClusterCharter { growth == nil ? description.charter : granted }
    /// What it asks for beyond ``granted``; an operator may accept it.
    public var growth: ClusterCharter? {
        description.charter.isWithin(granted) ? nil : description.charter
    }
}

extension RosterMember.Conflict: CustomStringConvertible {
    public var description: String {
        switch self {
        case .name(let name): "another cluster with another root has the name '\(name)'"
        case .id(let id, let other): "cluster '\(other)' has ID \(id), too"
        case .prefixes(let own, let other, let name):
            "its pod prefix \(own) overlaps \(other) of cluster '\(name)'"
        }
    }
}

extension RosterMember.PendingReason: CustomStringConvertible {
    public var description: String {
        switch self {
        case .introducers(let names):
            "introduced by \(names.map { "'\($0)'" }.joined(separator: ", ")), no introducer accepted here"
        case .newRoot(let pins):
            "its root isn't \(pins.map(\.short).joined(separator: " or ")) any more and nothing signed by that one says so"
        case .reserved(let conflict): "\(conflict), which was forgotten"
        }
    }
}

extension RosterMember.State: CustomStringConvertible {
    public var description: String {
        switch self {
        case .member: "member"
        case .pending(let reason): "pending: \(reason)"
        case .conflicted(let conflict): "conflicted: \(conflict)"
        case .left: "left"
        case .forgotten(let name): "forgotten by '\(name)'"
        }
    }
}
