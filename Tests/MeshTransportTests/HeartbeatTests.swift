// SPDX-License-Identifier: Apache-2.0

import Foundation
import MeshModel
import MeshTrust
import Testing

@testable import MeshTransport

/// Both ends of one link's keys.
func keyPair() throws -> (HeartbeatKeys, HeartbeatKeys) {
    let a = SPIFFEID("spiffe://east.weft.test/node/a")!
    let b = SPIFFEID("spiffe://west.weft.test/node/b")!
    let (left, right) = (HeartbeatKeys.Half(), HeartbeatKeys.Half())
    return (
        try HeartbeatKeys(
            own: left, ownIdentity: a, peerKey: right.publicKey,
            peerReceiveKeyID: right.receiveKeyID, peerIdentity: b, isInitiator: true),
        try HeartbeatKeys(
            own: right, ownIdentity: b, peerKey: left.publicKey,
            peerReceiveKeyID: left.receiveKeyID, peerIdentity: a, isInitiator: false)
    )
}

let nodeA = NodeID(cluster: ClusterID(rawValue: 1)!, name: "a")!
let nodeB = NodeID(cluster: ClusterID(rawValue: 2)!, name: "b")!

@Suite("Replay window")
struct ReplayWindowTests {
    @Test("every counter passes once, in whatever order, down to 1,024 behind")
    func order() {
        var window = ReplayWindow()
        var random = SystemRandomNumberGenerator()
        for counter in (UInt64(1)...1_024).shuffled(using: &random) {
            #expect(window.admits(counter))
            window.accept(counter)
            #expect(!window.admits(counter))
        }
        #expect(window.highest == 1_024)
    }

    @Test(
        "what is too old never passes, what lies between stays open",
        arguments: [
            (2_000, 977, true), (2_000, 976, false), (2_000, 1, false), (2_000, 0, false),
            (1_025, 1, false), (1_025, 2, true), (1 << 40, (1 << 40) - 1_023, true),
        ] as [(UInt64, UInt64, Bool)])
    func edges(highest: UInt64, late: UInt64, isAdmitted: Bool) {
        var window = ReplayWindow()
        window.accept(1)
        window.accept(highest)
        #expect(window.admits(late) == isAdmitted)
    }

    @Test("it agrees with a set that remembers everything")
    func model() {
        var window = ReplayWindow()
        var seen: Set<UInt64> = []
        var random = SystemRandomNumberGenerator()
        var front: UInt64 = 1
        for _ in 0..<20_000 {
            if Int.random(in: 0..<50, using: &random) == 0 {
                front += UInt64.random(in: 1...3_000, using: &random)
            }
            let counter = front + UInt64.random(in: 0...1_500, using: &random)
            let highest = seen.max() ?? 0
            let isFresh =
                !seen.contains(counter) && (counter > highest || highest - counter < 1_024)
            #expect(window.admits(counter) == isFresh)
            if isFresh {
                window.accept(counter)
                seen.insert(counter)
                seen = seen.filter { $0 + 3_000 > highest }
            }
        }
    }
}

@Suite("Sealed heartbeats")
struct HeartbeatSessionsTests {
    var left = HeartbeatSessions()
    var right = HeartbeatSessions()
    let start = Instant(nanoseconds: 1_000)

    init() throws {
        let (a, b) = try keyPair()
        left.install(a, for: nodeB, at: start)
        right.install(b, for: nodeA, at: start)
    }

    @Test("the wire is version, key ID, counter, ciphertext and tag")
    mutating func layout() throws {
        let datagram = try left.seal([1, 2, 3], for: nodeB)
        #expect(datagram.count == 1 + 8 + 8 + 3 + 16)
        #expect(datagram[0] == 1)
        #expect(Array(datagram[9..<17]) == [0, 0, 0, 0, 0, 0, 0, 1])
        #expect(try left.seal([], for: nodeB)[16] == 2)
        let opened = try right.open(datagram, at: start)
        #expect(opened.peer == nodeA && opened.plaintext == [1, 2, 3])
    }

