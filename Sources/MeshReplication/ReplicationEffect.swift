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

    func allows(_ owner: ClusterID) -> Bool {
        switch self {
        case .all: true
        case .only(let owners): owners.contains(owner)
        }
    }
}

/// Whether this node wants to see a record: where an importer enforces the exporter's charter.
public enum RecordDecision: Hashable, Sendable {
    case accept
    /// With a reason an operator understands.
    case refuse(String)
}

/// Must depend on its arguments only.
public typealias RecordFilter = @Sendable (ClusterID, LedgerEntry) -> RecordDecision

public struct RefusedRecord: Hashable, Sendable {
    public let key: String
    public let reason: String
}

/// How the view of one owner changed.
///
/// The view at a position is every record of the owner's state there that the filter accepts,
/// whatever stood there before: a refused record is deleted from the view, not kept at its last
/// value. The replica keeps it for others. Records are unread; whoever reads them keeps its own
/// last good value of one that it can't decode.
public struct LedgerUpdate: Hashable, Sendable {
    public let owner: ClusterID
    public let position: Position
    /// New values; the key may be unknown to this version.
    public let puts: [LedgerEntry]
    /// May name keys that the view never had.
    public let deletes: [String]
    /// Each is among ``deletes`` too.
    public let refused: [RefusedRecord]
}

/// What a ``Synchroniser`` wants done, in order.
public enum ReplicationEffect: Hashable, Sendable {
    case send([UInt8], over: ReplicationLink)
    case changed(LedgerUpdate)
    /// To be counted; see ``RejectionReason/isViolation``.
    case rejected(RejectionReason, from: ReplicationLink)
    /// An alarm: the owner signed two histories. Its state stays as it is until its next epoch.
    case frozen(ClusterID, at: Position)
    /// The owner's next epoch is here.
    case thawed(ClusterID, at: Position)
}
