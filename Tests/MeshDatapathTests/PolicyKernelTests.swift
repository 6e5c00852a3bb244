// SPDX-License-Identifier: Apache-2.0

import BPF
import CMeshABI
import Glibc
import KernelTestSupport
import MeshModel
import Synchronization
import Testing

@testable import MeshDatapath

@Suite("policies in the kernel", .tags(.kernel))
struct PolicyKernelTests {
    /// Waits for what is reclaimed in the background.
    private func settle(
        _ datapath: KernelDatapath, _ usage: [String: Int]
    ) throws {
        let deadline = time(nil) + 20
        while time(nil) < deadline, try datapath.policyUsage() != usage { sched_yield() }
        #expect(try datapath.policyUsage() == usage)
    }

    @Test("hold what the tables in memory hold, whatever is done to both", arguments: [1, 2, 3])
    func twin(seed: UInt64) throws {
        let sandbox = try Sandbox("policy-twin-\(seed)")
        try inOwnNamespace {
            var random = Generator(state: seed)
            func capacities(_ capacities: inout MapCapacities) {
                // Too few for five sets of the longest; enough memory, however it is cut up.
                capacities.policyPeers = 400
                capacities.policyIntervals = 20_000
            }
            let kernel = try KernelDatapath(sandbox.configuration { capacities(&$0.capacities) })
            var small = MapCapacities()
            capacities(&small)
            let memory = try MemoryDatapath(node: node("n0"), capacities: small)
            func list() -> [PolicyInterval] {
                let starts = Set(
                    (0..<Int.random(in: 0...5, using: &random)).map { _ in
                        UInt32.random(in: 1..<1 << 24, using: &random)
                    })
                return ([0] + starts.sorted()).map {
                    interval($0, .allow, rule: .random(in: -3...3, using: &random))
                }
            }
            func lists() -> [DatapathPeer: [PolicyInterval]] {
                (0..<UInt32.random(in: 0...60, using: &random)).reduce(into: [:]) {
                    $0[peer($1)] = list()
                }
            }
            for step in 0..<200 {
                let set = UInt32.random(in: 1...5, using: &random)
                let change: (any Datapath) throws -> Void
                switch Int.random(in: 0...5, using: &random) {
                case 0...2:
                    let image = PolicyImage(
                        standard: .init(egress: list(), ingress: list()), egress: lists(),
                        ingress: lists())
                    change = { try $0.publishPolicy(image, as: set) }
                case 3...4:
                    let (egress, ingress) = (Bool.random(using: &random) ? list() : nil, list())
                    let one = peer(.random(in: 0...60, using: &random))
                    change = {
                        try $0.setPolicyPeer(one, egress: egress, ingress: ingress, in: set)
                    }
                default: change = { $0.removePolicySet(set) }
                }
                let results = [kernel as any Datapath, memory].map { datapath -> String in
                    do { try change(datapath) } catch { return "\(error)" }
                    return "done"
                }
                #expect(results[0] == results[1], "seed \(seed), step \(step)")
                for set in UInt32(1)...5 {
                    for direction in FlowPolicy.Direction.allCases {
                        let one = peer(.random(in: 0...60, using: &random))
                        let traffic = UInt32.random(in: 0..<1 << 24, using: &random)
                        #expect(
                            try kernel.decision(direction, of: set, on: one, traffic: traffic)
                                == memory.decision(direction, of: set, on: one, traffic: traffic),
                            "seed \(seed), step \(step)")
                    }
                }
            }
            try settle(kernel, try memory.policyUsage())
            let left = try kernel.core.storage.policyPeers.keys().count
            #expect(left == (try kernel.policyUsage()["weft_policy_peers"]))
        }
    }

    @Test("go on when the agent restarts; it takes them over, and prunes what nobody names")
    func restart() throws {
        let sandbox = try Sandbox("policy-restart")
        try inOwnNamespace {
            let wanted = (1...3).map { image(peers: 50, rule: Int32($0)) }
            let prefixes = [Prefix("10.0.0.0/8")!: UInt32(1)]
            var versions: [UInt32: UInt32] = [:]
            let settled: [String: Int]
            let blocks: UInt32
            do {
                let datapath = try KernelDatapath(sandbox.configuration())
                blocks = try datapath.addPolicyBlocks(prefixes)
                _ = try datapath.addPolicyBlocks(prefixes)
                try datapath.publishPolicy(image(peers: 50, rule: 1, blocks: blocks), as: 1)
                for set in UInt32(2)...3 {
                    try datapath.publishPolicy(wanted[Int(set) - 1], as: set)
                }
                try datapath.setKnownPeers([peer(1), peer(2, block: 9)])
                versions = datapath.policySets()
                settled = try datapath.policyUsage()
                // An agent that ended between writing a version and publishing it.
                for number in UInt32(0)..<10 {
                    let key = PolicyTable.Entry(peer: peer(number), direction: .egress)
                        .key(in: 7000)
                    try datapath.core.storage.policyPeers.update(
                        key, key.value(leadingTo: 900_000), for: "a test")
                }
            }
            let heir = try KernelDatapath(sandbox.configuration())
            #expect(heir.policySets() == versions)
            #expect(heir.knownPeers() == [peer(1), peer(2, block: 9)])
            var usage = settled
            usage["weft_policy_blocks"] = 1
            try settle(heir, usage)
            let written = heir.writeCount.byMap
            #expect(written["weft_policy_sets"] == nil && written["weft_policy_intervals"] == nil)
            // What is the same costs no write; what isn't is written beside what is in force.
            #expect(try heir.publishPolicy(wanted[1], as: 2) == versions[2])
            let new = try heir.publishPolicy(image(peers: 50, rule: 9), as: 4)
            #expect(new > 7000)
            for (set, rule) in [(1, 1), (2, 2), (3, 3), (4, 9)] as [(UInt32, Int32)] {
                for number in UInt32(0)..<50 {
                    #expect(
                        try heir.decision(.ingress, of: set, on: peer(number), traffic: 60)
                            == interval(number + 1, .allow, rule: rule))
                }
            }
            #expect(try heir.newPolicySet() == 5)
            // The last version that looks addresses up in the former agent's blocks takes them along.
            try heir.publishPolicy(wanted[0], as: 1)
            usage = try heir.policyUsage()
            usage["weft_policy_blocks"] = 0
            usage["weft_policy_peers"] = 4 * 102
            try settle(heir, usage)
            #expect(try heir.addPolicyBlocks(prefixes) > blocks)
        }
    }

    @Test("deny everything when what a restarted agent finds makes no sense")
    func unsoundPins() throws {
        let sandbox = try Sandbox("policy-unsound")
        try inOwnNamespace {
            do {
                let datapath = try KernelDatapath(sandbox.configuration())
                for set in UInt32(1)...3 {
                    try datapath.publishPolicy(image(peers: 2, rule: Int32(set)), as: set)
                }
                let versions = datapath.policySets()
                let peers = datapath.core.storage.policyPeers
                let key = PolicyTable.Entry(peer: peer(1), direction: .egress).key(in: versions[1]!)
                try peers.update(key, key.value(leadingTo: 2_000_000), for: "a test")
                try peers.delete(
                    PolicyTable.Entry(peer: PolicyTable.Entry.anyone, direction: .ingress)
                        .key(in: versions[2]!))
            }
            let heir = try KernelDatapath(sandbox.configuration())
            #expect(Set(heir.policySets().keys) == [3])
            for set in UInt32(1)...2 {
                #expect(try heir.decision(.egress, of: set, on: peer(0), traffic: 9) == nil)
            }
            #expect(try heir.decision(.egress, of: 3, on: peer(0), traffic: 9)?.verdict == .allow)
            try heir.publishPolicy(image(peers: 2), as: 1)
            #expect(try heir.decision(.egress, of: 1, on: peer(1), traffic: 9)?.verdict == .allow)
        }
    }

    @Test("a full map of the kernel leaves the former version, and none of the new one's peers")
    func fullMap() throws {
        let sandbox = try Sandbox("policy-full")
        try inOwnNamespace {
            let datapath = try KernelDatapath(
                sandbox.configuration { $0.capacities.policyPeers = 300 })
            let former = try datapath.publishPolicy(image(peers: 100), as: 1)
            // Somebody else's elements, which the table doesn't count.
            let peers = datapath.core.storage.policyPeers
            for number in UInt32(0)..<60 {
                let key = PolicyTable.Entry(peer: peer(number), direction: .egress).key(in: 9000)
                try peers.update(key, 0, for: "a test")
            }
            for peersOfNext in [20, 200] {
                let error = #expect(throws: DatapathError.self) {
                    try datapath.publishPolicy(image(peers: peersOfNext, rule: 2), as: 1)
                }
                #expect("\(error!)".contains("weft_policy_peers is full"))
                #expect(try peers.keys().count == 202 + 60)
                #expect(datapath.policySets() == [1: former])
            }
            try datapath.publishPolicy(image(peers: 10, rule: 2), as: 1)
            #expect(try datapath.decision(.egress, of: 1, on: peer(3), traffic: 9)?.rule == 2)
            // What was in force a moment ago makes room, once nobody reads it.
            try datapath.publishPolicy(image(peers: 90, rule: 3), as: 1)
            #expect(try datapath.decision(.egress, of: 1, on: peer(3), traffic: 9)?.rule == 3)
        }
    }

    @Test("no change of a cluster's word is lost, whoever writes it at the same time")
    func words() throws {
        let sandbox = try Sandbox("policy-words")
        try inOwnNamespace {
            let datapath = try KernelDatapath(sandbox.configuration())
            let rounds = 60_000
            let isOver = Atomic(false)
            let last = Atomic<UInt32>(0)
            let health = Companion {
                var generation: UInt32 = 0
                while !isOver.load(ordering: .acquiring) {
                    generation += 1
                    datapath.setCluster(
                        cluster(1),
                        LivenessWord(verdict: .up, weight: 255, generation: generation))
                }
                last.store(generation, ordering: .releasing)
            }
            for _ in 0..<rounds {
                datapath.core.clusters.update(at: 1) {
                    LivenessWord(rawValue: $0).renewingVerdicts.rawValue
                }
            }
            isOver.store(true, ordering: .releasing)
            health.join()
            let word = LivenessWord(rawValue: datapath.core.clusters.word(at: 1))
            #expect(word.policyGeneration == UInt16(rounds))
            #expect(word.generation == last.load(ordering: .acquiring) && word.weight == 255)
        }
    }
}

/// SplitMix64.
struct Generator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = (state ^ state >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        return mixed ^ mixed >> 31
    }
}
