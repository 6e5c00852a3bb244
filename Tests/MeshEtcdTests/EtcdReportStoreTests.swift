// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

@testable import MeshEtcd

private let own = ClusterID(rawValue: 1)!
private let nodes = ["a", "a.b"].map { NodeID(cluster: own, name: $0)! }

@Suite("Reports in etcd")
struct EtcdReportStoreTests {
    @Test("a publisher sees each node's report, short or in parts, and that it was replaced")
    func reports() async throws {
        try await withEtcd { client in
            let store = EtcdReportStore(client: client, cluster: cluster)
            let long = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
            try await store.put([1, 2, 3], of: nodes[0])
            try await store.put(long, of: nodes[1])
            let events = Listener(store.events())
            #expect(try await events.next() == .snapshot(["a": [1, 2, 3], "a.b": long]))

            try await store.put(long.reversed(), of: nodes[0])
            #expect(try await events.next() == .report(node: "a", long.reversed()))
            try await store.put([], of: nodes[1])
            #expect(try await events.next() == .report(node: "a.b", []))
            let parts = try await client.list(EtcdRange(prefix: keys.parts))
            let first = Array((keys.parts + "a/").utf8)
            #expect(parts.entries.count == 6)
            #expect(parts.entries.allSatisfy { $0.key.starts(with: first) })

            try await store.remove(nodes[0])
            #expect(try await events.next() == .report(node: "a", nil))
            #expect(try await client.list(EtcdRange(prefix: keys.parts)).entries.isEmpty)
        }
    }

    @Test("one node's broken report doesn't hide the others'")
    func poison() async throws {
        try await withEtcd { client in
            let store = EtcdReportStore(client: client, cluster: cluster)
            var request = WireTxnRequest()
            request.success = [.put(keys.reports + "broken", [9]), .put(keys.reports + "cut", [1])]
            _ = try await client.transact(request)
            try await store.put([1], of: nodes[0])
            let events = Listener(store.events())
            #expect(try await events.next() == .snapshot(["a": [1]]))
            for node in ["broken", "cut"] {
                let seen = try await events.next { event in
                    if case .unreadable(let node, let error) = event {
                        (node, error.code)
                    } else {
                        nil
                    }
                }
                #expect(seen == (node, .malformed))
            }
            try await store.put([2], of: nodes[0])
            #expect(try await events.next() == .report(node: "a", [2]))
        }
    }
}
