// SPDX-License-Identifier: Apache-2.0

import Crypto
import MeshModel
import Testing

@testable import MeshTransport

@Suite("Sealed gossip")
struct GossipSessionsTests {
    let cluster = GossipCluster("a", "b", "c")

    @Test("the wire is version 2, key ID, counter, ciphertext and tag")
    func layout() throws {
        let datagram = try cluster.seal([1, 2, 3], from: "a", to: "b")
        #expect(datagram.count == 1 + 8 + 8 + 3 + 16)
        #expect(datagram[0] == 2)
        #expect(Array(datagram[9..<17]) == [0, 0, 0, 0, 0, 0, 0, 1])
        // One counter for all peers: no nonce depends on what is remembered of one.
        #expect(try cluster.seal(from: "a", to: "c")[16] == 2)
        let opened = try cluster.open(datagram, at: "b")
        #expect(opened.peer == node("a") && opened.plaintext == [1, 2, 3])
    }

    @Test("the first datagram of two known keys, byte for byte")
    func vector() throws {
        var sender = GossipSessions(own: node("a"), key: key(1), at: .zero)
        let receiver = OwnGossipKey(key(2), madeAt: .zero)
        #expect(sender.install([node("b"): [receiver.publicKey]], at: .zero) == 0)
        let datagram = try sender.seal([UInt8]("weft".utf8), for: node("b"))
        #expect(datagram == vectorDatagram)
    }

    @Test("each passes once, in any order, down to 1,024 behind")
    func replay() throws {
        var datagrams = try (0..<1_100).map {
            try cluster.seal([UInt8($0 & 0xff)], from: "a", to: "b")
        }
        let last = datagrams.removeLast()
        try cluster.open(last, at: "b")
        let old = datagrams.prefix(1_100 - 1_024)
        for datagram in datagrams.dropFirst(old.count).reversed() {
            try cluster.open(datagram, at: "b")
        }
        for datagram in datagrams + [last] {
            #expect(cluster.rejection(of: datagram, at: "b") == .gossipReplayed)
        }
    }

    @Test("no bit can be changed and nothing cut off, and a forgery doesn't move the window")
    func tamper() throws {
        let datagram = try cluster.seal([7, 7], from: "a", to: "b")
        for bit in 0..<datagram.count * 8 {
            var changed = datagram
            changed[bit / 8] ^= 1 << (bit % 8)
            #expect(cluster.rejection(of: changed, at: "b") != nil)
        }
        for length in 0..<datagram.count {
            #expect(cluster.rejection(of: Array(datagram.prefix(length)), at: "b") != nil)
        }
        #expect(cluster.rejection(of: datagram + [0], at: "b") == .gossipForged)
        #expect(try cluster.open(datagram, at: "b").plaintext == [7, 7])
    }

    @Test("bytes at random, and at random behind a true header, are never taken")
    func noise() throws {
        var random = SystemRandomNumberGenerator()
        let header = try cluster.seal(from: "a", to: "b").prefix(17)
        for round in 0..<4_000 {
            let noise = (0..<Int.random(in: 0...64)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            #expect(cluster.rejection(of: round % 2 == 0 ? noise : header + noise, at: "b") != nil)
        }
        #expect(cluster.reaches("a", "b"))
    }

    @Test("the largest plaintext fits 1,200 bytes of ciphertext, one more byte doesn't")
    func size() throws {
        let largest = [UInt8](repeating: 1, count: DatagramSocket.plaintextMaximum)
        let datagram = try cluster.seal(largest, from: "a", to: "b")
        #expect(datagram.count == 17 + 1_200)
        #expect(try cluster.open(datagram, at: "b").plaintext == largest)
        #expect(throws: TransportRejection.gossipTooLarge) {
            try cluster.seal(largest + [1], from: "a", to: "b")
        }
        #expect(cluster.rejection(of: datagram + [0], at: "b") == .gossipMalformed)
    }

    @Test("a heartbeat isn't gossip")
    func version() throws {
        var datagram = try cluster.seal(from: "a", to: "b")
        datagram[0] = HeartbeatDatagram.version
        #expect(cluster.rejection(of: datagram, at: "b") == .gossipMalformed)
        datagram[0] = 3
        #expect(cluster.rejection(of: datagram, at: "b") == .gossipMalformed)
    }

