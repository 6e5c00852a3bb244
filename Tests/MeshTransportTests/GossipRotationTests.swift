// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

@testable import MeshTransport

@Suite("Gossip key rotation: add, use, remove")
struct GossipRotationTests {
    let cluster = GossipCluster("a", "b", "c")

    /// Lets every pair of nodes exchange a datagram each way.
    private func everybodyTalks() {
        for x in ["a", "b", "c"] {
            for y in ["a", "b", "c"] where x != y { #expect(cluster.reaches(x, y)) }
        }
    }

    @Test(
        "a key gets a successor after 24 h, which is used when known and replaces it when all know")
    func rotation() throws {
        let first = try #require(cluster.roster[node("a")])
        cluster.now = cluster.now + GossipSessions.keyLifetime - .seconds(1)
        #expect(!cluster.rotate("a"))
        cluster.now = cluster.now + .seconds(1)
        #expect(cluster.rotate("a"))
        let both = try #require(cluster.roster[node("a")])
        #expect(both.count == 2 && both[0] == first[0])
        everybodyTalks()  // nobody knows yet, nobody is cut off

        cluster.publish()
        let before = try cluster.seal(from: "a", to: "b")[1..<9]
        everybodyTalks()
        #expect(try cluster.seal(from: "a", to: "b")[1..<9] != before)

        cluster.now = cluster.now + GossipSessions.keyOverlap - .seconds(1)
        everybodyTalks()
        #expect(!cluster.rotate("a"))
        cluster.now = cluster.now + .seconds(1)
        #expect(cluster.rotate("a"))
        #expect(cluster.roster[node("a")] == [both[1]])
        everybodyTalks()
        cluster.publish()
        everybodyTalks()
    }

    @Test("a key on request: told, used, alone after a minute, and nothing is refused")
    func request() throws {
        let first = try #require(cluster.roster[node("a")])
        everybodyTalks()
        #expect(cluster.uses("a").map(\.users) == [2])
        #expect(cluster.succeed("a"))
        #expect(!cluster.succeed("a"), "one change at a time")
        let both = try #require(cluster.roster[node("a")])
        #expect(both.count == 2 && both[0] == first[0])
        everybodyTalks()
        #expect(cluster.uses("a").map(\.users) == [2, 0], "nobody knows it yet")
        cluster.publish(to: ["b"])
        everybodyTalks()
        #expect(cluster.uses("a").map(\.users) == [1, 1])
        cluster.now = cluster.now + GossipSessions.hastyKeyOverlap
        everybodyTalks()
        #expect(!cluster.rotate("a"), "c still needs the old one")
        cluster.publish(to: ["c"])
        everybodyTalks()
        #expect(cluster.uses("a").map(\.users) == [0, 2])
        #expect(cluster.rotate("a"))
        #expect(cluster.roster[node("a")] == [both[1]])
        everybodyTalks()
        cluster.publish()
        everybodyTalks()
        #expect(cluster.uses("a").map(\.users) == [2] && cluster.uses("a").map(\.nodes) == [2])
    }

    @Test("who doesn't learn of the new key is served with the old one, for a day")
    func lostNews() throws {
        cluster.now = cluster.now + GossipSessions.keyLifetime
        #expect(cluster.rotate("a"))
        cluster.publish(to: ["b"])
        for _ in 0..<100 {
            cluster.now = cluster.now + .seconds(600)
            everybodyTalks()
            #expect(!cluster.rotate("a"))
        }
        // c learns at last.
        cluster.publish(to: ["c"])
        everybodyTalks()
        #expect(cluster.rotate("a"))
        everybodyTalks()
    }

    @Test("a key goes a day after its successor came, whoever may still need it")
    func deadline() throws {
        cluster.now = cluster.now + GossipSessions.keyLifetime
        #expect(cluster.rotate("a"))
        cluster.publish(to: ["b"])
        cluster.now = cluster.now + GossipSessions.keyLifetime
        everybodyTalks()
        #expect(cluster.rotate("a"))
        #expect(cluster.roster[node("a")]?.count == 2)
        #expect(!cluster.reaches("c", "a"))
        #expect(cluster.reaches("b", "a") && cluster.reaches("a", "b"))
        cluster.publish()
        everybodyTalks()
    }

    @Test("the silent don't hold a rotation up")
    func silentPeer() throws {
        cluster.now = cluster.now + GossipSessions.keyLifetime
        everybodyTalks()
        #expect(cluster.rotate("a"))
        cluster.publish(to: ["b"])
        cluster.now = cluster.now + GossipSessions.keyOverlap
        #expect(cluster.reaches("b", "a"))
        #expect(cluster.rotate("a"))
        #expect(cluster.roster[node("a")]?.count == 1)
    }

    @Test("a publisher that falls back in the middle of a rotation cuts nobody off")
    func failOver() throws {
        let former = cluster.roster
        cluster.now = cluster.now + GossipSessions.keyLifetime
        for name in ["a", "b"] { #expect(cluster.rotate(name)) }
        let both = cluster.roster
        cluster.publish()
        everybodyTalks()
        everybodyTalks()
        // Back to before the rotation, and forth, and differently for different nodes.
        for rosters in [[former, former], [both, former], [former, both], [both, both]] {
            cluster.publish(rosters[0], to: ["a", "c"])
            cluster.publish(rosters[1], to: ["b"])
            everybodyTalks()
            everybodyTalks()
        }
        cluster.now = cluster.now + GossipSessions.keyOverlap
        everybodyTalks()
        #expect(cluster.rotate("a"))
        // The successor's roster still lists the key that is gone.
        everybodyTalks()
        cluster.publish()
        everybodyTalks()
    }

    @Test("everything sealed to a removed key stays closed")
    func removedKey() throws {
        let old = try cluster.seal(from: "b", to: "a")
        cluster.now = cluster.now + GossipSessions.keyLifetime
        #expect(cluster.rotate("a"))
        cluster.publish()
        everybodyTalks()
        cluster.now = cluster.now + GossipSessions.keyOverlap
        everybodyTalks()
        #expect(cluster.rotate("a"))
        #expect(cluster.rejection(of: old, at: "a") == .gossipUnknownKey)
    }

    @Test("both ends rotate at once")
    func together() throws {
        for _ in 0..<3 {
            cluster.now = cluster.now + GossipSessions.keyLifetime
            for name in ["a", "b", "c"] { #expect(cluster.rotate(name)) }
            cluster.publish()
            everybodyTalks()
            everybodyTalks()
            cluster.now = cluster.now + GossipSessions.keyOverlap
            everybodyTalks()
            for name in ["a", "b", "c"] {
                #expect(cluster.rotate(name))
                everybodyTalks()
            }
            cluster.publish()
            everybodyTalks()
        }
    }

    @Test("a key that has many closed pairs to remember gets its successor early")
    func closedPairs() throws {
        var keeper = GossipSessions(own: node("a"), key: key(1), at: .zero)
        keeper.closedMaximum = 2
        for number in UInt8(2)...4 {
            var peer = GossipSessions(own: node("b"), key: key(number), at: .zero)
            _ = peer.install([node("a"): keeper.announced], at: .zero)
            _ = keeper.install([node("b"): peer.announced], at: .zero)
            let datagram = try peer.seal([1], for: node("a"))
            if number < 4 {
                _ = try keeper.open(datagram, at: .zero)
                #expect(!keeper.rotate(at: .zero) { key(9) })
                _ = keeper.install([:], at: .zero)
            } else {
                // No room to remember a third: it waits for the next key.
                #expect(throws: TransportRejection.gossipUnknownKey) {
                    try keeper.open(datagram, at: .zero)
                }
                #expect(keeper.rotate(at: .zero) { key(9) })
                _ = peer.install([node("a"): keeper.announced], at: .zero)
                let next = try peer.seal([1], for: node("a"))
                #expect(try keeper.open(next, at: .zero).peer == node("b"))
            }
        }
    }
}
