// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshLease
import MeshModel
import Testing

@testable import MeshEtcd

private func batch(_ number: Int, _ changes: [String: String?] = [:]) -> EtcdBatch {
    EtcdBatch(
        changes: changes.sorted { $0.key < $1.key }.map { key, value in
            EtcdRecordChange(key: key, value: value.map { Array($0.utf8) })
        },
        head: Array("head \(number)".utf8), message: Array("batch \(number)".utf8))
}

private func text(_ event: EtcdLedgerEvent) -> String? {
    guard case .batch(let message, _) = event else { return nil }
    return String(decoding: message, as: UTF8.self)
}

private func snapshot(_ event: EtcdLedgerEvent) -> EtcdLedgerSnapshot? {
    guard case .snapshot(let snapshot) = event else { return nil }
    return snapshot
}

private func interruption(_ event: EtcdLedgerEvent) -> Void? {
    if case .interrupted = event { () } else { nil }
}

private func code(_ body: () async throws -> EtcdLedgerPosition) async -> EtcdError.Code? {
    do { _ = try await body() } catch { return (error as? EtcdError)?.code }
    return nil
}

@Suite("The ledger in etcd")
struct EtcdLedgerStoreTests {
    @Test("a reader gets everything once, then batch by batch in order")
    func reading() async throws {
        try await withEtcd { client in
            let tenure = try await EtcdLeaseStore(client: client, cluster: cluster).seize(for: "a")
            let store = EtcdLedgerStore(client: client, cluster: cluster)
            let early = Listener(store.events())
            #expect(try await early.next(snapshot).records == [])

            var position = EtcdLedgerPosition.empty
            position = try await store.commit(
                batch(1, ["node/a": "1", "node/b": "2"]), as: tenure, after: position)
            position = try await store.commit(
                batch(2, ["node/a": nil, "node/c": "3"]), as: tenure, after: position)
            let now = try await store.snapshot()
            #expect(now.records.map(\.key) == ["node/b", "node/c"])
            #expect(now.records.map(\.value) == [Array("2".utf8), Array("3".utf8)])
            #expect(now.head == Array("head 2".utf8))
            #expect(now.message == Array("batch 2".utf8))
            #expect(now.position == position)

            let late = Listener(store.events())
            #expect(try await late.next(snapshot) == now)
            position = try await store.commit(batch(3), as: tenure, after: position)
            #expect(try await late.next() == .batch(Array("batch 3".utf8), position))
            for number in 1...3 { #expect(try await early.next(text) == "batch \(number)") }
        }
    }

    @Test("a publisher that was deposed, or lost count, writes nothing")
    func fencing() async throws {
        try await withEtcd { client in
            let lease = EtcdLeaseStore(client: client, cluster: cluster)
            let store = EtcdLedgerStore(client: client, cluster: cluster)
            let old = try await lease.seize(for: "a")
            let first = try await store.commit(
                batch(1, ["x": "1"]), as: old, after: .empty)
            #expect(
                await code {
                    try await store.commit(batch(2), as: old, after: .empty)
                } == .conflict)

            let new = try await lease.seize(for: "b")
            #expect(
                await code {
                    try await store.commit(batch(2, ["x": "2"]), as: old, after: first)
                } == .deposed)
            #expect(try await store.snapshot().records.map(\.value) == [Array("1".utf8)])
            // What it did write before is acknowledged even now, if the answer was lost then.
            #expect(
                try await store.commit(batch(1, ["x": "1"]), as: old, after: .empty) == first)
            let second = try await store.commit(batch(2, ["x": "3"]), as: new, after: first)

