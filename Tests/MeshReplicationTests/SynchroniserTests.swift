// SPDX-License-Identifier: Apache-2.0

import Crypto
import MeshModel
import MeshSimulation
import Testing

@testable import MeshReplication

@Suite("Nodes bring each other up to date")
struct SynchroniserTests {
    @Test("a change passes through a relay to a node that never meets the publisher")
    func relay() throws {
        var random = SeededGenerator(seed: 1)
        var world = try World(owners: 1, nodes: 3)
        let id = world.owners[0]
        try world.openLedger(of: id, at: 0, epoch: 1)
        world.connect(0, 1)
        world.connect(1, 2)
        world.settle(using: &random)
        for round in 1...5 {
            try world.publish([put("a", "\(round)")], of: id, at: 0)
            world.settle(using: &random)
            #expect(
                world.head(of: id, at: 2).position == Position(epoch: 1, revision: UInt64(round)))
        }
        world.checkViews()
        #expect(world.nodes[2].views[id] == ["service/a": [0x35]])
        #expect(world.nodes.flatMap(\.rejections).isEmpty)
        #expect(Set(world.nodes.map(\.synchroniser.rollup)).count == 1)
    }

    @Test("one ledger's head is told alone to all; all heads to those named")
    func announcements() throws {
        var random = SeededGenerator(seed: 3)
        var world = try World(owners: 3, nodes: 3)
        world.connect(0, 1)
        world.connect(0, 2)
        world.settle(using: &random)
        var synchroniser = world.nodes[0].synchroniser
        var effects: [ReplicationEffect] = []
        synchroniser.announceHeads(of: [world.owners[1]], into: &effects)
        let links = effects.compactMap { effect -> ReplicationLink? in
            if case .send(_, let link) = effect { link } else { nil }
        }
        #expect(Set(links).count == 2)
        func owners(over link: ReplicationLink) throws -> [[ClusterID]] {
            try effects.sent(over: link).map { message in
                if case .heads(let heads) = message { heads.map(\.owner) } else { [] }
            }
        }
        for link in links { #expect(try owners(over: link) == [[world.owners[1]]]) }
        effects = []
        synchroniser.announceHeads(over: links, into: &effects)
        for link in links { #expect(try owners(over: link).map(Set.init) == [Set(world.owners)]) }
    }

    @Test("a node that was away gets deltas, not a snapshot")
    func deltas() throws {
        var random = SeededGenerator(seed: 2)
        var world = try World(owners: 1, nodes: 2)
        let id = world.owners[0]
        try world.openLedger(of: id, at: 0, epoch: 1)
        try world.publish(endpointChanges(2000), of: id, at: 0)
        world.connect(0, 1)
        world.settle(using: &random)
        world.disconnect(0, 1)
        for index in 0..<20 { try world.publish([put("a", "\(index)")], of: id, at: 0) }
        let before = world.nodes[0].sent
        world.connect(0, 1)
        world.settle(using: &random)
        world.checkViews()
        #expect(world.head(of: id, at: 1) == world.head(of: id, at: 0))
        #expect(world.nodes[0].sent - before < 20 * 500)
    }

    @Test("a node that was away too long gets only the buckets that changed, and sweeps")
    func snapshot() throws {
        var random = SeededGenerator(seed: 3)
        var world = try World(
            owners: 1, nodes: 2, window: LogWindowLimit(batches: 4, bytes: 1 << 20))
        let id = world.owners[0]
        try world.openLedger(of: id, at: 0, epoch: 1)
        try world.publish(endpointChanges(2000) + [put("gone", "1")], of: id, at: 0)
        world.connect(0, 1)
        world.settle(using: &random)
        let whole = world.nodes[0].sent
        world.disconnect(0, 1)
        try world.publish([delete("gone")], of: id, at: 0)
        for index in 0..<20 { try world.publish([put("a", "\(index)")], of: id, at: 0) }
        let before = world.nodes[0].sent
        world.connect(0, 1)
        world.settle(using: &random)
        world.checkViews()
        #expect(world.head(of: id, at: 1) == world.head(of: id, at: 0))
        #expect(world.nodes[1].views[id]?["service/gone"] == nil)
        #expect(world.nodes[0].sent - before < whole / 5)
    }

    @Test("a state much larger than the window arrives, and what is under way stays bounded")
    func large() throws {
        var random = SeededGenerator(seed: 4)
        var world = try World(
            owners: 1, nodes: 2, window: LogWindowLimit(batches: 4, bytes: 1 << 20))
        let id = world.owners[0]
        try world.openLedger(of: id, at: 0, epoch: 1)
        let big = (0..<100).map {
            LedgerChange.put(key("big-\($0)"), .init(repeating: UInt8($0), count: 50_000))
        }
        try world.publish(big, of: id, at: 0)
        var most = 0
        var underWay = 0
        let isCounted = Message.isCounted
        world.lie = { message, from in
            if from == 0, isCounted(message) { underWay += message.count }
            if from == 1, message[1] == Message.Kind.acknowledge.rawValue { underWay = 0 }
            most = max(most, underWay)
            return [message]
        }
        world.connect(0, 1)
        world.settle(using: &random)
        world.checkViews()
        #expect(world.head(of: id, at: 1) == world.head(of: id, at: 0))
        #expect(most <= Int(ReplicationLimit.unacknowledgedBytes) + ReplicationLimit.messageBytes)
    }

    @Test(
        "a publisher that restarts with nothing learns its state, opens an epoch, moves no record")
    func publisherRestart() throws {
        var random = SeededGenerator(seed: 5)
        var world = try World(owners: 1, nodes: 3)
        let id = world.owners[0]
        try world.openLedger(of: id, at: 0, epoch: 1)
        world.connect(0, 1)
        world.connect(1, 2)
        try world.publish(endpointChanges(500), of: id, at: 0)
        world.settle(using: &random)
        try world.restart(0)
        let link = ReplicationLink(rawValue: 3)
        world.connect(0, 1)
        #expect(!world.nodes[0].synchroniser.isCaughtUp(with: link))
        world.settle(using: &random)
        #expect(world.nodes[0].synchroniser.isCaughtUp(with: link))
        let sent = world.nodes.map(\.sent).reduce(0, +)
        try world.openLedger(of: id, at: 0, epoch: world.head(of: id, at: 0).position.epoch + 1)
        try world.publish(endpointChanges(500), of: id, at: 0)
        world.settle(using: &random)
        world.checkViews()
        #expect(world.head(of: id, at: 2).position == Position(epoch: 2, revision: 1))
        #expect(world.nodes.map(\.sent).reduce(0, +) - sent < 2000)
    }

    @Test("links carry only the owners of their scope, and only what the peer named")
    func scope() throws {
        var effects: [ReplicationEffect] = []
        let (mine, hidden) = (try owner(1), try owner(2))
        let link = ReplicationLink(rawValue: 1)
        var node = Synchroniser()
        node.add(owner: mine, authority: try authority(1), into: &effects)
        node.add(owner: hidden, authority: try authority(2), into: &effects)
        node.linkUp(link, scope: .only([mine]), into: &effects)
        node.open(try ledger(of: 1))
        try node.publish([put("a", "1")], into: &effects)
        #expect(
            try effects.sent(over: link) == [
                .heads([.init(owner: mine, head: .origin, interest: .all)])
            ])

        var publisher = try Publisher(2)
        let batch = try publisher.commitOne(put("a", "1"))
        effects = []
        node.receive(Message.batch(batch).encoded, from: link, at: .zero, into: &effects)
        #expect(effects == [.rejected(.ownerNotAllowed(hidden), from: link)])
        effects = []
        var unknown = try Publisher(3)
        node.linkUp(link, into: &effects)
        effects = []
        let foreign = Message.batch(try unknown.commitOne(put("a", "1"))).encoded
        node.receive(foreign, from: link, at: .zero, into: &effects)
        #expect(effects == [.rejected(.unknownOwner(try owner(3)), from: link)])
    }

    @Test("a forgotten owner's records are gone, and so are those of what was its ledger")
    func remove() throws {
        var effects: [ReplicationEffect] = []
        var node = Synchroniser()
        let id = try owner(1)
        node.add(owner: id, authority: try authority(1), into: &effects)
        node.open(try ledger(of: 1))
        try node.publish([put("a", "1"), put("b", "2")], into: &effects)
        effects = []
        node.remove(owner: id, into: &effects)
        let deletes = Set(effects.updates.flatMap(\.changes))
        #expect(deletes == [.delete("a", former: "1"), .delete("b", former: "2")])
        #expect(node.owners.isEmpty)
        #expect(throws: CommitFault.notPublisher) {
            try node.publish([put("a", "1")], into: &effects)
        }
    }

    @Test("an owner that is added after a peer named it is served to that peer, too")
    func lateOwner() throws {
        var effects: [ReplicationEffect] = []
        var publisher = try Publisher()
        let batch = try publisher.commitOne(put("a", "1"))
        let (near, far) = (ReplicationLink(rawValue: 1), ReplicationLink(rawValue: 2))
        var node = Synchroniser()
        for link in [near, far] { node.linkUp(link, into: &effects) }
        let standing = Message.heads([.init(owner: batch.owner, head: .origin, interest: .all)])
        node.receive(standing.encoded, from: far, at: .zero, into: &effects)
        node.add(owner: batch.owner, authority: publisher.replica.authority, into: &effects)
        effects = []
        node.receive(Message.batch(batch).encoded, from: near, at: .zero, into: &effects)
        #expect(try effects.sent(over: far) == [.batch(batch)])
    }

    @Test("publishing without a ledger is refused")
    func notPublisher() {
        var node = Synchroniser()
        var effects: [ReplicationEffect] = []
        #expect(throws: CommitFault.notPublisher) {
            try node.publish([put("a", "1")], into: &effects)
        }
    }
}

extension [ReplicationEffect] {
    func sent(over link: ReplicationLink) throws -> [Message] {
        try compactMap {
            guard case .send(let bytes, link) = $0 else { return nil }
            return try Message(decoding: bytes)
        }
    }

    var updates: [LedgerUpdate] {
        compactMap { if case .changed(let update) = $0 { update } else { nil } }
    }
}
