// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

@testable import MeshTransport

@Suite("Gossip rosters: restarts, removals, publishers that disagree")
struct GossipRosterTests {
    let cluster = GossipCluster("a", "b", "c")

    @Test("nothing recorded in an earlier life of the sender passes")
    func senderRestart() throws {
        let heard = try cluster.seal(from: "a", to: "b")
        let held = try cluster.seal(from: "a", to: "b")
        try cluster.open(heard, at: "b")
        cluster.start(node("a"))
        cluster.publish()
        #expect(cluster.reaches("a", "b") && cluster.reaches("b", "a"))
        #expect(cluster.rejection(of: heard, at: "b") == .gossipReplayed)
        // What was on its way still passes, once and for 60 s.
        cluster.now = cluster.now + GossipPeer.grace
        #expect(cluster.rejection(of: held, at: "b") == .gossipUnknownKey)
        // Even a stale roster that lists the old key again doesn't open what was heard.
        _ = cluster.rotate("b")
        #expect(cluster.rejection(of: heard, at: "b") == .gossipUnknownKey)
        var stale = cluster.roster
        stale[node("a")] = GossipCluster("a", "b", "c").roster[node("a")]
        cluster.publish(stale, to: ["b"])
        #expect(cluster.rejection(of: heard, at: "b") == .gossipReplayed)
    }

    @Test("nothing recorded in an earlier life of the receiver passes")
    func receiverRestart() throws {
        let datagrams = try (0..<3).map { _ in try cluster.seal(from: "a", to: "b") }
        try cluster.open(datagrams[0], at: "b")
        cluster.start(node("b"))
        cluster.publish()
        for datagram in datagrams {
            #expect(cluster.rejection(of: datagram, at: "b") == .gossipUnknownKey)
        }
        #expect(cluster.reaches("a", "b") && cluster.reaches("b", "a"))
    }

    @Test("who leaves the roster is cut off at once, in both directions")
    func removal() throws {
        let datagram = try cluster.seal(from: "c", to: "a")
        var roster = cluster.roster
        roster[node("c")] = nil
        cluster.publish(roster)
        #expect(cluster.rejection(of: datagram, at: "a") == .gossipUnknownKey)
        #expect(!cluster.reaches("c", "a") && !cluster.reaches("a", "c"))
        #expect(cluster.reaches("a", "b"))
    }

    @Test("a node that leaves and returns with the same key opens no hole and uses no nonce twice")
    func comeAndGo() throws {
        var heard: [[UInt8]] = []
        var nonces: Set<[UInt8]> = []
        let with = cluster.roster
        var without = with
        without[node("a")] = nil
        for round in 0..<5 {
            for _ in 0..<10 {
                let datagram = try cluster.seal(from: "a", to: "b")
                #expect(nonces.insert(Array(datagram[1..<17])).inserted)
                try cluster.open(datagram, at: "b")
                heard.append(datagram)
            }
            // Either end may see the other leave, or both.
            cluster.publish(without, to: ["b"])
            if round % 2 == 0 {
                var alone = with
                alone[node("b")] = nil
                cluster.publish(alone, to: ["a"])
            }
            cluster.publish(with)
            for datagram in heard {
                #expect(cluster.rejection(of: datagram, at: "b") == .gossipReplayed)
            }
        }
    }

    @Test("installing what is installed changes nothing")
    func reinstallation() throws {
        let datagram = try cluster.seal(from: "a", to: "b")
        try cluster.open(datagram, at: "b")
        cluster.publish()
        #expect(cluster.rejection(of: datagram, at: "b") == .gossipReplayed)
        #expect(try cluster.seal(from: "a", to: "b")[16] == 2)
    }

    @Test("a publisher that fell back behind a restart cuts nobody off who speaks")
    func staleRoster() throws {
        let stale = cluster.roster
        cluster.start(node("a"))
        cluster.publish()
        #expect(cluster.reaches("a", "b"))
        // Its successor never saw the restart. b seals to a dead key until it hears from a.
        cluster.publish(stale, to: ["b", "c"])
        #expect(!cluster.reaches("b", "a"))
        #expect(cluster.reaches("a", "b") && cluster.reaches("b", "a"))
        #expect(cluster.reaches("a", "c") && cluster.reaches("c", "a"))
        // Within the minute a has reported again.
        cluster.now = cluster.now + .seconds(30)
        cluster.publish()
        for (x, y) in [("a", "b"), ("b", "a"), ("b", "c")] { #expect(cluster.reaches(x, y)) }
    }

    @Test("a stale roster is believed after a minute")
    func staleForLong() throws {
        let stale = cluster.roster
        cluster.start(node("a"))
        cluster.publish()
        cluster.publish(stale, to: ["b"])
        #expect(cluster.reaches("a", "b"))
        cluster.now = cluster.now + GossipPeer.grace
        #expect(!cluster.reaches("a", "b"))
        _ = cluster.rotate("b")
        #expect(!cluster.reaches("b", "a"))
    }

    @Test("two publishers whose rosters alternate cut nobody off who speaks")
    func twoPublishers() throws {
        let first = cluster.roster
        cluster.start(node("a"))
        let second = cluster.roster
        cluster.publish(second, to: ["a"])
        for round in 0..<40 {
            cluster.publish(round % 2 == 0 ? first : second, to: ["b", "c"])
            if round == 0 { cluster.publish(second, to: ["b", "c"]) }
            cluster.now = cluster.now + .seconds(5)
            for peer in ["b", "c"] {
                #expect(cluster.reaches("a", peer) && cluster.reaches(peer, "a"))
            }
        }
    }

    @Test("however often a node restarts, a bounded number of its keys is remembered")
    func crashLoop() throws {
        var datagrams: [[UInt8]] = []
        for _ in 0..<20 {
            cluster.start(node("a"))
            cluster.publish()
            datagrams.append(try cluster.seal(from: "a", to: "b"))
        }
        let taken = datagrams.filter { cluster.rejection(of: $0, at: "b") == nil }
        #expect(taken.count == 1 + GossipPeer.formerMaximum)
    }
}
