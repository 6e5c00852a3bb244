// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

@testable import MeshAgent

/// `seconds` after the allocator of these tests started.
private func at(_ seconds: Int) -> Instant { Instant.zero + .seconds(1_000_000 + seconds) }

private func allocator(mark: UInt32 = 0, last: UInt32 = Identity.localMaximum) -> IdentityAllocator
{
    IdentityAllocator(cluster: cluster(1), mark: mark, last: last, startedAt: at(0))
}

/// One that has its first block.
private func ready(mark: UInt32 = 0, last: UInt32 = Identity.localMaximum) -> IdentityAllocator {
    var new = allocator(mark: mark, last: last)
    new.reserve(at: at(0))
    return new
}

extension IdentityAllocator {
    fileprivate mutating func reserve(at now: Instant) {
        if let mark = reservationNeeded(at: now) { reserved(upTo: mark) }
    }

    /// For labels that only differ by a number.
    fileprivate mutating func next(_ number: Int, at now: Instant = at(0)) -> UInt32? {
        identity(for: ["n": "\(number)"], at: now)?.local
    }
}

@Suite("Numbers for labels")
struct IdentityAllocatorTests {
    private var numbers = ready()

    @Test("equal labels share a number, others get the next one from 256 on")
    mutating func sharing() {
        #expect(numbers.identity(for: ["app": "a"], at: at(0)) == identity(256))
        #expect(numbers.identity(for: ["app": "b"], at: at(1)) == identity(257))
        #expect(numbers.identity(for: ["app": "a"], at: at(2)) == identity(256))
        #expect(numbers.identity(for: ["app": "a", "tier": "x"], at: at(3)) == identity(258))
    }