    @Test("each passes once, in any order")
    mutating func replay() throws {
        let datagrams = try (0..<50).map { try left.seal([UInt8($0)], for: nodeB) }
        for (index, datagram) in datagrams.enumerated().reversed() {
            #expect(try right.open(datagram, at: start).plaintext == [UInt8(index)])
        }
        for datagram in datagrams {
            #expect(throws: TransportRejection.heartbeatReplayed) {
                try right.open(datagram, at: start)
            }
        }
    }

    @Test("no bit can be changed, and a forgery doesn't move the window")
    mutating func tamper() throws {
        let datagram = try left.seal([7, 7], for: nodeB)
        for bit in 0..<datagram.count * 8 {
            var changed = datagram
            changed[bit / 8] ^= 1 << (bit % 8)
            #expect(throws: TransportRejection.self) { try right.open(changed, at: start) }
        }
        for length in 0..<datagram.count {
            #expect(throws: TransportRejection.self) {
                try right.open(Array(datagram.prefix(length)), at: start)
            }
        }
        #expect(try right.open(datagram, at: start).plaintext == [7, 7])
    }

    @Test("a datagram isn't accepted back by its sender")
    mutating func reflection() throws {
        let datagram = try left.seal([1], for: nodeB)
        #expect(throws: TransportRejection.heartbeatUnknownKey) {
            try left.open(datagram, at: start)
        }
    }

    @Test("the largest plaintext fits 1,200 bytes of ciphertext, one more byte doesn't")
    mutating func size() throws {
        let largest = [UInt8](repeating: 1, count: DatagramSocket.plaintextMaximum)
        let datagram = try left.seal(largest, for: nodeB)
        #expect(datagram.count == 17 + 1_200)
        #expect(try right.open(datagram, at: start).plaintext == largest)
        #expect(throws: TransportRejection.heartbeatTooLarge) {
            try left.seal(largest + [1], for: nodeB)
        }
        #expect(throws: TransportRejection.heartbeatMalformed) {
            try right.open(datagram + [0], at: start)
        }
    }

    @Test("after a rekey the old key opens for 60 s and then no more, nor does it seal")
    mutating func rekey() throws {
        let old = try (0..<2).map { _ in try left.seal([1], for: nodeB) }
        let (a, b) = try keyPair()
        left.install(a, for: nodeB, at: start)
        right.install(b, for: nodeA, at: start)
        let new = try left.seal([2], for: nodeB)
        #expect(new[1..<9] != old[0][1..<9])
        #expect(try right.open(new, at: start).plaintext == [2])
        #expect(try right.open(old[0], at: start + .seconds(59)).plaintext == [1])
        #expect(throws: TransportRejection.heartbeatUnknownKey) {
            try right.open(old[1], at: start + .seconds(60))
        }
    }

    @Test("installing the same keys again, or after a removal, uses no counter twice")
    mutating func reinstallation() throws {
        let (a, b) = try keyPair()
        right.install(b, for: nodeA, at: start)
        var counters: Set<[UInt8]> = []
        for _ in 0..<10 {
            left.install(a, for: nodeB, at: start)
            counters.insert(Array(try left.seal([1], for: nodeB)[9..<17]))
            left.remove(nodeB)
            #expect(throws: TransportRejection.heartbeatNoKey) { try left.seal([1], for: nodeB) }
        }
        #expect(counters.count == 10)
    }

    @Test("frequent reconnections keep a bounded number of keys")
    mutating func bound() throws {
        var datagrams: [[UInt8]] = []
        for _ in 0..<20 {
            let (a, b) = try keyPair()
            left.install(a, for: nodeB, at: start)
            right.install(b, for: nodeA, at: start)
            datagrams.append(try left.seal([1], for: nodeB))
        }
        let opened = datagrams.filter { (try? right.open($0, at: start)) != nil }
        #expect(opened.count == HeartbeatSessions.receiveKeysMaximum)
    }

    @Test("keys of other identities don't fit, even with the same secret")
    func binding() throws {
        let (own, peer) = (HeartbeatKeys.Half(), HeartbeatKeys.Half())
        let identity = SPIFFEID("spiffe://east.weft.test/node/a")!
        func keys(to name: String) throws -> HeartbeatKeys {
            try HeartbeatKeys(
                own: own, ownIdentity: identity, peerKey: peer.publicKey,
                peerReceiveKeyID: peer.receiveKeyID,
                peerIdentity: SPIFFEID("spiffe://west.weft.test/node/\(name)")!, isInitiator: true)
        }
        #expect(try keys(to: "b").sendKey == keys(to: "b").sendKey)
        #expect(try keys(to: "b").sendKey != keys(to: "c").sendKey)
        #expect(try keys(to: "b").sendKey != keys(to: "b").receiveKey)
        #expect(throws: (any Error).self) {
            try HeartbeatKeys(
                own: own, ownIdentity: identity, peerKey: [UInt8](repeating: 0, count: 32),
                peerReceiveKeyID: 1, peerIdentity: identity, isInitiator: true)
        }
    }
}

