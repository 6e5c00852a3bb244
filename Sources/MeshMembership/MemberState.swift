// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// What one member believes of another. Raw values are those on the wire.
///
/// A statement replaces another of a lower incarnation, and of the same one if its state is higher:
/// what is held only ever rises, and an incarnation that died stays dead.
public enum MemberState: UInt8, Sendable, CaseIterable, Comparable, Codable {
    /// In the roster and never heard: not dead. It is probed like any other, but accused only after
    /// ``MembershipParameters/unknownGrace`` and while somebody else answers, or when others say so.
    case unknown = 0
    case alive = 1
    /// Accused, and given time to refute. It still counts as alive.
    case suspect = 2
    case dead = 3
    /// Said itself that it goes.
    case left = 4

    public static func < (left: MemberState, right: MemberState) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// A member as this one sees it.
public struct MemberStatus: Hashable, Sendable {
    public let name: String
    public let state: MemberState
    /// Raised by the member itself, and only to contradict.
    public let incarnation: UInt32
    /// When `state` began.
    public let since: Instant
    /// The last datagram from the member itself.
    public let heardAt: Instant?
    /// Of a suspect or dead member, in the order they were learned, at most four.
    public let accusers: [String]
    /// By its own last word; nil if it doesn't know, or wasn't heard.
    public let workload: Workload?
}

/// A member whose state changed.
public struct MemberChange: Hashable, Sendable {
    public let name: String
    public let from: MemberState
    public let to: MemberState
    public let incarnation: UInt32
    /// Who stands behind a suspicion or death, the first accuser first; empty otherwise.
    public let accusers: [String]
    /// Witnesses outside the cluster that no longer heard it, either.
    public let deniers: Int
}
