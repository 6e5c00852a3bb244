// SPDX-License-Identifier: Apache-2.0

import CMeshABI
import KernelTestSupport
import MeshModel
import Synchronization
import Testing

@testable import MeshDatapath

@Suite("policies in memory")
struct PolicyTests {
    private func datapath(
        _ change: (inout MapCapacities) -> Void = { _ in }
    ) throws -> MemoryDatapath {
        var capacities = MapCapacities()
        change(&capacities)
        return try MemoryDatapath(node: node("n0"), capacities: capacities)
    }

    @Test("a version replaces another as a whole, and nothing of the former remains")
    func replacement() throws {
        let datapath = try datapath()
        let set = try datapath.newPolicySet()
        #expect(try datapath.decision(.ingress, of: set, on: peer(1)) == nil, "denies at first")
        let first = try datapath.publishPolicy(image(peers: 100), as: set)
        #expect(try datapath.policyUsage()["weft_policy_peers"] == 202)
        let second = try datapath.publishPolicy(image(peers: 3, rule: 2), as: set)
        #expect(second > first)
        #expect(datapath.policySets() == [set: second])
        #expect(
            try datapath.decision(.egress, of: set, on: peer(2), traffic: 3)
                == interval(3, .allow, rule: 2))
        #expect(
            try datapath.decision(.ingress, of: set, on: peer(50))
                == interval(0, .denyUnknown, rule: 2)
        )
        // 3 lists of 2 intervals, shared by both directions, and 2 standard lists of 1.
        let usage = try datapath.policyUsage()
        #expect(usage["weft_policy_peers"] == 8 && usage["weft_policy_intervals"] == 3 * 3 + 2 * 2)
        datapath.removePolicySet(set)
        #expect(try datapath.policyUsage().values.allSatisfy { $0 == 0 })
        #expect(try datapath.decision(.ingress, of: set, on: peer(1)) == nil)
    }

    @Test("what is in force already costs no write, and equal lists are kept once")
    func idempotence() throws {
        let datapath = try datapath()
        let version = try datapath.publishPolicy(image(peers: 10), as: 1)
        let before = datapath.writeCount
        #expect(try datapath.publishPolicy(image(peers: 10), as: 1) == version)
        try datapath.setPolicyPeer(
            peer(1), egress: image(peers: 10).egress[peer(1)]!,
            ingress: image(peers: 10).ingress[peer(1)]!, in: 1)
        #expect(datapath.writeCount.since(before).total == 0)
        try datapath.publishPolicy(image(peers: 10), as: 2)
        #expect(datapath.writeCount.since(before).byMap["weft_policy_intervals"] == nil)
        datapath.removePolicySet(1)
        #expect(
            try datapath.decision(.egress, of: 2, on: peer(4), traffic: 5)
                == interval(5, .allow, rule: 1))
        #expect(try datapath.policyUsage()["weft_policy_intervals"] == 10 * 3 + 2 * 2)
    }

    @Test("a version made after another one has its lists but for those that are named")
    func changes() throws {
        let datapath = try datapath()
        let standard = image(peers: 0).standard
        let former = try datapath.publishPolicy(image(peers: 10), as: 1)
        func change(_ lists: [DatapathPeer: [PolicyInterval]], base: UInt32 = 1) -> PolicyImage {
            PolicyImage(base: base, standard: standard, egress: lists)
        }
        #expect(try datapath.publishPolicy(change([:]), as: 1) == former)
        let lists = [peer(3): [], peer(4): all(.allow, rule: 5), peer(20): all(.allow, rule: 6)]
        let version = try datapath.publishPolicy(change(lists), as: 1)
        #expect(version > former)
        func rule(_ number: UInt32, _ direction: FlowPolicy.Direction = .egress) throws -> Int32? {
            try datapath.decision(direction, of: 1, on: peer(number), traffic: 100)?.rule
        }
        #expect(try (rule(3), rule(4), rule(20), rule(5)) == (1, 5, 6, 1))
        #expect(
            try datapath.decision(.egress, of: 1, on: peer(3), traffic: 100)?.verdict == .deny
                && datapath.decision(.ingress, of: 1, on: peer(3), traffic: 100)?.verdict == .allow)
        #expect(try datapath.policyUsage()["weft_policy_peers"] == 2 + 10 + 10)
        #expect(throws: DatapathError.self) {
            try datapath.publishPolicy(change([:], base: 2), as: 1)
        }
        datapath.removePolicySet(1)
        #expect(try datapath.policyUsage().values.allSatisfy { $0 == 0 })
    }

    @Test("sets that part have versions of their own, though both say the same at first")
    func parting() throws {
        let datapath = try datapath()
        try datapath.publishPolicies([(image(peers: 3), [1, 2])])
        let versions = try datapath.publishPolicies([
            (image(peers: 3), [1]), (image(peers: 3), [2]),
        ])
        #expect(Set(versions).count == 2)
        try datapath.setPolicyPeer(
            peer(0), egress: all(.allow, rule: 9), ingress: nil, in: 1)
        #expect(try datapath.decision(.egress, of: 1, on: peer(0))?.rule == 9)
        #expect(try datapath.decision(.egress, of: 2, on: peer(0))?.rule == 1)
    }

    @Test(
        "a version for which there is no room leaves the former in force and nothing of itself",
        arguments: ["peers", "intervals"])
    func noRoom(map: String) throws {
        let datapath = try datapath {
            // The first version, and the second beside it, but not the third.
            if map == "peers" { $0.policyPeers = 200 }
            if map == "intervals" { $0.policyIntervals = 1 + 2 * (80 * 3 + 4) }
        }
        let former = try datapath.publishPolicy(image(peers: 40), as: 1)
        let usage = try datapath.policyUsage()
        let error = #expect(throws: DatapathError.self) {
            try datapath.publishPolicy(image(peers: 200, rule: 2), as: 1)
        }
        guard case .mapFull("weft_policy_\(map)", _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(try datapath.policyUsage() == usage)
        #expect(datapath.policySets() == [1: former])
        #expect(
            try datapath.decision(.egress, of: 1, on: peer(7), traffic: 8)
                == interval(8, .allow, rule: 1))
        #expect(try datapath.publishPolicy(image(peers: 40, rule: 3), as: 1) > former)
    }

    @Test("lists that can't be searched are refused by name")
    func unsoundLists() throws {
        let datapath = try datapath()
        let former = try datapath.publishPolicy(image(peers: 1), as: 1)
        let usage = try datapath.policyUsage()
        let unsound: [[PolicyInterval]] = [
            [], [interval(1, .allow)], [interval(0, .allow), interval(0, .deny)],
            [interval(0, .allow), interval(9, .deny), interval(8, .deny)],
            [interval(0, .allow), interval(1 << 24, .deny)],
            (0...UInt32(PolicyInterval.maximumPerList)).map { interval($0, .allow) },
        ]
        for list in unsound {
            #expect(throws: DatapathError.self) {
                try datapath.publishPolicy(
                    PolicyImage(standard: .init(egress: list, ingress: all(.deny))), as: 1)
            }
            #expect(throws: DatapathError.self) {
                try datapath.setPolicyPeer(peer(0), egress: all(.allow), ingress: list, in: 1)
            }
        }
        #expect(throws: DatapathError.self) {
            try datapath.publishPolicy(image(peers: 1), as: 0)
        }
        #expect(throws: DatapathError.self) {
            try datapath.publishPolicy(image(peers: 1, blocks: 3), as: 1)
        }
        #expect(try datapath.policyUsage() == usage && datapath.policySets() == [1: former])
        #expect(try datapath.decision(.egress, of: 1, on: peer(0))?.verdict == .deny)
    }

    @Test("a peer gets lists of its own, others, and none, in the version in force")
    func onePeer() throws {
        let datapath = try datapath { $0.policyPeers = 4 }
        try datapath.publishPolicy(image(peers: 0), as: 1)
        try datapath.setPolicyPeer(peer(1), egress: all(.allow), ingress: nil, in: 1)
        #expect(try datapath.decision(.egress, of: 1, on: peer(1))?.verdict == .allow)
        #expect(try datapath.decision(.ingress, of: 1, on: peer(1))?.verdict == .denyUnknown)
        let before = try datapath.policyUsage()
        // Room for one more, not for two.
        #expect(throws: DatapathError.self) {
            try datapath.setPolicyPeer(
                peer(2), egress: all(.allow, rule: 8), ingress: all(.allow, rule: 9), in: 1)
        }
        #expect(try datapath.policyUsage() == before)
        try datapath.setPolicyPeer(
            peer(1), egress: all(.deny, rule: 4), ingress: all(.allow, rule: 5), in: 1)
        #expect(try datapath.decision(.egress, of: 1, on: peer(1)) == interval(0, .deny, rule: 4))
        #expect(try datapath.decision(.ingress, of: 1, on: peer(1)) == interval(0, .allow, rule: 5))
        try datapath.setPolicyPeer(peer(1), egress: nil, ingress: nil, in: 1)
        #expect(try datapath.decision(.egress, of: 1, on: peer(1))?.rule == 1)
        #expect(try datapath.policyUsage()["weft_policy_peers"] == 2)
        #expect(try datapath.policyUsage()["weft_policy_intervals"] == 4)
        #expect(throws: DatapathError.self) {
            try datapath.setPolicyPeer(peer(1), egress: nil, ingress: nil, in: 9)
        }
    }

    @Test("a set's number is nobody's: no endpoint's and no version's")
    func numbers() throws {
        let datapath = try datapath { $0.policySets = 6 }
        try datapath.publishPolicy(image(peers: 1), as: 2)
        try datapath.apply(
            EndpointEntry(
                address: Address("10.1.0.1")!, identity: .world, node: node("n0"), local: nil,
                policySet: 3))
        let sets = try [datapath.newPolicySet(), datapath.newPolicySet(), datapath.newPolicySet()]
        #expect(sets == [1, 4, 5])
        #expect(throws: DatapathError.self) { try datapath.newPolicySet() }
        try datapath.removeEndpoint(Address("10.1.0.1")!)
        datapath.removePolicySet(4)
        #expect(try [datapath.newPolicySet(), datapath.newPolicySet()] == [3, 4])
    }

    @Test("open flows are judged anew when an address gets a row again, or another policy")
    func rows() throws {
        let node = NodeID(cluster: ClusterID(rawValue: 1)!, name: "a")!
        let datapath = try MemoryDatapath(node: node)
        func generation() -> UInt16 {
            LivenessWord(rawValue: datapath.core.clusters.word(at: 1)).policyGeneration
        }
        func apply(_ address: String, _ identity: UInt32, set: UInt32 = 0) throws {
            try datapath.apply(
                EndpointEntry(
                    address: Address(address)!, identity: Identity(rawValue: identity), node: node,
                    local: nil, policySet: set))
        }
        var former = generation()
        func isRenewed() -> Bool {
            defer { former = generation() }
            return generation() != former
        }
        try apply("10.1.0.1", 300)
        #expect(!isRenewed())
        try apply("10.1.0.1", 301)
        #expect(isRenewed())
        try apply("10.1.0.1", 301, set: 7)
        #expect(isRenewed())
        try apply("10.1.0.1", 301, set: 7)
        #expect(!isRenewed())
        try datapath.removeEndpoint(Address("10.1.0.1")!)
        try apply("10.1.0.1", 302)
        #expect(isRenewed())
        try apply("10.1.0.2", 302)
        #expect(!isRenewed())
    }

    @Test("blocks stay while a version looks addresses up in them")
    func blocks() throws {
        let datapath = try datapath { $0.policyBlocks = 3 }
        let prefixes = [Prefix("10.0.0.0/8")!: UInt32(1), Prefix("10.1.0.0/16")!: 2]
        let blocks = try datapath.addPolicyBlocks(prefixes)
        #expect(throws: DatapathError.self) { try datapath.addPolicyBlocks(prefixes) }
        #expect(throws: DatapathError.self) {
            try datapath.addPolicyBlocks([Prefix("10.0.0.0/8")!: 0])
        }
        #expect(try datapath.policyUsage()["weft_policy_blocks"] == 2)
        let key = weft_policy_block_key(Prefix("10.1.0.0/16")!, blocks)
        #expect(key.length == 32 + 96 + 16)
        #expect(try datapath.core.storage.policyBlocks.lookup(key) == 2)
        try datapath.publishPolicy(image(peers: 1, blocks: blocks), as: 1)
        #expect(throws: DatapathError.self) { try datapath.removePolicyBlocks(blocks) }
        try datapath.publishPolicy(image(peers: 1), as: 1)
        try datapath.removePolicyBlocks(blocks)
        try datapath.removePolicyBlocks(blocks)
        #expect(try datapath.policyUsage()["weft_policy_blocks"] == 0)
        #expect(try datapath.addPolicyBlocks(prefixes) > blocks)
    }

    @Test("peers are known together or not at all")
    func knownPeers() throws {
        let datapath = try datapath { $0.policyKnown = 3 }
        try datapath.setKnownPeers([peer(1), peer(1, block: 4)])
        let before = datapath.writeCount
        try datapath.setKnownPeers([peer(1)])
        #expect(datapath.writeCount.since(before).total == 0)
        #expect(throws: DatapathError.self) { try datapath.setKnownPeers([peer(2), peer(3)]) }
        #expect(datapath.knownPeers() == [peer(1), peer(1, block: 4)])
        try datapath.forgetKnownPeers([peer(1), peer(9)])
        #expect(datapath.knownPeers() == [peer(1, block: 4)])
        #expect(try datapath.policyUsage()["weft_policy_known"] == 1)
    }

    @Test("verdicts on clusters and the renewal of policies' verdicts don't undo one another")
    func words() throws {
        let datapath = try datapath()
        try datapath.applyNode(
            NodeTunnel(id: node("n1", in: 3), outerAddresses: [Address("192.0.2.3")!]))
        let dead = LivenessWord(verdict: .unreachable, weight: 0, generation: 7)
        datapath.setCluster(cluster(2), dead)
        datapath.renewVerdicts()
        datapath.renewVerdicts()
        func raw(_ index: Int) -> LivenessWord {
            LivenessWord(rawValue: datapath.core.clusters.word(at: index))
        }
        #expect(raw(2) == dead.with(policyGeneration: 2))
        #expect(datapath.clusterWord(cluster(2)) == dead)
        #expect((0...3).map { raw($0).policyGeneration } == [2, 2, 2, 2])
        #expect(raw(3).weight == 255, "a cluster that is in use takes new flows all the same")
        #expect(raw(4).rawValue == 0)
        let up = LivenessWord(verdict: .up, weight: 9, generation: 0xffff_ffff)
        datapath.setCluster(cluster(2), up.with(policyGeneration: 99))
        #expect(raw(2) == up.with(policyGeneration: 2))
    }
}