@Suite("Heartbeat sockets", .timeLimit(.minutes(1)))
struct HeartbeatSocketTests {
    @Test("heartbeats keyed by a link arrive with the time they were received at")
    func endToEnd() async throws {
        let mesh = try Mesh(east, west)
        let (a, b) = (try mesh.node(east, "a"), try mesh.node(west, "b"))
        b.dial(try await a.service.start().port)
        let (toB, toA) = (try await a.link(to: "b"), try await b.link(to: "a"))

        let any = TransportAddress(address: loopback, port: 0)
        let statistics = (TransportStatistics(), TransportStatistics())
        let sender = DatagramSocket(own: nodeA, addresses: [any], statistics: statistics.0)
        let receiver = DatagramSocket(own: nodeB, addresses: [any], statistics: statistics.1)
        let running = [sender, receiver].map { socket in Task { try await socket.run() } }
        defer { for task in running { task.cancel() } }
        let from = try await sender.start()[0]
        let to = try await receiver.start()[0]
        let log = EventLog(receiver.heartbeats)
        sender.install(toB.heartbeatKeys, for: toB.node)
        receiver.install(toA.heartbeatKeys, for: toA.node)

        let before = Instant.monotonicNow
        for index in 0..<20 { #expect(sender.send([UInt8(index)], to: toB.node, at: to)) }
        let arrivals = try await log.wait("heartbeats lost") { $0.count == 20 ? $0 : nil }
        #expect(arrivals.map(\.plaintext) == (0..<20).map { [UInt8($0)] })
        #expect(arrivals.allSatisfy { $0.peer == toA.node && $0.source == from })
        #expect(arrivals.allSatisfy { $0.arrival > before && $0.arrival < .monotonicNow })
        try await eventually("not counted") { statistics.0.snapshot.heartbeatsSent == 20 }

        // The receiver's own address got what only the sender can open: unknown there, and counted.
        #expect(sender.send([1], to: toB.node, at: from))
        try await eventually("not rejected") { statistics.0.snapshot[.heartbeatUnknownKey] == 1 }
        #expect(!sender.send([1], to: toA.node, at: to))
        #expect(statistics.0.snapshot[.heartbeatNoKey] == 1)
        #expect(!sender.send([1], to: toB.node, at: to, from: Address(ipv4: 1)))
        #expect(statistics.0.snapshot[.heartbeatUnsent] == 1)
    }

    @Test("an address that isn't this host's is an error at the start")
    func foreignAddress() async throws {
        let statistics = TransportStatistics()
        let socket = DatagramSocket(
            own: nodeA,
            addresses: [TransportAddress(address: Address(ipv4: 0xc000_0201), port: 0)],
            statistics: statistics)
        await #expect(throws: (any Error).self) { try await socket.start() }
    }
}
