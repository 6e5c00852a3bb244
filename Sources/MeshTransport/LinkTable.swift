// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// Which link a pair of nodes keeps. Both sides come to the same answer without talking about it.
struct LinkTable<Connection> {
    struct Entry {
        let id: LinkID
        let node: NodeID
        let incarnation: UInt64
        let isInitiator: Bool
        let connection: Connection
    }

    enum Decision {
        /// The link is in the table; `replaced` no longer is and must be closed.
        case accepted(replaced: Entry?)
        case refused(RefusalReason)
    }

    let own: NodeID
    private(set) var entries: [LinkID: Entry] = [:]
    private var byNode: [NodeID: LinkID] = [:]

    init(own: NodeID) { self.own = own }

    subscript(node: NodeID) -> Entry? { byNode[node].flatMap { entries[$0] } }

    /// A newer incarnation wins over an older one. Within one, when both dial at once, the link that
    /// the lower node dialled stays; a second link in the same direction replaces the first, since
    /// whoever dials again believes the first one dead.
    mutating func admit(_ candidate: Entry) -> Decision {
        if let existing = self[candidate.node] {
            if candidate.incarnation < existing.incarnation { return .refused(.staleIncarnation) }
            let isPreferred = candidate.isInitiator == (own < candidate.node)
            if candidate.incarnation == existing.incarnation,
                candidate.isInitiator != existing.isInitiator, !isPreferred
            {
                return .refused(.duplicate)
            }
        }
        let replaced = remove(byNode[candidate.node])
        entries[candidate.id] = candidate
        byNode[candidate.node] = candidate.id
        return .accepted(replaced: replaced)
    }

    @discardableResult
    mutating func remove(_ id: LinkID?) -> Entry? {
        guard let id, let entry = entries.removeValue(forKey: id) else { return nil }
        byNode[entry.node] = nil
        return entry
    }
}
