// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes
import MeshModel
import Testing

@testable import MeshPolicy

@Suite("A policy in the ledger")
struct PolicyRecordTests {
    /// Policies of every kind, as the random worlds make them.
    private static func policies() throws -> [Policy] {
        try (0..<60).flatMap { seed in
            let oracle = RandomWorld(seed: UInt64(seed)).oracle(RandomWorld.own)
            let text = oracle.policies.map(\.json.string).joined(separator: "\n---\n")
            let manifest = PolicyManifest(
                bytes: Array(text.utf8), file: "random.yaml", nowUnixSeconds: 0)
            try #require(manifest.problems.isEmpty)
            return manifest.policies
        }
    }

    @Test("is read as it was written, whatever its kind, and has one form")
    func roundTrip() throws {
        let policies = try Self.policies()
        #expect(Set(policies.map(\.name.kind)) == Set(PolicyKind.allCases))
        for policy in policies {
            let record = PolicyRecord(policy)
            let read = try PolicyRecord(encoded: record.encoded)
            #expect(read.policy == policy)
            #expect(read.encoded == record.encoded && read.key == record.key)
            #expect(RecordKey("\(record.key)") == record.key)
        }
    }

    @Test("that is cut off or changed is refused, or is some other policy: nothing worse")
    func damage() throws {
        var random = SplitMix64(seed: 7)
        var refused = 0
        for policy in try Self.policies().prefix(60) {
            let bytes = PolicyRecord(policy).encoded
            for length in 0..<bytes.count {
                #expect(throws: DecodingFault.self) {
                    try PolicyRecord(encoded: bytes.prefix(length))
                }
            }
            for _ in 0..<50 {
                var wrong = bytes
                let place = Int.random(in: 1..<bytes.count, using: &random)
                wrong[place] ^= UInt8.random(in: 1...255, using: &random)
                do throws(DecodingFault) {
                    _ = try PolicyRecord(encoded: wrong)
                } catch {
                    refused += 1
                }
            }
        }
        #expect(refused > 100)
    }

    @Test(
        "has a name that is its object's",
        arguments: [
            "NetworkPolicy", "NetworkPolicy/", "NetworkPolicy/a/b/c", "Service/shop/db",
            "NetworkPolicy/Shop/db", "ClusterNetworkPolicy/", "NetworkPolicy/shop/d_b",
        ])
    func names(wrong: String) {
        #expect(PolicyName(recordName: wrong) == nil)
    }
}
