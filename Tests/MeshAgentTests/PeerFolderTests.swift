// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshModel
import MeshReplication
import MeshTransport
import Testing

@testable import MeshAgent

private func peer(
    name: String = "south", id: String = "2", addresses: String = "['192.0.2.9:4790']",
    prefixes: String = "[10.2.0.0/16]", charter: String = ""
) -> String {
    """
    name: \(name)
    id: \(id)
    addresses: \(addresses)
    bundle: /etc/weft/south.pem
    charter: {podPrefixes: \(prefixes)\(charter)}

    """
}

@Suite("The peers folder")
struct PeerFolderTests {
    private let folder: TemporaryFolder
    private let configuration: AgentConfiguration

    init() throws {
        folder = try TemporaryFolder()
        configuration = AgentConfiguration(
            mesh: "example", clusterName: ClusterName(rawValue: "north")!, cluster: cluster(1),
            node: own, zone: "",
            publisher: PublisherConfiguration(
                candidates: ["a"], lease: .fixed, store: .embedded),
            members: [.init(name: "a", address: Address("192.0.2.1")!)],
            underlay: Address("192.0.2.1")!, underlayInterface: "eth0",
            podPrefixes: prefixes("10.1.0.0/24"), ports: .init(),
            paths: .init(
                state: "/", bpf: "/", cgroup: "/", run: "/", manifests: "/", peers: "/",
                trust: "/"),
            healthProfile: .default, flowEvents: true, metricsPort: nil,
            imports: .everything, identityLabels: .standard)
    }

    private func read() -> PeerFolder { PeerFolder(folder: folder.path, own: configuration) }

