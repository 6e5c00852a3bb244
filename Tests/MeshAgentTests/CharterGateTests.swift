// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReplication
import Testing

@testable import MeshAgent

private let south = cluster(2)

private func gate(_ change: (inout CharterQuota) -> Void) -> CharterGate {
    var charter = Charter(podPrefixes: prefixes("10.2.0.0/16"))
    change(&charter.quota)
    var gate = CharterGate()
    gate.set(charter, of: south)
    return gate
}

/// Without content: what doesn't decode counts all the same.
private func bare(_ key: String) -> LedgerEntry { LedgerEntry(key: key, value: [0]) }

extension CharterGate {
    fileprivate mutating func takes(_ key: String) -> Bool {
        judge(bare(key), of: south) == .accept
    }
}

@Suite("How much another cluster may announce")
struct CharterGateTests {
    @Test(
        "each quota counts its own kind, the total counts all",
        arguments: [
            ("endpoint/d/", 3, "3 endpoints", "charter.quota.endpoints"),
            ("service/d/", 2, "2 services", "charter.quota.services"),
            ("slice/d/", 6, "6 records", "charter.quota.records"),
            ("policy/", 6, "6 records", "charter.quota.records"),
            ("whatever-", 6, "6 records", "charter.quota.records"),
        ])
    func quotas(prefix: String, limit: Int, allowed: String, field: String) throws {
        var gate = gate {
            $0.endpoints = 3
            $0.services = 2
            $0.records = 6
        }
        for number in 0..<limit {
            #expect(gate.takes("\(prefix)\(number)") == true)
        }
        let key = "\(prefix)9"
        guard case .refuse(let reason) = gate.judge(bare(key), of: south) else {
            Issue.record("\(key) was accepted")
            return
        }
        for part in [key + ": ", allowed, "cluster 2", field] {
            #expect(reason.contains(part), "\(reason)")
        }
        #expect(gate.acceptedCount(of: south) == limit && gate.refusedCount(of: south) == 1)
    }

    @Test("the total holds for kinds that have room of their own")
    func total() {
        var gate = gate { $0.records = 2 }
        #expect(gate.takes("node/a") == true)
        #expect(gate.takes("endpoint/d/a") == true)
        guard case .refuse(let reason) = gate.judge(bare("endpoint/d/b"), of: south) else {
            Issue.record("accepted")
            return
        }
        #expect(reason.contains("2 records") && reason.contains("charter.quota.records"))
    }

    @Test("what is accepted stays so while it is updated; those outside wait in the order of keys")
    func sticky() {
        var gate = gate { $0.endpoints = 2 }
        for key in ["endpoint/d/m", "endpoint/d/n"] { #expect(gate.takes(key) == true) }
        for key in ["endpoint/d/z", "endpoint/d/a", "endpoint/d/b"] {
            #expect(gate.takes(key) == false)
        }
        #expect(gate.takes("endpoint/d/m") == true)
        #expect(gate.takes("service/d/a") == true)
        #expect(gate.readmissible(of: south) == [])
        gate.removed("endpoint/d/m", of: south)
        gate.removed("endpoint/d/a", of: south)
        #expect(gate.readmissible(of: south) == ["endpoint/d/b"])
        #expect(gate.takes("endpoint/d/b") == true)
        #expect(gate.takes("endpoint/d/m") == false, "it is a newcomer again")
        #expect(gate.readmissible(of: south) == [])
        #expect(gate.refusedCount(of: south) == 2)
    }

    @Test("one that turns bad makes room, and needs room to come back")
    func turnsBad() {
        var gate = gate { $0.endpoints = 1 }
        let good = endpoint("a", on: "n", "10.2.0.1")
        let bad = endpoint("a", on: "n", "10.1.0.1")
        func entry(_ record: EndpointRecord) -> LedgerEntry {
            LedgerEntry(key: record.key.description, value: record.encoded)
        }
        #expect(gate.judge(entry(good), of: south) == .accept)
        #expect(gate.takes("endpoint/d/b") == false)
        #expect(gate.judge(entry(bad), of: south) != .accept)
        #expect(gate.readmissible(of: south) == ["endpoint/d/b"])
        #expect(gate.takes("endpoint/d/b") == true)
        #expect(gate.judge(entry(good), of: south) != .accept)
        #expect(gate.refusedCount(of: south) == 1)
    }

    @Test("clusters without a charter, as the own one, may announce everything")
    func ownCluster() {
        var gate = gate { $0.records = 1 }
        for number in 0..<5 {
            #expect(gate.judge(bare("endpoint/d/\(number)"), of: cluster(1)) == .accept)
        }
        #expect(gate.takes("node/a") == true)
    }

    @Test("another charter begins anew; without one the cluster is no peer, and nothing is counted")
    func replaced() {
        var gate = gate { $0.records = 1 }
        #expect(gate.takes("node/a") == true)
        #expect(gate.takes("node/b") == false)
        gate.set(Charter(podPrefixes: []), of: south)
        #expect(gate.takes("node/b") == true)
        #expect(gate.takes("node/a") == true)
        gate.set(nil, of: south)
        #expect(gate.acceptedCount(of: south) == 0)
    }

    @Test("a hundred thousand endpoints pass by default")
    func generous() {
        var gate = gate { _ in }
        let refused = (0..<100_000).count { gate.takes("endpoint/d/p\($0)") == false }
        #expect(refused == 0)
    }

    @Test("of a flood only so many keys are remembered; the rest is found again by a scan")
    func flood() {
        var gate = gate { $0.endpoints = 10 }
        let keys = (0..<6000).map { "endpoint/d/p\(10_000 + $0)" }
        for key in keys { _ = gate.takes(key) }
        #expect(gate.acceptedCount(of: south) == 10 && gate.refusedCount(of: south) == 5990)
        #expect(gate.mustRescan(of: south) == false)
        // Gone are those that were in, and all that are remembered.
        for key in keys.prefix(10 + CharterGate.rememberedRefusals) {
            gate.removed(key, of: south)
        }
        #expect(gate.readmissible(of: south) == [])
        #expect(gate.mustRescan(of: south) == true)
        #expect(gate.mustRescan(of: south) == false, "it was told")
        for key in keys.dropFirst(10 + CharterGate.rememberedRefusals) { _ = gate.takes(key) }
        #expect(gate.acceptedCount(of: south) == 10)
        #expect(gate.refusedCount(of: south) == 5990 - CharterGate.rememberedRefusals - 10)
    }

    @Test("much room is filled piece by piece")
    func pieces() {
        var gate = gate { $0.services = 600 }
        let keys = (0..<1200).map { "service/d/s\(1000 + $0)" }
        for key in keys { _ = gate.takes(key) }
        for key in keys.prefix(600) { gate.removed(key, of: south) }
        var back: [String] = []
        while case let part = gate.readmissible(of: south), !part.isEmpty {
            #expect(part.count <= CharterGate.readmissionsAtOnce)
            for key in part { #expect(gate.takes(key) == true) }
            back += part
        }
        #expect(back == Array(keys.suffix(600)))
    }
}