            // The answer was lost and the batch comes again: it is there once, where it was.
            #expect(
                try await store.commit(batch(2, ["x": "3"]), as: new, after: first) == second)
            #expect(try await store.snapshot().position == second)
        }
    }

    @Test("a renewal or a reservation in the middle doesn't disturb a batch")
    func renewals() async throws {
        try await withEtcd { client in
            let lease = EtcdLeaseStore(client: client, cluster: cluster)
            let store = EtcdLedgerStore(client: client, cluster: cluster)
            let tenure = try await lease.seize(for: "a")
            let state = try #require(try await lease.read())
            var record = state.record
            record.epoch += 1
            record.identities += 1024
            guard case .swapped = try await lease.swap(record, replacing: state.version)
            else { throw Late() }
            _ = try await store.commit(batch(1), as: tenure, after: .empty)
        }
    }

    @Test("a batch of as many changes and bytes as allowed fits, one more is refused beforehand")
    func limits() async throws {
        try await withEtcd { client in
            let tenure = try await EtcdLeaseStore(client: client, cluster: cluster).seize(for: "a")
            let store = EtcdLedgerStore(client: client, cluster: cluster)
            func full(_ count: Int, bytes: Int) -> EtcdBatch {
                let value = [UInt8](repeating: 7, count: bytes / EtcdLimit.changes - 8)
                return EtcdBatch(
                    changes: (0..<count).map {
                        EtcdRecordChange(key: "k\($0)", value: value)
                    }, head: [1], message: [2])
            }
            let position = try await store.commit(
                full(EtcdLimit.changes, bytes: EtcdLimit.transactionBytes), as: tenure,
                after: .empty)
            for batch in [
                full(EtcdLimit.changes + 1, bytes: 4096),
                full(EtcdLimit.changes, bytes: EtcdLimit.transactionBytes * 2),
            ] {
                #expect(
                    await code {
                        try await store.commit(batch, as: tenure, after: position)
                    } == .tooLarge)
            }
            #expect(try await store.snapshot().records.count == EtcdLimit.changes)
        }
    }

    @Test("a reader goes on where it was when etcd restarts")
    func restart() async throws {
        let server = try EtcdServer()
        try await withClient([server.endpoint]) { client in
            let tenure = try await EtcdLeaseStore(client: client, cluster: cluster).seize(for: "a")
            let store = EtcdLedgerStore(client: client, cluster: cluster)
            let events = Listener(store.events())
            _ = try await events.next(snapshot)
            var position = try await store.commit(batch(1), as: tenure, after: .empty)
            #expect(try await events.next(text) == "batch 1")
            server.stop(SIGKILL)
            try await events.next(interruption)
            try server.start()
            try await eventually { (try? await client.status().hasLeader) == true }
            position = try await store.commit(batch(2), as: tenure, after: position)
            position = try await store.commit(batch(3), as: tenure, after: position)
            // Nothing but interruptions before it: no snapshot.
            let seen = try await events.next { interruption($0) == nil ? $0 : nil }
            #expect(text(seen) == "batch 2")
            #expect(try await events.next(text) == "batch 3")
        }
    }

    @Test("a reader notices an etcd that hangs, and goes on when it no longer does")
    func silence() async throws {
        let server = try EtcdServer()
        try await withClient([server.endpoint]) { client in
            let tenure = try await EtcdLeaseStore(client: client, cluster: cluster).seize(for: "a")
            let store = EtcdLedgerStore(client: client, cluster: cluster)
            let events = Listener(store.events())
            _ = try await events.next(snapshot)
            server.freeze()
            try await events.next(interruption)
            server.thaw()
            try await eventually { (try? await client.status().hasLeader) == true }
            _ = try await store.commit(batch(1), as: tenure, after: .empty)
            #expect(try await events.next(text) == "batch 1")
        }
    }

    @Test(
        "a reader that missed what etcd no longer keeps, or never had, is told and starts anew",
        arguments: [EtcdReset.compacted, .wentBack, .removed])
    func reset(reason: EtcdReset) async throws {
        let server = try EtcdServer()
        try await withClient([server.endpoint]) { client in
            let lease = EtcdLeaseStore(client: client, cluster: cluster)
            let store = EtcdLedgerStore(client: client, cluster: cluster)
            let tenure = try await lease.seize(for: "a")
            let position = try await store.commit(
                batch(1, ["x": "1"]), as: tenure, after: .empty)
            let events = Listener(store.events())
            #expect(try await events.next(snapshot).records.count == 1)
            switch reason {
            case .compacted:
                // The reader hangs on a stopped etcd while another client writes and compacts.
                server.stop()
                try await events.next(interruption)
                try await away(from: events, server, store, tenure, position)
            case .wentBack: try server.wipe()
            case .removed: try server.control("del", keys.batch)
            }
            let seen = try await events.next { if case .reset(let why) = $0 { why } else { nil } }
            #expect(seen == reason)
            let fresh = try await events.next(snapshot)
            switch reason {
            case .compacted:
                #expect(fresh.records.map(\.value) == [Array("2".utf8)])
            case .wentBack:
                #expect(fresh.records == [])
                #expect(fresh.position == .empty)
            case .removed:
                #expect(fresh.message == [])
                #expect(fresh.records.count == 1)
            }
        }
    }

    /// Restarts etcd on another port for a moment, where the reader doesn't see what happens.
    private func away(
        from events: Listener<EtcdLedgerEvent>, _ server: EtcdServer, _ store: EtcdLedgerStore,
        _ tenure: LeaseTenure, _ position: EtcdLedgerPosition
    ) async throws {
        let port = server.port
        server.port = try freePort()
        try server.start()
        let revision = try await withClient([server.endpoint]) { client in
            let store = EtcdLedgerStore(client: client, cluster: cluster)
            let position = try await store.commit(batch(2, ["x": "1"]), as: tenure, after: position)
            return try await store.commit(batch(3, ["x": "2"]), as: tenure, after: position)
                .revision
        }
        try server.control("compact", "\(revision)")
        server.stop()
        server.port = port
        try server.start()
    }

    @Test("of two publishers that both believe, one writes at a time and none over the other")
    func contention() async throws {
        try await withEtcd { client in
            let lease = EtcdLeaseStore(client: client, cluster: cluster)
            let store = EtcdLedgerStore(client: client, cluster: cluster)
            let events = Listener(store.events())
            _ = try await events.next(snapshot)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for name in ["a", "b"] {
                    group.addTask { try await publish(as: name, upTo: 100, lease, store) }
                }
                try await group.waitForAll()
            }
            var last: (token: UInt64, number: Int) = (0, 0)
            while last.number < 100 {
                let words = try await events.next(text).split(separator: " ")
                let (token, number) = (
                    try #require(UInt64(words[0])), try #require(Int(words[1]))
                )
                #expect(token >= last.token)
                #expect(number == last.number + 1)
                last = (token, number)
            }
            #expect(try await store.snapshot().head == Array("100".utf8))
            #expect(last.token >= 4)
        }
    }

    /// Writes until it is deposed, and seizes the lease again when the other has written five.
    private func publish(
        as name: String, upTo end: Int, _ lease: EtcdLeaseStore, _ store: EtcdLedgerStore
    ) async throws {
        func number(_ snapshot: EtcdLedgerSnapshot) -> Int {
            Int(String(decoding: snapshot.head, as: UTF8.self)) ?? 0
        }
        var last = 0
        while last < end {
            guard let tenure = try? await lease.seize(for: name) else { continue }
            let now = try await store.snapshot()
            last = number(now)
            var position = now.position
            while last < end {
                let next = EtcdBatch(
                    changes: [EtcdRecordChange(key: "last", value: Array(name.utf8))],
                    head: Array("\(last + 1)".utf8),
                    message: Array("\(tenure.token) \(last + 1) \(name)".utf8))
                do {
                    position = try await store.commit(next, as: tenure, after: position)
                } catch {
                    // Of a call that wasn't answered in time nobody knows: the store will tell.
                    #expect([.deposed, .unavailable].contains(error.code))
                    break
                }
                last += 1
            }
            let seen = last
            try await eventually {
                last = number(try await store.snapshot())
                return last >= min(seen + 5, end)
            }
        }
    }
}
