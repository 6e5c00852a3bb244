// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReconciler
import MeshStore
import Testing

private func row(_ number: UInt32, labels: Labels = [:]) -> IdentityRow {
    IdentityRow(identity: Identity(rawValue: number), labels: labels)
}

private struct Refusal: Error, CustomStringConvertible {
    let description: String
}

/// A kernel map as far as a reconciler can tell; it refuses what a test tells it to.
private struct FakeMap: ReconcileTarget {
    var held: [Identity: Labels] = [:]
    var refused: Set<UInt32> = []
    var canList = true
    var calls: [String] = []

    mutating func realised() throws -> [Identity] {
        guard canList else { throw Refusal(description: "the map can't be read") }
        return Array(held.keys)
    }

    mutating func update(_ row: IdentityRow) throws {
        calls.append("update \(row.identity.rawValue)")
        guard !refused.contains(row.identity.rawValue) else {
            throw Refusal(description: "the map is full")
        }
        held[row.identity] = row.labels
    }

    mutating func delete(_ key: Identity) throws {
        calls.append("delete \(key.rawValue)")
        guard !refused.contains(key.rawValue) else { throw Refusal(description: "busy") }
        held[key] = nil
    }
}

private func at(_ milliseconds: Int) -> Instant { .zero + .milliseconds(milliseconds) }

@Suite("A reconciler")
struct ReconcilerTests {
    private let store = MeshStore()
    private var reconciler = Reconciler(FakeMap(), table: \.identities)

    private func status(_ number: UInt32) -> RowStatus? {
        store.read { $0.identities.entry(for: Identity(rawValue: number))?.status }
    }

    @Test("takes over changes only, deletes first, and says so in the rows")
    mutating func incremental() {
        store.write { tables in
            for number in [3, 1, 2] { tables.identities.upsert(row(UInt32(number))) }
        }
        let first = reconciler.pass(store, now: at(0))
        #expect(first.updated == 3 && first.failed == 0 && first.nextRetry == nil)
        #expect(reconciler.target.calls == ["update 1", "update 2", "update 3"])
        #expect(status(1) == .done)

        reconciler.target.calls = []
        store.write { tables in
            tables.identities.upsert(row(2, labels: ["a": "b"]))
            tables.identities.delete(Identity(rawValue: 3))
        }
        #expect(status(2) == .pending)
        _ = reconciler.pass(store, now: at(1))
        #expect(reconciler.target.calls == ["delete 3", "update 2"])
        #expect(reconciler.target.held.keys.map(\.rawValue).sorted() == [1, 2])

        reconciler.target.calls = []
        _ = reconciler.pass(store, now: at(2))
        #expect(reconciler.target.calls == [])
    }

    @Test("leaves an earlier agent's entries until the table is complete, then prunes what is gone")
    mutating func prune() {
        reconciler.target.held = [Identity(rawValue: 1): [:], Identity(rawValue: 9): [:]]
        store.write { _ = $0.identities.upsert(row(1)) }
        _ = reconciler.pass(store, now: at(0))
        #expect(reconciler.target.held.count == 2)
        store.write { $0.identities.declareComplete() }
        let result = reconciler.pass(store, now: at(1))
        #expect(result.deleted == 1)
        #expect(reconciler.target.calls == ["update 1", "delete 9"])
    }

    @Test("prunes again after the change feed was overrun")
    mutating func overrun() {
        store.write { tables in
            tables.identities.upsert(row(1))
            tables.identities.declareComplete()
        }
        _ = reconciler.pass(store, now: at(0))
        store.write { tables in
            tables.identities.delete(Identity(rawValue: 1))
            for number in 2..<UInt32(Table<Identity, IdentityRow>.changeFeedMaximum + 2) {
                tables.identities.upsert(row(number))
            }
        }
        _ = reconciler.pass(store, now: at(1))
        #expect(reconciler.target.held[Identity(rawValue: 1)] == nil)
        #expect(reconciler.target.held.count == Table<Identity, IdentityRow>.changeFeedMaximum)
    }

    @Test(
        "tries a failed row again with growing delays, others go on, the reason stands in the row")
    mutating func retry() {
        reconciler.target.refused = [2]
        store.write { tables in
            for number in 1...3 { tables.identities.upsert(row(UInt32(number))) }
        }
        let first = reconciler.pass(store, now: at(0))
        #expect(first.updated == 2 && first.failed == 1)
        #expect(first.nextRetry == at(50))
        #expect(first.firstFailure == "the map is full")
        #expect(status(2) == .error("the map is full"))

        reconciler.target.calls = []
        let early = reconciler.pass(store, now: at(49))
        #expect(early.nextRetry == at(50))
        #expect(reconciler.target.calls == [])
        let second = reconciler.pass(store, now: at(50))
        #expect(second.nextRetry == at(150))
        let third = reconciler.pass(store, now: at(150))
        #expect(third.nextRetry == at(350))
        #expect(reconciler.target.calls == ["update 2", "update 2"])

        reconciler.target.refused = []
        let fourth = reconciler.pass(store, now: at(350))
        #expect(fourth.nextRetry == nil)
        #expect(status(2) == .done)
    }

