// SPDX-License-Identifier: Apache-2.0

import Foundation
import MeshModel
import Testing

@testable import MeshTrust

private let oldKey = AuthorityKey(keyIdentifier: "aa", notAfter: noon + 86_400)
private let newKey = AuthorityKey(keyIdentifier: "bb", notAfter: noon + 864_000)

@Suite("Rotation of an authority's key")
struct RotationTests {
    private func rotation(
        _ kind: RotationKind = .root, peers: [ClusterName] = [east, west]
    ) -> Rotation {
        Rotation(
            kind, generation: 2, replacing: oldKey, sequence: 7,
            peers: peers.map { RotationPeer(cluster: $0, isLive: true) }, now: noon)
    }

    @Test("a root passes every phase in order, and does what each asks for")
    func phases() {
        var root = rotation()
        #expect(root.due == .generateKey(.root, generation: 2))
        #expect(root.performed(.generateKey(.root, generation: 2), now: noon).isEmpty)
        var events = root.generated(newKey, now: noon)
        #expect(root.phase == .published)
        #expect(root.due == .publish(sequence: 8, roots: ["aa", "bb"]))
        #expect(root.performed(.drop("aa"), now: noon).isEmpty, "nobody asked for that")
        #expect(root.due == .publish(sequence: 8, roots: ["aa", "bb"]))
        #expect(root.waitingFor.isEmpty, "nobody can have what isn't published")
        events += root.performed(root.due!, now: noon)
        #expect(root.due == nil)
        #expect(root.waitingFor.map(\.cluster) == [east, west])
        events += root.acknowledged(east, sequence: 8, now: noon)
        #expect(root.phase == .published)
        events += root.acknowledged(west, sequence: 9, now: noon)
        #expect(root.phase == .acknowledged)
        #expect(root.due == .switchIssuer(to: "bb"))
        events += root.performed(root.due!, now: noon + 10)
        #expect(root.due == .reissue(under: "bb"))
        events += root.performed(root.due!, now: noon + 11)
        let end = noon + 10 + 86_400 + 60
        #expect(root.retirement == end)
        #expect(root.tick(now: end - 1).isEmpty)
        events += root.tick(now: end)
        #expect(root.phase == .retiring)
        #expect(root.due == .publish(sequence: 9, roots: ["bb"]))
        events += root.performed(root.due!, now: end)
        #expect(root.due == .drop("aa"))
        events += root.performed(root.due!, now: end)
        #expect(root.phase == .removed)
        #expect(root.due == nil)
        #expect(
            events.map(\.sentence) == [
                "new root bb goes out with bundle 8",
                "east holds bundle 8, still waiting for west", "west holds bundle 9",
                "every peer holds new root bb", "the authority signs with bb",
                "nothing rests on aa any more", "aa is removed, the rotation is complete",
            ])
    }

    @Test("a peer that can't be reached is waited for and named")
    func partitioned() {
        var root = published()
        _ = root.update(
            peers: [
                RotationPeer(cluster: west, isLive: false),
                RotationPeer(cluster: east, isLive: true),
            ], now: noon)
        _ = root.acknowledged(east, sequence: 8, now: noon)
        _ = root.tick(now: noon + 1_000_000)
        #expect(root.phase == .published)
        #expect(
            root.status
                == "rotation of the root: waiting for west (unreachable) to acknowledge bundle 8")
        // An old acknowledgement that comes late, and one of somebody unknown, are none.
        _ = root.acknowledged(east, sequence: 7, now: noon)
        _ = root.acknowledged(west, sequence: 7, now: noon)
        _ = root.acknowledged(ClusterName(rawValue: "south")!, sequence: 8, now: noon)
        #expect(root.waitingFor.map(\.cluster) == [west])
        // Who leaves the mesh isn't waited for.
        _ = root.update(peers: [RotationPeer(cluster: east, isLive: true)], now: noon)
        #expect(root.phase == .acknowledged)
    }

    @Test("a cluster that joins before the change must hold the new root as well")
    func newcomer() {
        var root = published()
        let south = ClusterName(rawValue: "south")!
        _ = root.update(
            peers: [east, south, west].map { RotationPeer(cluster: $0, isLive: true) }, now: noon)
        _ = root.acknowledged(east, sequence: 8, now: noon)
        _ = root.acknowledged(west, sequence: 8, now: noon)
        #expect(root.waitingFor.map(\.cluster) == [south])
        // What it acknowledged while it joined comes with the roster.
        _ = root.update(
            peers: [
                RotationPeer(cluster: east, isLive: true),
                RotationPeer(cluster: west, isLive: true),
                RotationPeer(cluster: south, isLive: true, acknowledged: 8),
            ], now: noon)
        #expect(root.phase == .acknowledged)
    }

    @Test("force goes on and names whom it breaks")
    func force() throws {
        var root = rotation()
        #expect(throws: RotationFault.nothingToForce(.preparing)) { try root.force(now: noon) }
        root = published()
        _ = root.acknowledged(east, sequence: 8, now: noon)
        let (broken, events) = try root.force(now: noon)
        #expect(broken == [west])
        #expect(root.forcedWithout == [west])
        #expect(
            events.map(\.sentence) == [
                "forced on although these can't verify new root bb yet: west"
            ])
        #expect(root.phase == .acknowledged)
        #expect(throws: RotationFault.nothingToForce(.acknowledged)) { try root.force(now: noon) }
    }

    @Test("an abort withdraws the new root, and comes too late once the authority may use it")
    func abort() throws {
        var root = rotation()
        _ = try root.abort(now: noon)
        #expect(root.due == .discardKey(.root, generation: 2))
        _ = root.performed(root.due!, now: noon)
        #expect(root.phase == .aborted)

        root = published()
        _ = try root.abort(now: noon)
        #expect(root.due == .publish(sequence: 9, roots: ["aa"]))
        _ = root.performed(root.due!, now: noon)
        #expect(root.due == .discardKey(.root, generation: 2))
        _ = root.performed(root.due!, now: noon)
        #expect(root.phase == .aborted)
        #expect(root.acknowledged(east, sequence: 8, now: noon).isEmpty)

        root = published()
        for cluster in [east, west] { _ = root.acknowledged(cluster, sequence: 8, now: noon) }
        #expect(throws: RotationFault.tooLateToAbort(.acknowledged)) { try root.abort(now: noon) }
        #expect(root.due == .switchIssuer(to: "bb"))
    }

    @Test("an intermediate changes at once: no peer needs to know it beforehand")
    func intermediate() {
        var rotation = rotation(.intermediate)
        _ = rotation.generated(newKey, now: noon)
        var effects: [RotationEffect] = []
        while let effect = rotation.due {
            effects.append(effect)
            _ = rotation.performed(effect, now: noon)
        }
        #expect(effects == [.switchIssuer(to: "bb"), .reissue(under: "bb"), .drop("aa")])
        #expect(rotation.phase == .removed)
    }

    @Test("once every node has renewed, the old root need not outlive their former certificates")
    func renewed() {
        var root = published(peers: [])
        #expect(root.allRenewed(now: noon).isEmpty)
        _ = root.performed(.switchIssuer(to: "bb"), now: noon)
        #expect(root.allRenewed(now: noon).isEmpty, "nodes weren't told to renew yet")
        _ = root.performed(.reissue(under: "bb"), now: noon)
        _ = root.allRenewed(now: noon + 100)
        #expect(root.phase == .active)
        #expect(root.tick(now: noon + 159).isEmpty)
        _ = root.tick(now: noon + 160)
        #expect(root.phase == .retiring)
    }

    private func published(peers: [ClusterName] = [east, west]) -> Rotation {
        var root = rotation(peers: peers)
        _ = root.generated(newKey, now: noon)
        _ = root.performed(root.due!, now: noon)
        return root
    }
}

