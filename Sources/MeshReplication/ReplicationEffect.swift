// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// One ordered, reliable, authenticated stream to a peer, from its opening to its end. A new
/// connection to the same peer is a new link.
public struct ReplicationLink: RawRepresentable, Hashable, Comparable, Sendable {
    public let rawValue: UInt64

    public init(rawValue: UInt64) { self.rawValue = rawValue }

    public static func < (left: ReplicationLink, right: ReplicationLink) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// Which owners' ledgers a link carries, both ways.
public enum OwnerScope: Hashable, Sendable {
    case all
    case only(Set<ClusterID>)
    case allBut(ClusterID)

    func allows(_ owner: ClusterID) -> Bool {
        switch self {
        case .all: true
        case .only(let owners): owners.contains(owner)
        case .allBut(let other): owner != other
        }
    }
}

/// A change that no ledger can carry, with a reason an operator understands.
public struct RefusedRecord: Hashable, Sendable {
    public let key: String
    public let reason: String
}

/// How one owner's records changed: unread, and unfiltered.
public struct LedgerUpdate: Hashable, Sendable {
    public let owner: ClusterID
    public let position: Position
    /// Each key once; it may be unknown to this version.
    public let changes: [LedgerReplacement]
    /// Of what this node published itself.
    public let refused: [RefusedRecord]
}

/// What a ``Synchroniser`` wants done, in order.
public enum ReplicationEffect: Hashable, Sendable {
    case send([UInt8], over: ReplicationLink)
    case changed(LedgerUpdate)
    /// The replica's next batch, for the journal. Of the ledger that is open here nothing is sent
    /// before ``Synchroniser/release(through:into:)``.
    case append(ClusterID, Position, message: [UInt8])
    /// The replica's state was replaced: the journal needs ``Synchroniser/takeCheckpoint(of:)``.
    case replaced(ClusterID)
    /// To be counted; see ``RejectionReason/isViolation``.
    case rejected(RejectionReason, from: ReplicationLink)
    /// An alarm: the owner signed two histories. Its state stays as it is until its next epoch.
    case frozen(ClusterID, at: Position)
    /// The owner's next epoch is here.
    case thawed(ClusterID, at: Position)
}