    @Test("nothing is given out that isn't reserved; the next block is asked for in time")
    mutating func reservation() {
        numbers = allocator()
        #expect(numbers.next(0) == nil)
        #expect(numbers.shortage == .unreserved)
        #expect(numbers.reservationNeeded(at: at(0)) == 1280)
        numbers.reserved(upTo: 1280)
        for number in 0..<768 {
            #expect(numbers.reservationNeeded(at: at(0)) == nil)
            #expect(numbers.next(number) == 256 + UInt32(number))
        }
        #expect(numbers.reservationNeeded(at: at(0)) == nil, "256 are left")
        #expect(numbers.next(768) == 1024)
        #expect(numbers.reservationNeeded(at: at(0)) == 2304)
        for number in 769..<1024 { #expect(numbers.next(number) != nil) }
        #expect(numbers.next(1024) == nil, "the store hasn't answered")
        numbers.reserved(upTo: 2304)
        #expect(numbers.next(1024) == 1280)
    }

    @Test("a new publisher begins above the mark, and keeps what the ledger and the nodes have")
    mutating func failOver() {
        numbers = allocator(mark: 1280)
        #expect(
            numbers.adopt(IdentityRecord(identity: identity(300), labels: ["app": "a"])) == true)
        numbers.reserve(at: at(0))
        #expect(numbers.identity(for: ["app": "a"], at: at(0)) == identity(300))
        #expect(numbers.identity(for: ["app": "b"], at: at(0)) == identity(1280))
        // In use on a node; the record went with the predecessor's last, unacknowledged batches.
        #expect(
            numbers.identity(for: ["app": "c"], claimed: identity(301), at: at(0)) == identity(301))
        #expect(numbers.identity(for: ["app": "d"], at: at(0)) == identity(1281))
    }

    @Test("a ledger without a mark in the store says how far numbers had gone")
    mutating func lostMark() {
        numbers = allocator()
        #expect(
            numbers.adopt(IdentityRecord(identity: identity(700), labels: ["app": "a"])) == true)
        #expect(
            numbers.adopt(IdentityRecord(identity: identity(300), labels: ["app": "b"])) == true)
        numbers.reserve(at: at(0))
        #expect(
            numbers.identity(for: ["app": "c"], claimed: identity(5000), at: at(0))
                == identity(5000))
        #expect(numbers.next(0) == nil, "what lies below may be anybody's")
        numbers.reserve(at: at(0))
        #expect(numbers.next(0) == 5001)
    }

    @Test(
        "a claim that can't be true is not followed",
        arguments: [
            identity(300, in: 2), identity(255), identity(1), Identity(rawValue: 0), .world,
            // Nobody can have been given these.
            identity(1280), identity(Identity.localMaximum),
            // Others have it.
            identity(260),
        ])
    mutating func falseClaim(claimed: Identity) {
        numbers = allocator(mark: 1024)
        #expect(
            numbers.adopt(IdentityRecord(identity: identity(260), labels: ["app": "z"])) == true)
        // The block that this publisher itself reserved is its own to give.
        #expect(
            numbers.identity(for: ["app": "a"], claimed: claimed, at: at(0)) == nil)
        numbers.reserved(upTo: 1280)
        #expect(
            numbers.identity(for: ["app": "a"], claimed: claimed, at: at(0)) == identity(1024))
        // Known labels keep their number, whatever is claimed for them.
        #expect(
            numbers.identity(for: ["app": "z"], claimed: identity(270), at: at(0))
                == identity(260))
    }

    @Test("of two records that contend the first is kept, and neither number is given to others")
    mutating func contendingRecords() {
        numbers = allocator(mark: 256)
        #expect(
            numbers.adopt(IdentityRecord(identity: identity(256), labels: ["app": "a"])) == true)
        #expect(
            numbers.adopt(IdentityRecord(identity: identity(256), labels: ["app": "b"])) == false)
        #expect(
            numbers.adopt(IdentityRecord(identity: identity(257), labels: ["app": "a"])) == false)
        #expect(
            numbers.adopt(IdentityRecord(identity: identity(9, in: 2), labels: ["x": "y"])) == false
        )
        numbers.reserve(at: at(0))
        #expect(numbers.identity(for: ["app": "b"], at: at(0)) == identity(258))
    }

    @Test("labels that come back within the quarantine get their number back")
    mutating func comeback() throws {
        #expect(numbers.next(0) == 256)
        numbers.release(identity(256), at: at(10))
        #expect(numbers.next(0, at: at(3609)) == 256)
        // In use again: the end of the first quarantine means nothing.
        #expect(numbers.next(1, at: at(3620)) == 257)
        #expect(numbers.next(0, at: at(9000)) == 256)
        numbers.release(identity(256), at: at(9000))
        #expect(numbers.next(0, at: at(12_600)) == 258, "forgotten; that round goes upwards")
    }

    @Test("after the last number come those that nobody used for an hour")
    mutating func wrapAround() {
        numbers = ready(last: 259)
        #expect((0..<4).map { numbers.next($0) } == [256, 257, 258, 259])
        numbers.release(identity(258), at: at(100))
        numbers.release(identity(256), at: at(200))
        #expect(numbers.next(4, at: at(300)) == nil)
        #expect(numbers.shortage == .exhausted)
        #expect(numbers.reservationNeeded(at: at(300)) == nil, "no mark makes room")
        #expect(numbers.next(4, at: at(3699)) == nil)
        numbers.reserve(at: at(3700))
        #expect(numbers.next(4, at: at(3700)) == 258)
        #expect(numbers.next(5, at: at(3700)) == nil)
        numbers.reserve(at: at(3800))
        #expect(numbers.next(5, at: at(3800)) == 256)
        #expect(numbers.next(6, at: at(99_999)) == nil)
    }

    @Test("what a publisher of a later round doesn't know counts as released when it started")
    mutating func unknownRelease() {
        // Two rounds of four numbers and a bit.
        numbers = allocator(mark: 256 + 9, last: 259)
        #expect(numbers.adopt(IdentityRecord(identity: identity(258), labels: ["n": "0"])) == true)
        numbers.reserve(at: at(0))
        #expect(numbers.next(0) == 258)
        #expect(numbers.next(1, at: at(3599)) == nil)
        // It may have meant something else after the node was last heard.
        #expect(
            numbers.identity(for: ["n": "2"], claimed: identity(259), at: at(3599)) == nil)
        numbers.reserve(at: at(3600))
        #expect((1...4).map { numbers.next($0, at: at(3600)) } == [257, 259, 256, nil])
    }

    @Test("a nearly full round doesn't write the mark for every number that comes free")
    mutating func nearlyFull() {
        let last: UInt32 = 256 + 4095
        numbers = ready(last: last)
        for number in 0..<4096 {
            #expect(numbers.next(number) != nil)
            numbers.reserve(at: at(0))
        }
        var writes = 0
        for round in 0..<200 {
            let now = at(10_000 + round * 10_000)
            // Every second number of a stretch is given up, and taken by other labels.
            for number in 0..<10 { numbers.release(identity(300 + 2 * UInt32(number)), at: now) }
            let later = now + .seconds(3600)
            for number in 0..<10 {
                if let mark = numbers.reservationNeeded(at: later) {
                    numbers.reserved(upTo: mark)
                    writes += 1
                }
                let label = 10_000 + round * 10 + number
                #expect(numbers.next(label, at: later) == 300 + 2 * UInt32(number))
            }
        }
        #expect(writes <= 2 * 200, "\(writes)")
    }
}