@Suite("Rotation of a root in a mesh")
struct RotationSimulation {
    @Test("no handshake fails with late bundles, wrong clocks and a partition", arguments: 1...8)
    func handshakes(seed: UInt64) throws {
        var world = try RotationWorld(seed: seed)
        try world.run()
        #expect(world.failures == [])
        #expect(world.handshakes > 10_000)
        expectComplete(world)
        let waited = world.events.first { $0.sentence.contains("peer-1 (unreachable)") }
        #expect(waited != nil, "the partitioned peer is named")
    }

    /// Six effects are performed; each is interrupted before and after, alone and in pairs.
    @Test(
        "killed before or after any effect it ends as if it hadn't been", arguments: 1...6,
        RotationWorld.Crash.allCases)
    func kill(effect: Int, crash: RotationWorld.Crash) throws {
        for second in [0, effect + 1, effect + 3] {
            for other in RotationWorld.Crash.allCases {
                var world = try RotationWorld(seed: UInt64(effect * 8 + second), peers: 3)
                world.crashes = [effect: crash]
                if second > effect { world.crashes[second] = other }
                try world.run()
                #expect(world.failures == [])
                expectComplete(world)
            }
        }
    }

    @Test("an abort at any time before the change leaves the old root alone", arguments: 0...20)
    func abort(at step: Int) throws {
        for crash in 0...4 {
            var world = try RotationWorld(seed: UInt64(step), peers: 3)
            world.abortsAt = Double(step) * RotationWorld.stepSeconds
            world.crashes = [crash: crash % 2 == 0 ? .beforeEffect : .afterEffect]
            try world.run(for: 900)
            #expect(world.failures == [])
            #expect(world.rotation.phase == .aborted)
            #expect(world.disk.keys == ["root-1"])
            #expect(world.disk.issuer == "root-1")
            #expect(world.disk.bundle.roots == ["root-1"])
        }
    }

    @Test("forced on, only those named break, and a peer that returns in time is well again")
    func force() throws {
        var world = try RotationWorld(seed: 11)
        world.forcesAt = 200
        try world.run()
        #expect(world.broken.map(\.rawValue) == ["peer-1"])
        #expect(world.failures == [])
        expectComplete(world)
        #expect(world.peers[1].roots == ["root-2"])
    }

    private func expectComplete(_ world: RotationWorld) {
        #expect(world.rotation.phase == .removed)
        #expect(world.disk.keys == ["root-2"])
        #expect(world.disk.issuer == "root-2")
        #expect(world.disk.bundle.sequence == 3)
        #expect(world.disk.bundle.roots == ["root-2"])
        for peer in world.peers {
            #expect(peer.sequence == 3)
            #expect(peer.roots == ["root-2"])
        }
        #expect(world.leaves.allSatisfy { $0.root == "root-2" })
        #expect(
            Set(world.events.map(\.phase)).isSuperset(of: [.published, .acknowledged, .active]))
    }
}
