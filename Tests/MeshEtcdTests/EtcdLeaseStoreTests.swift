// SPDX-License-Identifier: Apache-2.0

import MeshLease
import MeshModel
import Testing

@testable import MeshEtcd

@Suite("The lease in etcd")
struct EtcdLeaseStoreTests {
    @Test("a record is replaced only by whoever knows its version")
    func swapping() async throws {
        try await withEtcd { client in
            let store = EtcdLeaseStore(client: client, cluster: cluster)
            #expect(try await store.read() == nil)
            var record = LeaseRecord(holder: .named("a"), token: 1, epoch: 0, identities: 0)
            let first = try await store.swap(record, replacing: nil)
            guard case .swapped(let version) = first else { throw Late() }
            let state = LeaseState(record: record, version: version)
            #expect(try await store.read() == state)

            record.holder = .named("b")
            #expect(try await store.swap(record, replacing: nil) == .conflict(state))
            #expect(
                try await store.swap(record, replacing: LeaseVersion(rawValue: "1"))
                    == .conflict(state))
            guard case .swapped(let next) = try await store.swap(record, replacing: version)
            else { throw Late() }
            #expect(next != version)
            #expect(try await store.swap(record, replacing: version) != .swapped(next))
        }
    }

    @Test("its watchers see each holder, and a record that somebody deletes or breaks")
    func watching() async throws {
        let server = try EtcdServer()
        try await withClient([server.endpoint]) { client in
            let store = EtcdLeaseStore(client: client, cluster: cluster)
            let changes = Listener(store.changes())
            #expect(try await changes.next() == nil)
            for node in ["a", "b"] {
                _ = try await store.seize(for: node)
                #expect(try await changes.next()?.record.holder == .named(node))
            }
        }
        try server.control("put", keys.lease, "nonsense")
        try await withClient([server.endpoint]) { client in
            let store = EtcdLeaseStore(client: client, cluster: cluster)
            await #expect { try await store.read() } throws: {
                ($0 as? LeaseStoreError)?.code == .malformed
            }
            let changes = Listener(store.changes())
            try server.control("del", keys.lease)
            #expect(try await changes.next() == nil)
        }
    }

    @Test("passes to the other candidate when its holder is killed, and opens a higher epoch")
    func failover() async throws {
        try await withEtcd { client in
            let store = EtcdLeaseStore(client: client, cluster: cluster)
            let (first, second) = (Candidate("first", on: store), Candidate("second", on: store))
            let (firstEvents, secondEvents) = (Listener(first.events), Listener(second.events))
            await first.start()
            let tenure = try await firstEvents.next(tenure)
            try await first.open(epoch: tenure.epoch + 1)
            #expect(try await firstEvents.next() == .opened(epoch: 1))
            try await first.reserve(1024)
            #expect(try await firstEvents.next() == .reserved(0..<1024))

            await second.start()
            _ = try await secondEvents.next { event in
                if case .observed(let record) = event, record?.holder == .named("first") {
                    record
                } else {
                    nil
                }
            }
            #expect(await second.tenure == nil)
            let moment = ContinuousClock.now
            await first.kill()
            let next = try await secondEvents.next(self.tenure)
            print("fail-over of a killed holder on etcd:", ContinuousClock.now - moment)
            #expect(next.token > tenure.token)
            #expect(next.epoch == 1)
            await #expect(throws: LeaseRefusal.epochNotAbove(1)) {
                try await second.open(epoch: 1)
            }
            try await second.open(epoch: 2)
            #expect(try await secondEvents.next() == .opened(epoch: 2))
            try await second.reserve(1024)
            #expect(try await secondEvents.next() == .reserved(1024..<2048))
            await second.kill()
        }
    }

    private func tenure(_ event: LeaseEffect) -> LeaseTenure? {
        if case .acquired(let tenure) = event { tenure } else { nil }
    }

    @Test("passes at once when its holder lets go, and is nobody's while etcd hangs")
    func release() async throws {
        let server = try EtcdServer()
        try await withClient([server.endpoint]) { client in
            let store = EtcdLeaseStore(client: client, cluster: cluster)
            let (first, second) = (Candidate("first", on: store), Candidate("second", on: store))
            await first.start()
            try await eventually { await first.tenure != nil }
            await second.start()
            let moment = ContinuousClock.now
            await first.release()
            #expect(await first.tenure == nil)
            try await eventually { await second.tenure != nil }
            print("hand-over on etcd:", ContinuousClock.now - moment)

            server.freeze()
            try await eventually { await second.tenure == nil }
            server.thaw()
            try await eventually { await second.tenure != nil }
            #expect(await first.tenure == nil)
            await first.kill()
            await second.kill()
        }
    }
}