    @Test("never waits longer than ten seconds")
    mutating func retryMaximum() {
        reconciler.target.refused = [1]
        store.write { _ = $0.identities.upsert(row(1)) }
        var now = at(0)
        for _ in 0..<100 {
            guard let next = reconciler.pass(store, now: now).nextRetry else { break }
            #expect(next - now <= .seconds(10))
            now = next
        }
        #expect(now > .zero + .seconds(800))
    }

    @Test("tries a changed row at once, whatever its delay")
    mutating func change() {
        reconciler.target.refused = [1]
        store.write { _ = $0.identities.upsert(row(1)) }
        _ = reconciler.pass(store, now: at(0))
        reconciler.target.refused = []
        store.write { _ = $0.identities.upsert(row(1, labels: ["a": "b"])) }
        let changed = reconciler.pass(store, now: at(1))
        #expect(changed.updated == 1)
        let quiet = reconciler.pass(store, now: at(2))
        #expect(quiet.nextRetry == nil)
    }

    @Test("tries a failed deletion again, unless the row comes back")
    mutating func deletion() {
        store.write { _ = $0.identities.upsert(row(1)) }
        _ = reconciler.pass(store, now: at(0))
        reconciler.target.refused = [1]
        store.write { _ = $0.identities.delete(Identity(rawValue: 1)) }
        let failed = reconciler.pass(store, now: at(1))
        #expect(failed.firstFailure == "busy" && failed.nextRetry == at(51))
        reconciler.target.refused = []
        let retried = reconciler.pass(store, now: at(51))
        #expect(retried.deleted == 1)
        #expect(reconciler.target.held.isEmpty)
    }

    @Test("that can't list its target updates all the same and prunes later")
    mutating func unreadable() {
        reconciler.target.held = [Identity(rawValue: 9): [:]]
        reconciler.target.canList = false
        store.write { tables in
            tables.identities.upsert(row(1))
            tables.identities.declareComplete()
        }
        let result = reconciler.pass(store, now: at(0))
        #expect(result.updated == 1 && result.failed == 1 && result.nextRetry == at(50))
        reconciler.target.canList = true
        let second = reconciler.pass(store, now: at(50))
        #expect(second.deleted == 1)
        #expect(reconciler.target.held.keys.map(\.rawValue) == [1])
    }

    @Test("repairs in a full pass what others did to the target")
    mutating func full() {
        store.write { tables in
            tables.identities.upsert(row(1))
            tables.identities.declareComplete()
        }
        _ = reconciler.pass(store, now: at(0))
        reconciler.target.held = [Identity(rawValue: 7): [:]]
        _ = reconciler.pass(store, now: at(1))
        #expect(reconciler.target.held.keys.map(\.rawValue) == [7], "no change, nothing to do")
        let result = reconciler.pass(store, now: at(2), full: true)
        #expect(result.updated == 1 && result.deleted == 1)
        #expect(reconciler.target.held.keys.map(\.rawValue) == [1])
    }

    @Test("remembers so many failures one by one; when there are more, it tries all rows again")
    mutating func manyFailures() {
        let maximum = Reconciler<FakeMap>.retriesMaximum
        let count = UInt32(maximum + 10)
        reconciler.target.refused = Set(1...count)
        store.write { tables in
            for number in 0...count { tables.identities.upsert(row(number)) }
        }
        let first = reconciler.pass(store, now: at(0))
        #expect(first.updated == 1 && first.failed == Int(count))
        #expect(first.nextRetry == at(50))
        let statuses = store.read { $0.identities.entries.map(\.status) }
        #expect(statuses.count { $0 == .error("the map is full") } == maximum)
        #expect(statuses.count { $0 == .done } == 0, "who failed besides isn't known")

        reconciler.target.refused = [1]
        let second = reconciler.pass(store, now: at(50))
        #expect(second.updated == Int(count) && second.failed == 1)
        #expect(status(1) == .error("the map is full") && status(0) == .done)
        #expect(status(count) == .done)
        #expect(second.nextRetry == at(150))
        reconciler.target.calls = []
        _ = reconciler.pass(store, now: at(150))
        #expect(reconciler.target.calls == ["update 1"])
    }

    @Test("gives its target rows in blocks of bounded size, all of them, in order")
    mutating func blocks() {
        let count = 2 * Reconciler<FakeMap>.blockMaximum + 1
        store.write { tables in
            for number in 0..<count { tables.identities.upsert(row(UInt32(number))) }
        }
        let result = reconciler.pass(store, now: at(0))
        #expect(result.updated == count)
        #expect(reconciler.target.calls == (0..<count).map { "update \($0)" })
    }

    @Test("does not wake itself by writing statuses")
    mutating func quiet() {
        store.write { _ = $0.identities.upsert(row(1)) }
        let revision = store.read { $0.identities.revision }
        _ = reconciler.pass(store, now: at(0))
        #expect(store.read { $0.identities.revision } == revision)
    }
}
