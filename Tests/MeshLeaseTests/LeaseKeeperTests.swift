// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshSimulation
import Testing

@testable import MeshLease

private let me = LeaseHolder(node: "me", instance: 1)
private let other = LeaseHolder(node: "other", instance: 2)

/// A keeper whose store answers when the test says so.
private struct Desk {
    var keeper: LeaseKeeper
    var store = MemoryStore()
    var now = Instant.zero + .seconds(1)
    var generator = SeededGenerator(seed: 1)
    var calls: [LeaseCall] = []
    var told: [LeaseEffect] = []

    init(floor: LeaseRecord = .initial, holding record: LeaseRecord? = nil) {
        keeper = LeaseKeeper(holder: me, parameters: .contended, floor: floor)
        if let record { write(record) }
    }

    mutating func write(_ record: LeaseRecord) {
        _ = store.answer(.swap(record, replacing: store.state?.version))
    }

    mutating func take(_ effects: [LeaseEffect]) {
        for effect in effects {
            if case .call(let call) = effect { calls.append(call) } else { told.append(effect) }
        }
    }

    mutating func answerFirst() {
        let call = calls.removeFirst()
        take(keeper.receive(store.answer(call.request), to: call.id, at: now, using: &generator))
    }

    mutating func answerAll() {
        while !calls.isEmpty { answerFirst() }
    }

    /// Time passes in steps as the keeper asks for them, and the store answers at once.
    mutating func pass(_ duration: Duration, answers: Bool = true) {
        let end = now + duration
        while keeper.wake < end {
            now = max(now, keeper.wake)
            take(keeper.step(at: now, using: &generator))
            if answers { answerAll() }
        }
        now = end
    }

    mutating func become() throws -> LeaseTenure {
        pass(.seconds(8))
        return try #require(keeper.tenure(at: now))
    }
}

private func record(_ holder: LeaseHolder?, token: UInt64 = 1) -> LeaseRecord {
    LeaseRecord(holder: holder, token: token, epoch: 5, identities: 300)
}

@Suite("The keeper of a lease")
struct LeaseKeeperTests {
    @Test("waits out a holder that stands still, but takes what nobody has at once")
    func taking() {
        for (holder, wait) in [(other, Duration.milliseconds(3100)), (nil, .milliseconds(1))] {
            var desk = Desk(holding: record(holder))
            desk.pass(wait - .milliseconds(200))
            #expect((desk.keeper.tenure(at: desk.now) == nil) == (holder != nil))
            desk.pass(.milliseconds(200))
            let tenure = desk.keeper.tenure(at: desk.now)
            #expect(tenure?.token == 2)
            #expect(tenure?.epoch == 5)
            #expect(tenure?.identities == 300)
        }
    }

    @Test("makes a record where there is none, and waits as if it had been somebody's")
    func first() {
        var desk = Desk()
        desk.pass(.milliseconds(2900))
        #expect(desk.store.state?.record.holder == .nobody)
        #expect(desk.keeper.tenure(at: desk.now) == nil)
        desk.pass(.milliseconds(200))
        #expect(desk.keeper.tenure(at: desk.now)?.token == 1)
    }

    @Test("never goes below what its disk remembers")
    func floors() throws {
        let floor = LeaseRecord(holder: nil, token: 40, epoch: 9, identities: 2048)
        var desk = Desk(floor: floor, holding: record(nil))
        let tenure = try desk.become()
        #expect(tenure.token == 41)
        #expect(tenure.epoch == 9)
        #expect(tenure.identities == 2048)
    }

