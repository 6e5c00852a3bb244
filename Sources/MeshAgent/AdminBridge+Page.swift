// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import MeshModel
import MeshStore

// MARK: What the page shows besides

extension AdminBridge {
    func traffic() async throws -> [TrafficCount]? {
        guard configuration.flowEvents else { return nil }
        let tables = store.snapshot()
        return ledger.counts.map { pair, count in
            TrafficCount(
                from: pair.from.map { reference($0, tables) },
                to: pair.to.map { reference($0, tables) }, opened: count.opened,
                closed: count.closed, packets: count.packets, bytes: count.bytes,
                refused: count.refused)
        }
    }

    func news(after position: PageNews.Position?) async throws -> PageNews {
        let history = await health.history
        let told = history.forgotten + UInt64(history.entries.count)
        let beliefs = recent(
            history.entries, total: told, after: position?.beliefs, atMost: PageNews.maximum)
        let refused = ledger.refusals(after: position?.refusals, atMost: PageNews.maximum)
        let tables = store.snapshot()
        var names = FlowNames()
        var flows: [Flow] = []
        for event in refused.events { flows.append(await flow(event, &names)) }
        return PageNews(
            position: .init(beliefs: told, refusals: refused.position),
            beliefs: beliefs.entries.map { entry in
                HealthStory.Event(
                    secondsAgo: age(entry.at),
                    subject: entry.cluster.map { cluster in
                        [reference(cluster, tables).name, entry.node].compactMap(\.self)
                            .joined(separator: "/")
                    } ?? "this node", text: entry.text)
            },
            beliefsLost: beliefs.lost, refusals: flows, refusalsLost: refused.lost)
    }
}