    @Test("what is for one node opens at no other, nor at its sender")
    func direction() throws {
        let datagram = try cluster.seal(from: "a", to: "b")
        #expect(cluster.rejection(of: datagram, at: "c") == .gossipUnknownKey)
        #expect(cluster.rejection(of: datagram, at: "a") == .gossipUnknownKey)
    }

    @Test("a member can't pose as another, though it knows every public key")
    func impersonation() throws {
        // c calls itself a and seals to b with its own key, under the ID of the pair a and b.
        var posing = GossipSessions(own: node("a"), key: key(3), at: cluster.now)
        #expect(posing.announced == cluster.roster[node("c")])
        #expect(posing.install([node("b"): cluster.roster[node("b")]!], at: cluster.now) == 0)
        var datagram = try posing.seal([1], for: node("b"))
        #expect(cluster.rejection(of: datagram, at: "b") == .gossipUnknownKey)
        datagram.replaceSubrange(1..<9, with: try cluster.seal(from: "a", to: "b")[1..<9])
        #expect(cluster.rejection(of: datagram, at: "b") == .gossipForged)
        #expect(cluster.reaches("a", "b"))
    }

    @Test("the same keys in another cluster, or under another name, agree on other secrets")
    func binding() throws {
        let own = OwnGossipKey(key(1), madeAt: .zero)
        let peer = OwnGossipKey(key(2), madeAt: .zero)
        func secrets(_ name: String, in cluster: UInt16) -> GossipSecrets? {
            GossipSecrets(
                own: own, of: node("a", in: cluster), remote: peer.publicKey,
                of: node(name, in: cluster))
        }
        let reference = try #require(secrets("b", in: 1))
        #expect(secrets("b", in: 1)?.send == reference.send)
        #expect(reference.send != reference.receive)
        for other in [secrets("c", in: 1), secrets("b", in: 2)] {
            let other = try #require(other)
            #expect(other.send != reference.send && other.receive != reference.receive)
            #expect(other.sendKeyID != reference.sendKeyID)
        }
    }

    @Test("only nodes of the own cluster are gossiped with, and never oneself")
    func foreign() {
        let stranger = node("x", in: 2)
        cluster.start(stranger)
        cluster.publish(to: ["a"])
        var sessions = cluster.sessions[node("a")]!
        for peer in [stranger, node("a"), node("unknown")] {
            #expect(throws: TransportRejection.gossipNoKey) { try sessions.seal([1], for: peer) }
        }
        #expect(throws: TransportRejection.gossipNoKey) {
            var sessions = cluster.sessions[stranger]!
            return try sessions.seal([1], for: node("a"))
        }
    }

    @Test("a key of low order is of no use and harms nobody else")
    func lowOrder() {
        var roster = cluster.roster
        roster[node("b")] = [GossipKey([UInt8](repeating: 0, count: 32))!]
        cluster.publish(roster, to: ["a"])
        for _ in 0..<2 {
            #expect(throws: TransportRejection.gossipNoKey) { try cluster.seal(from: "a", to: "b") }
        }
        #expect(cluster.reaches("a", "c") && cluster.reaches("c", "a"))
    }

    @Test("a roster beyond its bound keeps the first by name and says how many it left out")
    func bound() {
        var sessions = GossipSessions(own: node("a"), key: key(1), at: .zero)
        let other = OwnGossipKey(key(2), madeAt: .zero).publicKey
        let names = (0..<GossipSessions.nodesMaximum + 3).map { "n\(10_000 + $0)" }
        let roster = Dictionary(uniqueKeysWithValues: names.map { (node($0), [other]) })
        #expect(sessions.install(roster, at: .zero) == 3)
        #expect(throws: Never.self) { try sessions.seal([1], for: node("n10000")) }
        #expect(throws: TransportRejection.gossipNoKey) {
            try sessions.seal([1], for: node(names.last!))
        }
    }
}

/// From a, whose private key is 07 01 07…07, to b, whose is 07 02 07…07, in cluster 1; computed by
/// another implementation of RFC 7748, 5869 and 8439.
private let vectorDatagram: [UInt8] = [
    0x02,  // version
    0xbf, 0x61, 0x87, 0x5d, 0x52, 0xc5, 0x0c, 0x81,  // key ID
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01,  // counter
    0x85, 0x06, 0x51, 0xac,  // "weft"
    0xbd, 0xe4, 0x85, 0xd8, 0x6e, 0xf9, 0x75, 0xa1,  // tag
    0x51, 0xa1, 0x79, 0xd6, 0x10, 0x33, 0xe2, 0xd9,
]
