// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes
import MeshModel
import Testing

@testable import MeshAgent

/// Objects of a cluster, its charter and a peer.
private struct Cluster {
    static let web = ObjectName(namespace: "shop", name: "web")

    let rules: ObjectClaims.Rules
    private(set) var records: [RecordKey: [UInt8]] = [:]
    var claims = ObjectClaims()

    init() throws {
        var charter = Charter(podPrefixes: [Prefix("10.1.0.0/16")!])
        charter.serviceCIDRs = [Prefix("10.96.0.0/16")!]
        charter.namespaces = try NamePatterns(include: ["*"], exclude: ["kube-*"])
        rules = ObjectClaims.Rules(
            charter: charter,
            peers: [.init(name: "beta", podPrefixes: [Prefix("10.2.0.0/16")!])])
        claims.follow(rules, records: [:])
    }

    func service(
        _ name: ObjectName = web, _ address: String = "10.96.0.1", isGlobal: Bool = true,
        isShared: Bool = true
    ) -> ServiceRecord {
        ServiceRecord(
            object: name, addresses: [Address(address)!], ports: [], isGlobal: isGlobal,
            isShared: isShared, affinity: .none, sessionAffinitySeconds: 0)
    }

    func slice(_ name: String, _ addresses: String..., namespace: String = "shop")
        -> SliceRecord
    {
        SliceRecord(
            object: ObjectName(namespace: namespace, name: name), service: "web", ports: [],
            endpoints: [
                SliceEndpoint(
                    addresses: addresses.map { Address($0)! }, isReady: true, isServing: true,
                    isTerminating: false, node: "a")
            ])
    }

    mutating func put(_ record: some LedgerRecord) {
        records[record.key] = record.encoded
        claims.update([record.key: record.encoded], records: records)
    }

    mutating func remove(_ record: some LedgerRecord) {
        records[record.key] = nil
        claims.update([record.key: Optional<[UInt8]>.none], records: records)
    }

    var told: [String] {
        claims.problems.map { "\($0.resource.kind) \($0.name.name): \($0.reason.rawValue)" }
    }
}

@Suite("What objects claim that isn't theirs")
struct ObjectClaimsTests {
    @Test("a slice is judged as long as other clusters may use its service")
    func sharing() throws {
        var cluster = try Cluster()
        cluster.put(cluster.slice("inside", "10.1.0.7"))
        cluster.put(cluster.slice("theirs", "10.1.0.8", "10.2.0.7"))
        cluster.put(cluster.slice("nobody's", "192.0.2.7"))
        cluster.put(cluster.slice("elsewhere", "192.0.2.8", namespace: "other"))
        #expect(cluster.told.isEmpty)
        cluster.put(cluster.service(isShared: false))
        #expect(cluster.told.isEmpty)
        cluster.put(cluster.service())
        #expect(
            cluster.told == [
                "EndpointSlice nobody's: OutsideCharter", "EndpointSlice theirs: Collides",
            ])
        let theirs = try #require(cluster.claims.problems.last)
        #expect(theirs.message.contains("10.2.0.0/16, which is cluster beta's"))
        cluster.remove(cluster.slice("nobody's"))
        cluster.put(cluster.slice("theirs", "10.1.0.8"))
        #expect(cluster.told.isEmpty)
        cluster.put(cluster.slice("theirs", "192.0.2.9"))
        #expect(cluster.told == ["EndpointSlice theirs: OutsideCharter"])
        cluster.remove(cluster.service())
        #expect(cluster.told.isEmpty)
    }

    @Test("a shared service has an address and a namespace that the charter names")
    func services() throws {
        var cluster = try Cluster()
        cluster.put(cluster.service(Cluster.web, "10.97.0.1"))
        cluster.put(cluster.service(ObjectName(namespace: "kube-system", name: "dns")))
        cluster.put(
            cluster.service(ObjectName(namespace: "kube-system", name: "own"), isGlobal: false))
        #expect(cluster.told == ["Service dns: OutsideCharter", "Service web: OutsideCharter"])
        cluster.put(cluster.service())
        #expect(cluster.told == ["Service dns: OutsideCharter"])
        var rules = cluster.rules
        rules.charter = nil
        cluster.claims.follow(rules, records: cluster.records)
        #expect(cluster.told.isEmpty)
    }

    @Test("a node's prefix may be another cluster's only once that is known, and until it leaves")
    func nodes() throws {
        var cluster = try Cluster()
        cluster.claims.setNodes(["a": [Prefix("10.1.4.0/24")!], "b": [Prefix("10.2.4.0/24")!]])
        #expect(cluster.told == ["Node b: Collides"])
        var rules = cluster.rules
        rules.peers = []
        cluster.claims.follow(rules, records: cluster.records)
        #expect(cluster.told == ["Node b: OutsideCharter"])
        cluster.claims.setNodes(["a": [Prefix("10.1.4.0/24")!]])
        #expect(cluster.told.isEmpty)
    }
}
