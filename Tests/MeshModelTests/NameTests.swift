// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

@Suite("Names and numbers")
struct NameTests {
    @Test(
        "a cluster name is a short DNS label",
        arguments: [
            ("a", true), ("eu-west-1", true), (String(repeating: "a", count: 32), true),
            (String(repeating: "a", count: 33), false), ("", false), ("-a", false), ("a-", false),
            ("A", false), ("a.b", false), ("ä", false), ("a_b", false),
        ])
    func clusterName(text: String, valid: Bool) {
        #expect((ClusterName(rawValue: text) != nil) == valid)
    }

    @Test(
        "a node name is a DNS subdomain",
        arguments: [
            ("node-1", true), ("ip-10-0-0-1.ec2.internal", true), ("", false), ("a..b", false),
            (".a", false), ("a.", false), (String(repeating: "a", count: 64), false),
            (
                Array(repeating: String(repeating: "a", count: 63), count: 4).joined(
                    separator: "."), false
            ),
        ])
    func nodeName(text: String, valid: Bool) throws {
        let cluster = try #require(ClusterID(rawValue: 1))
        #expect((NodeID(cluster: cluster, name: text) != nil) == valid)
    }

    @Test(
        "a cluster ID is 1...4095", arguments: [(0, false), (1, true), (4095, true), (4096, false)])
    func clusterID(number: UInt16, valid: Bool) {
        #expect((ClusterID(rawValue: number) != nil) == valid)
    }

    @Test("a backend without a node belongs to its cluster and to no node of it")
    func unplaced() throws {
        let cluster = try #require(ClusterID(rawValue: 3))
        let unplaced = NodeID.unplaced(in: cluster)
        #expect(unplaced.isUnplaced && unplaced.cluster == cluster)
        #expect(try #require(NodeID(cluster: cluster, name: "a")).isUnplaced == false)
    }

    @Test("an identity is 12 bits of cluster and 20 bits of number")
    func identity() throws {
        let cluster = try #require(ClusterID(rawValue: 0xabc))
        let identity = try #require(Identity(cluster: cluster, local: 0x12345))
        #expect(identity.rawValue == 0xabc1_2345)
        #expect(identity.cluster == cluster && identity.local == 0x12345)
        #expect(Identity(cluster: cluster, local: 1 << 20) == nil)
        #expect(Identity.world.cluster == nil && Identity.world.reserved == .world)
        #expect(Identity(cluster: cluster, reserved: .host).description == "2748:host")
    }

    @Test("a liveness word keeps verdict, weight and generation in their bits")
    func liveness() {
        let word = LivenessWord(verdict: .draining, weight: 0x80, generation: 0xdead_beef)
        #expect(word.rawValue == 0xdead_beef_0000_8005)
        #expect(word.verdict == .draining && word.weight == 0x80)
        #expect(word.generation == 0xdead_beef)
        #expect(LivenessWord(rawValue: 0xff).verdict == nil)
        let renewed = word.with(policyGeneration: 0xffff)
        #expect(renewed.rawValue == 0xdead_beef_ffff_8005 && renewed.policyGeneration == 0xffff)
        #expect(renewed.renewingVerdicts == word)
    }

    @Test("a point in time saturates at zero and at the end")
    func time() {
        #expect(Instant.zero - .seconds(1) == .zero)
        #expect(Instant(nanoseconds: 5) - Instant(nanoseconds: 8) == .nanoseconds(-3))
        #expect(Instant(nanoseconds: 1) + .milliseconds(2) == Instant(nanoseconds: 2_000_001))
    }

    @Test(
        "a record's key is kind and name",
        arguments: [
            ("service/default/echo", true), ("node/a", true), ("pod/a", false), ("service", false),
            ("service/", false), ("", false),
            ("node/" + String(repeating: "a", count: 600), false),
        ])
    func recordKey(text: String, valid: Bool) {
        #expect(RecordKey(text)?.description == (valid ? text : nil))
    }
}