    @Test("counts from before it asked, however late the answer")
    func lateAnswers() throws {
        for (delay, isHeld) in [(Duration.milliseconds(1900), true), (.milliseconds(2100), false)] {
            var desk = Desk(holding: record(nil))
            desk.take(desk.keeper.step(at: desk.now, using: &desk.generator))
            desk.answerFirst()
            let sent = desk.now
            let call = try #require(desk.calls.first)
            desk.now = sent + delay
            desk.answerFirst()
            let confirmed = desk.told.contains { if case .acquired = $0 { true } else { false } }
            #expect(call.request != .read)
            #expect(confirmed == isHeld)
            if isHeld { #expect(desk.keeper.tenure(at: sent + .seconds(2)) == nil) }
        }
    }

    @Test("believes for two seconds without an answer, asked or not, and then says so once")
    func expiry() throws {
        var desk = Desk(holding: record(nil))
        let tenure = try desk.become()
        #expect(desk.keeper.tenure(at: tenure.until - .nanoseconds(1)) != nil)
        #expect(desk.keeper.tenure(at: tenure.until) == nil)
        desk.told = []
        desk.pass(.seconds(10), answers: false)
        #expect(desk.told == [.lost(.expired)])
    }

    @Test("opens an epoch and reserves numbers in the store before it says so")
    func wishes() throws {
        var desk = Desk(holding: record(nil))
        _ = try desk.become()
        desk.told = []
        desk.take(try desk.keeper.open(epoch: 6, at: desk.now, using: &desk.generator))
        desk.take(try desk.keeper.reserve(1000, at: desk.now, using: &desk.generator))
        #expect(desk.told == [])
        desk.answerAll()
        #expect(desk.store.state?.record.epoch == 6)
        #expect(desk.store.state?.record.identities == 1300)
        #expect(desk.told == [.opened(epoch: 6), .reserved(300..<1300)])
        #expect(throws: LeaseRefusal.epochNotAbove(6)) {
            try desk.keeper.open(epoch: 6, at: desk.now, using: &desk.generator)
        }
        #expect(throws: LeaseRefusal.exhausted) {
            try desk.keeper.reserve(.max, at: desk.now, using: &desk.generator)
        }
        #expect(throws: LeaseRefusal.notHolding) {
            try desk.keeper.open(
                epoch: 7, at: desk.now + .seconds(10), using: &desk.generator)
        }
    }

    @Test(
        "steps down at once when the record is somebody else's or gone", arguments: [true, false])
    func deposed(isGone: Bool) throws {
        var desk = Desk(holding: record(nil))
        _ = try desk.become()
        desk.told = []
        if isGone { desk.store.delete() } else { desk.write(record(other, token: 9)) }
        desk.pass(.milliseconds(600))
        #expect(desk.told.contains(.lost(.deposed)))
        #expect(desk.keeper.tenure(at: desk.now) == nil)
    }

    @Test("lets go in the store after it stopped believing, and takes it again only when told to")
    func release() throws {
        var desk = Desk(holding: record(nil))
        _ = try desk.become()
        desk.take(desk.keeper.release(at: desk.now, using: &desk.generator))
        #expect(desk.keeper.tenure(at: desk.now) == nil)
        #expect(!desk.keeper.isWithdrawn)
        // The first attempt is lost, the next gets through.
        desk.calls = []
        desk.pass(.seconds(1))
        #expect(desk.keeper.isWithdrawn)
        #expect(desk.store.state?.record.holder == nil)
        desk.pass(.seconds(20))
        #expect(desk.keeper.tenure(at: desk.now) == nil)
        let token = desk.store.state?.record.token ?? 0
        desk.take(desk.keeper.reinstate(at: desk.now, using: &desk.generator))
        desk.answerAll()
        let tenure = try desk.become()
        #expect(tenure.token > token, "of a tenure of its own")
        #expect(desk.keeper.reinstate(at: desk.now, using: &desk.generator).isEmpty)
    }

    @Test("holds for good where it is the only one, and asks the store no more")
    func exclusive() async throws {
        let disk = Disk()
        let store = StaticLeaseStore(load: { disk.text }, save: { disk.text = $0 })
        var generator = SeededGenerator(seed: 1)
        let now = Instant.zero + .seconds(5)
        for life in 1...2 {
            let number = UInt32(life)
            var keeper = LeaseKeeper(
                holder: LeaseHolder(node: "me", instance: UInt64(life)),
                parameters: store.parameters)
            var told: [LeaseEffect] = []
            func settle(_ effects: [LeaseEffect]) async throws {
                var effects = effects
                while !effects.isEmpty {
                    let effect = effects.removeFirst()
                    guard case .call(let call) = effect else {
                        told.append(effect)
                        continue
                    }
                    let answer: LeaseAnswer =
                        switch call.request {
                        case .read: .read(try await store.read())
                        case .swap(let record, let version):
                            .swap(try await store.swap(record, replacing: version))
                        }
                    effects += keeper.receive(answer, to: call.id, at: now, using: &generator)
                }
            }
            try await settle(keeper.step(at: now, using: &generator))
            #expect(keeper.tenure(at: now)?.token == UInt64(life))
            #expect(keeper.tenure(at: now)?.epoch == number - 1)
            try await settle(try keeper.open(epoch: number, at: now, using: &generator))
            try await settle(try keeper.reserve(1024, at: now, using: &generator))
            let first = (number - 1) * 1024
            #expect(
                told.suffix(2) == [.opened(epoch: number), .reserved(first..<first + 1024)])
            #expect(keeper.wake > now + .seconds(365 * 86_400))
        }
        #expect(disk.text == "weft-lease/1 2 2 2048 me_2")
        disk.text = "nonsense"
        await #expect { try await store.read() } throws: {
            ($0 as? LeaseStoreError)?.code == .malformed
        }
    }
}
