// SPDX-License-Identifier: Apache-2.0

import MeshLease
import MeshModel
import MeshReplication

// MARK: The API server's word on the whole cluster

/// Of one publisher and, while none answers, of every node that asks the API server itself. It goes
/// into the ledger, and into rows only while the ledger doesn't count: in no report.
extension StateCore {
    /// So long after the publisher was heard last, a node asks the API server itself.
    static let directWatchPatience = Duration.seconds(3)
    /// Added to it for each node of the cluster, a part of it at each node: they don't ask at once.
    static let directWatchSpread = Duration.milliseconds(10)
    /// A publisher that answers again must list everything before its ledger is as new as what this
    /// node has from the API server.
    static let publisherListing = Duration.seconds(60)

    /// Whether this node shall ask the API server for the whole cluster's objects.
    func wantsObjects(at now: Instant) -> Bool {
        guard configuration.kubernetes != nil else { return false }
        if isOpen || candidacy?.keeper.tenure(at: now) != nil { return true }
        guard view.usesReports else { return false }
        return view.objects != nil || now - publisherHeard > directWatchDelay
    }

    /// 3 s and up to 10 ms for each node of the cluster, the same at each start.
    var directWatchDelay: Duration {
        let share = Double(FNV1a(configuration.node.name.utf8).folded & 0xffff) / 65_536
        return Self.directWatchPatience
            + Self.directWatchSpread * (Double(members.count) * share)
    }

    /// How long the ledger of a publisher that answers again is given to catch up.
    var catchUpLimit: Duration {
        view.objects == nil ? Self.publisherCatchUp : Self.publisherListing
    }

    /// What the API server says, all of it at first, changes later.
    ///
    /// - Parameter changes: nil where an object is gone.
    mutating func setObjects(
        _ changes: [RecordKey: [UInt8]?], at now: Instant, into effects: inout [StateEffect]
    ) {
        let isFirst = view.objects == nil
        var changes = changes
        for (key, value) in changes {
            let name = "\(key)"
            refusals[configuration.cluster]?[name] = nil
            guard let value, value.count > ReplicationLimit.valueBytes else { continue }
            // What it said before stays in force.
            changes[key] = nil
            refusals[configuration.cluster, default: [:]][name] =
                "\(name): \(value.count) bytes, more than \(ReplicationLimit.valueBytes); split it"
        }
        applyOwn(view.setObjects(changes), into: &effects)
        guard isOpen else { return }
        publish(publisher?.apply(objects: changes) ?? [], into: &effects)
        if isFirst { sweep(at: now, into: &effects) }
    }

    /// This node doesn't ask the API server any more: the publisher does.
    mutating func dropObjects(into effects: inout [StateEffect]) {
        applyOwn(view.dropObjects(), into: &effects)
    }
}