    @Test("holds a file per cluster; other files are nobody's")
    func right() throws {
        _ = try folder.write("south.yaml", peer(addresses: "['192.0.2.9:1', '[2001:db8::9]:2']"))
        _ = try folder.write("notes.txt", "nothing")
        let peers = read()
        #expect(peers.problems.isEmpty)
        let south = try #require(peers.peers.first)
        #expect(south.name.rawValue == "south" && south.id == cluster(2))
        #expect(south.podPrefixes == prefixes("10.2.0.0/16"))
        #expect(south.charter == Charter(podPrefixes: prefixes("10.2.0.0/16")))
        #expect(
            south.addresses == [
                TransportAddress(address: Address("192.0.2.9")!, port: 1),
                TransportAddress(address: Address("2001:db8::9")!, port: 2),
            ])
    }

    @Test("holds each cluster's charter; what it leaves open is wide")
    func charter() throws {
        _ = try folder.write(
            "south.yaml",
            peer(
                charter: """
                    , serviceCIDRs: [10.98.0.0/16, 'fd00:98::/112'], namespaces: ['*', '!kube-*'], \
                    quota: {endpoints: 5, valueBytes: 1000, recordsPerSecond: 7}
                    """))
        let peers = read()
        let charter = try #require(peers.peers.first?.charter, "\(peers.problems)")
        #expect(charter.serviceCIDRs == prefixes("10.98.0.0/16", "fd00:98::/112"))
        #expect(charter.namespaces?.description == "!kube-*, *")
        var quota = CharterQuota()
        #expect(quota.endpoints >= 100_000 && quota.burst >= 100_000)
        #expect(charter.rate.perSecond == 7 && charter.rate.burst == quota.burst)
        quota.endpoints = 5
        quota.valueBytes = 1000
        quota.recordsPerSecond = 7
        #expect(charter.quota == quota)
    }

    @Test(
        "leaves a wrong file out and says which, which field and why",
        arguments: [
            (peer(name: "South"), ["name", "South"]),
            (peer(id: "4096"), ["id", "4096", "1 to 4095"]),
            (peer(id: "two"), ["id"]),
            (peer(addresses: "[]"), ["addresses", "192.0.2.1:4790"]),
            (peer(addresses: "['192.0.2.9']"), ["addresses", "192.0.2.9", "port"]),
            (peer(addresses: "['192.0.2.9:0']"), ["addresses", "192.0.2.9:0"]),
            (peer(addresses: "['fd00::1:2:4790']"), ["addresses", "fd00::1:2:4790"]),
            (peer(addresses: "['host:4790']"), ["addresses", "host:4790"]),
            (peer(prefixes: "[10.2.0.0/40]"), ["charter.podPrefixes", "10.2.0.0/40"]),
            (peer(prefixes: "[10.1.0.0/16]"), ["10.1.0.0/16", "overlaps", "10.1.0.0/24"]),
            (peer(prefixes: "[0.0.0.0/0]"), ["0.0.0.0/0", "overlaps", "10.3.0.0/16"]),
            (peer(name: "north"), ["'north'", "own name or ID"]),
            (peer(id: "1"), ["(ID 1)", "own name or ID"]),
            (peer(charter: ", serviceCIDRs: [10.98]"), ["charter.serviceCIDRs", "10.98"]),
            (peer(charter: ", namespaces: []"), ["charter.namespaces", "none"]),
            (peer(charter: ", namespaces: ['!x']"), ["charter.namespaces", "none"]),
            (peer(charter: ", namespaces: ['a*b']"), ["charter.namespaces", "'a*b'"]),
            (peer(charter: ", namespaces: [x, '!x']"), ["charter.namespaces", "'x'", "twice"]),
            (peer(charter: ", namespaces: x"), ["charter.namespaces"]),
            (peer(charter: ", quota: {services: 0}"), ["charter.quota.services", "0", "1 to"]),
            (peer(charter: ", quota: {burst: -1}"), ["charter.quota.burst", "-1"]),
            (
                peer(charter: ", quota: {valueBytes: 64513}"),
                ["charter.quota.valueBytes", "64513", "1 to 64512"]
            ),
            (peer(charter: ", quota: {records: many}"), ["charter.quota.records"]),
            // Misspelt, it would restrict nothing.
            (peer(charter: ", quotas: {}"), ["charter.quotas", "podPrefixes"]),
            (peer(charter: ", quota: {endpoint: 5}"), ["charter.quota.endpoint", "endpoints"]),
            ("", ["south.yaml"]),
            ("name: [", ["YAML"]),
            ("name: south\n", ["id is missing"]),
            (peer().replacing("charter", with: "chart"), ["charter is missing"]),
            (peer() + String(repeating: "# filling\n", count: 110_000), ["larger than"]),
        ])
    func wrong(text: String, says: [String]) throws {
        _ = try folder.write("east.yaml", peer(name: "east", id: "3", prefixes: "[10.3.0.0/16]"))
        _ = try folder.write("south.yaml", text)
        let peers = read()
        #expect(peers.peers.map(\.name.rawValue) == ["east"], "the other file is in force")
        let problem = try #require(peers.problems.first)
        #expect(peers.problems.count == 1)
        #expect(problem.description.hasPrefix(folder.path + "/south.yaml: "))
        #expect(!problem.message.hasPrefix(":"), "\(problem)")
        for part in says { #expect(problem.description.contains(part), "\(problem)") }
    }

    @Test(
        "in which two files contend keeps the first by name",
        arguments: [
            (peer(id: "3", prefixes: "[10.3.0.0/16]"), ["'south'", "already used"]),
            (peer(name: "east", prefixes: "[10.3.0.0/16]"), ["ID 2", "already used", "'south'"]),
            (
                peer(name: "east", id: "3", prefixes: "[10.3.0.0/16, 10.2.9.0/24]"),
                ["10.2.9.0/24", "overlaps", "10.2.0.0/16", "'south'"]
            ),
        ])
    func contention(text: String, says: [String]) throws {
        _ = try folder.write("1.yaml", peer())
        _ = try folder.write("2.yaml", text)
        let peers = read()
        #expect(peers.peers.map(\.id) == [cluster(2)])
        let problem = try #require(peers.problems.first)
        #expect(problem.file.hasSuffix("/2.yaml"))
        for part in says { #expect(problem.message.contains(part), "\(problem)") }
    }

    @Test("says of a file that broke what it said before, and nothing more of one that is gone")
    func broken() throws {
        _ = try folder.write("1.yaml", peer())
        let path = try folder.write(
            "2.yaml", peer(name: "east", id: "3", prefixes: "[10.3.0.0/16]"))
        let before = read()
        #expect(before.peers.map(\.id) == [cluster(2), cluster(3)])
        _ = try folder.write("1.yaml", "name: [")
        var after = PeerFolder(folder: folder.path, own: configuration, former: before)
        #expect(after.peers == before.peers)
        #expect(after.problems.count == 1)
        // What it said before contends with others as ever.
        _ = try folder.write("0.yaml", peer(name: "west"))
        after = PeerFolder(folder: folder.path, own: configuration, former: before)
        #expect(after.peers.map(\.name.rawValue) == ["west", "east"])
        try FileManager.default.removeItem(atPath: path)
        after = PeerFolder(folder: folder.path, own: configuration, former: before)
        #expect(after.peers.map(\.name.rawValue) == ["west"])
        let lost = PeerFolder(folder: "/nonexistent", own: configuration, former: before)
        #expect(lost.peers == before.peers && lost.problems.count == 1)
    }

    @Test("that is not there is a problem and no crash; the node runs alone")
    func missing() {
        let peers = PeerFolder(folder: "/nonexistent/peers.d", own: configuration)
        #expect(peers.peers.isEmpty)
        #expect(peers.problems.first?.file == "/nonexistent/peers.d")
    }
}
