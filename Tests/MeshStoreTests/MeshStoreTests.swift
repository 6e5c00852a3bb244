// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshStore
import Testing

private func node(_ name: String, zone: String = "a") throws -> NodeRow {
    let cluster = try #require(ClusterID(rawValue: 1))
    return NodeRow(
        id: try #require(NodeID(cluster: cluster, name: name)), outerAddresses: [], podPrefixes: [],
        zone: zone, isRelay: false, isLocal: false)
}

@Suite("The store")
struct MeshStoreTests {
    @Test("gives a snapshot that later writes don't touch")
    func snapshot() throws {
        let store = MeshStore()
        let row = try node("a")
        store.write { _ = $0.nodes.upsert(row) }
        let before = store.snapshot()
        store.write { _ = $0.nodes.delete(row.key) }
        #expect(before.nodes[row.key] == row)
        #expect(store.read { $0.nodes.isEmpty })
    }

    @Test("wakes a watcher once for changes it was too slow for, and not for what is no change")
    func watch() async throws {
        var store: MeshStore? = MeshStore()
        let row = try node("a")
        var watch = try #require(store?.watch()).makeAsyncIterator()
        #expect(await watch.next() != nil, "the state at the start")
        store?.write { _ = $0.nodes.upsert(row) }
        store?.write { $0.clusters.declareComplete() }
        #expect(await watch.next() != nil, "both changes")
        store?.write { _ = $0.nodes.upsert(row) }
        store?.write { $0.nodes.settle(through: 1, failures: [:]) }
        // A wake-up that waits would be delivered before the end of the watch.
        store = nil
        #expect(await watch.next() == nil)
    }

    @Test("wakes watchers for what a failed write had already written")
    func failure() async throws {
        struct Refused: Error {}
        let store = MeshStore()
        let row = try node("a")
        var watch = store.watch().makeAsyncIterator()
        _ = await watch.next()
        #expect(throws: Refused.self) {
            try store.write { tables throws(Refused) in
                tables.nodes.upsert(row)
                throw Refused()
            }
        }
        #expect(await watch.next() != nil)
        #expect(store.snapshot().nodes.count == 1)
    }

    @Test("loses nothing when many write at once")
    func concurrency() async throws {
        let store = MeshStore()
        let rows = try (0..<64).map { try node("node-\($0)") }
        await withTaskGroup { group in
            for row in rows {
                group.addTask { store.write { _ = $0.nodes.upsert(row) } }
            }
        }
        #expect(store.read { $0.nodes.count } == 64)
        #expect(store.read { $0.nodes.revision } == 64)
    }

    @Test("keeps a MAC address in the order of the wire")
    func linkAddress() throws {
        let address = try #require(LinkAddress(bytes: [2, 0, 0, 0xab, 0, 1]))
        #expect(address.rawValue == 0x0200_00ab_0001)
        #expect(address.description == "02:00:00:ab:00:01")
        #expect(LinkAddress(rawValue: 1 << 48) == nil)
        #expect(LinkAddress(bytes: [1]) == nil)
    }
}
