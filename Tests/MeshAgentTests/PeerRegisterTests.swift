// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshSimulation
import MeshTransport
import Testing

@testable import MeshAgent

private func peer(_ number: Int, _ podPrefixes: [Prefix], name: String? = nil) -> PeerCluster {
    PeerCluster(
        name: ClusterName(rawValue: name ?? "c\(number)")!,
        id: ClusterID(rawValue: UInt16(number))!, addresses: [], bundle: "",
        podPrefixes: podPrefixes)
}

/// As every pair of peers compared says it.
private func slowRival(of peer: PeerCluster, among peers: [PeerCluster]) -> PeerCluster? {
    peers.first { other in
        other.name == peer.name || other.id == peer.id
            || peer.podPrefixes.contains { mine in
                other.podPrefixes.contains { $0.overlaps(mine) }
            }
    }
}

@Suite("Peers that contend for nothing")
struct PeerRegisterTests {
    @Test(
        "the first one that wants the same is found, however prefixes lie in each other",
        arguments: [1, 2, 3, 4] as [UInt64])
    func rivals(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var register = PeerRegister()
        for _ in 0..<1500 {
            // Few addresses and all lengths, so that many overlap; some of a peer's lie in its others.
            let prefixes = try (0..<Int.random(in: 1...4, using: &random)).map { _ in
                let isIPv4 = Bool.random(using: &random)
                let address =
                    isIPv4
                    ? Address(ipv4: UInt32.random(in: 0..<4096, using: &random) << 12)
                    : Address(
                        high: UInt64.random(in: 0..<256, using: &random) << 40, low: 0)
                let length = isIPv4 ? 104...124 : 20...60
                return try #require(
                    Prefix(
                        address: address, length: UInt8(Int.random(in: length, using: &random))))
            }
            let candidate = peer(
                Int.random(in: 1...4095, using: &random), prefixes,
                name: "c\(Int.random(in: 1...4095, using: &random))")
            let rival = register.rival(of: candidate)
            #expect(rival == slowRival(of: candidate, among: register.peers))
            if rival == nil { register.add(candidate) }
        }
        #expect(register.peers.count > 20)
    }

    @Test("one more among four thousand looks at a few dozen prefixes", arguments: [false, true])
    func cost(isAscending: Bool) throws {
        var register = PeerRegister()
        var largest = 0
        for step in 1...4095 {
            let number = isAscending ? step : 4096 - step
            let prefix = try #require(
                Prefix(address: Address(ipv4: UInt32(number) << 16), length: 112))
            let before = register.lookups
            let candidate = peer(number, [prefix])
            #expect(register.rival(of: candidate) == nil)
            register.add(candidate)
            largest = max(largest, register.lookups - before)
        }
        // Three searches of twelve halvings each, and their neighbours.
        #expect(largest <= 60)
    }
}
