// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshSimulation
import OrderedCollections

@testable import MeshReplication

// MARK: What must always hold

extension Mesh {
    /// After every step of a node.
    mutating func check(_ node: Int, _ touched: Set<ClusterID>) {
        guard !nodes[node].isLiar else { return }
        for owner in owners {
            guard let replica = nodes[node].synchroniser.replicas[owner] else { continue }
            let (before, head) = (nodes[node].heads[owner] ?? .origin, replica.head)
            if head != before {
                nodes[node].heads[owner] = head
                checkMove(from: before, to: head, of: owner, at: node)
            }
            guard head != before || touched.contains(owner) else { continue }
            checkState(of: replica, at: node)
            truth.tell(nodes[node].synchroniser.end(of: replica), of: owner, at: now)
        }
    }

    private mutating func checkMove(
        from before: LedgerHead, to head: LedgerHead, of owner: ClusterID, at node: Int
    ) {
        if head.position < before.position {
            fail("\(name(node)) went back from \(before.position) to \(head.position) of \(owner)")
        } else if head.position.epoch == before.position.epoch,
            !truth.isDescendant(head, of: before)
        {
            fail("\(name(node)) changed over to another history of \(owner) at \(head.position)")
        }
    }

    private mutating func checkState(of replica: Replica, at node: Int) {
        let owner = replica.owner
        guard let isTrue = truth.agrees(with: replica) else {
            fail("\(name(node)) holds \(owner) at \(replica.position), which nobody signed")
            return
        }
        if !isTrue {
            let position = replica.position
            fail("\(name(node)) holds something else of \(owner) than it had at \(position)")
        }
        let end = nodes[node].synchroniser.end(of: replica)
        if let shown = truth.records(at: end),
            nodes[node].views[owner] ?? [:] != shown.restricted(to: replica.held)
        {
            fail("\(name(node)) shows something else of \(owner) than it had at \(end.position)")
        }
    }

    /// Once a second of a node.
    mutating func checkBounds(_ node: Int) {
        let core = nodes[node].synchroniser
        for owner in owners {
            guard let replica = core.replicas[owner] else { continue }
            if replica.log.count > plan.window.batches || replica.log.byteCount > plan.window.bytes
            {
                fail("\(name(node)) keeps \(replica.log.count) batches of \(owner)")
            }
            checkAge(of: owner, at: node)
        }
        if core.sessions.values.contains(where: { $0.claims.count > owners.count + 64 })
            || core.transfers.count > owners.count || core.publication?.pending.count ?? 0 > 16
        {
            fail("\(name(node)) remembers more than it should")
        }
    }

    private mutating func checkAge(of owner: ClusterID, at node: Int) {
        guard plan.checksAges, !nodes[node].isLiar,
            let replica = nodes[node].synchroniser.replicas[owner],
            let age = nodes[node].synchroniser.age(of: owner, at: clock(node)),
            let outdated = truth.outdated(
                nodes[node].synchroniser.end(of: replica).position, of: owner)
        else { return }
        if age < now - outdated {
            fail(
                "\(name(node)) thinks that \(owner) at \(replica.position) is \(age) old; it was "
                    + "outdated \(now - outdated) ago")
        }
    }

    /// Nil once every node holds the same, and all that it wants.
    var disagreement: String? {
        for owner in owners {
            let heads = nodes.indices.filter { !nodes[$0].isLiar }.map {
                nodes[$0].synchroniser.head(of: owner) ?? .origin
            }
            if Set(heads).count > 1 {
                return "\(owner) stands at \(heads.map(\.position.description))"
            }
        }
        for node in nodes.indices where !nodes[node].isLiar {
            let core = nodes[node].synchroniser
            if nodes[node].isDown { return "\(name(node)) is down" }
            if core.hasUnreleased { return "\(name(node)) has unreleased revisions" }
            for owner in owners {
                guard let replica = core.replicas[owner] else { continue }
                if replica.lacksShards { return "\(name(node)) lacks shards of \(owner)" }
                if replica.isFrozen { return "\(name(node)) has frozen \(owner)" }
            }
        }
        return nil
    }
}
