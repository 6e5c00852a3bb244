// SPDX-License-Identifier: Apache-2.0

import MeshModel

// MARK: An authority that is no node

extension StateCore {
    /// A node is held for dead when no link of the authority's to it was up for so long: as long as
    /// an agent takes to restart.
    static let unlinkedPatience = Duration.seconds(4)

    /// Whether this is the authority, apart from the cluster's nodes: it has no record of its own, nobody
    /// gossips with it, and it dials everybody.
    var isApart: Bool { configuration.publisher.isApart && configuration.isHome }

    /// Who is out of the network's membership goes by its links: relays of nodes that it doesn't reach
    /// are replaced. Verdicts about nodes are the members' own affair.
    mutating func judgeByLinks(at now: Instant, into effects: inout [StateEffect]) {
        guard isApart else { return }
        let linked = Set(
            links.values.filter { $0.cluster == configuration.cluster }.map(\.name))
        for name in members.map(\.name) {
            if linked.contains(name) { nodesLinkedAt[name] = now }
            let isLive =
                linked.contains(name)
                || now - (nodesLinkedAt[name] ?? startedAt) <= Self.unlinkedPatience
            // Nothing is known of one that was never reached, for a while.
            guard isLive ? linked.contains(name) : true, nodesJudged[name] != isLive
            else { continue }
            nodesJudged[name] = isLive
            judged(name, isLive: isLive, at: now, into: &effects)
        }
    }
}
