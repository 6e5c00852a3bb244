// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshModel
import MeshTransport
import Testing

@testable import MeshAgent
@testable import MeshTrust

@Suite("Peers' files that the agent writes")
struct ManagedPeersTests {
    let folder: TemporaryFolder
    let managed: ManagedPeers

    init() throws {
        folder = try TemporaryFolder()
        managed = ManagedPeers(folder: folder.path)
    }

    private func member(_ name: String, _ id: UInt16) throws -> RosterPeer {
        RosterPeer(description: try Home(name, id).desk.roster.description, life: 0)
    }

    private func names() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
    }

    private func text(_ name: String) throws -> String {
        try String(contentsOf: URL(filePath: "\(folder.path)/\(name)"), encoding: .utf8)
    }

    @Test("read as what the home has decided, and go with it")
    func files() throws {
        var quota = ClusterCharter.Quota()
        quota.endpoints = 7
        quota.valueBytes = .max
        let bundle = try Home("west", 2).authority.bundle
        let description = try ClusterDescription(
            id: cluster(2), bundle: bundle,
            addresses: [ClusterAddress("192.0.2.2:4790")!, ClusterAddress("[2001:db8::2]:1")!],
            charter: #require(
                ClusterCharter(
                    podPrefixes: prefixes("10.2.0.0/16", "fd00:2::/48"),
                    serviceCIDRs: prefixes("10.98.0.0/16"), namespaces: ["*", "!kube-*"],
                    quota: quota)))
        let west = RosterPeer(description: description, life: 7)
        #expect(managed.write([west, try member("south", 4)], isComplete: true).isEmpty)
        #expect(try names() == ["south.yaml", "west.yaml"])
        #expect(try text("west.yaml").hasPrefix(ManagedPeers.mark))
        let peer = try PeerCluster(file: "\(folder.path)/west.yaml")
        #expect(peer.name == description.name && peer.id == description.id && peer.life == 7)
        #expect(peer.addresses.map(\.description) == description.addresses.map(\.description))
        #expect(peer.bundle == (try bundle.pem()))
        #expect(peer.charter.podPrefixes == description.charter.podPrefixes)
        #expect(peer.charter.serviceCIDRs == description.charter.serviceCIDRs)
        #expect(peer.charter.quota.endpoints == 7)
        #expect(peer.charter.quota.valueBytes == CharterQuota().valueBytes)
        // Without the whole ledger nobody is taken away.
        #expect(managed.write([west], isComplete: false).isEmpty)
        #expect(try names() == ["south.yaml", "west.yaml"])
        #expect(managed.write([west], isComplete: true).isEmpty)
        #expect(try names() == ["west.yaml"])
    }

    @Test("leave an operator's alone, which win by name and by ID")
    func operators() throws {
        let mine =
            "name: west\nid: 2\naddresses: ['192.0.2.7:1']\nbundle: none\n"
            + "charter: {podPrefixes: [10.2.0.0/16]}\n"
        let broken = "name: ["
        for (file, text) in [("here.yaml", mine), ("south.yaml", broken), ("notes.txt", "x")] {
            _ = try folder.write(file, text)
        }
        let members = [
            try member("west", 2), try member("south", 4), try member("north", 2),
            try member("centre", 5),
        ]
        let problems = managed.write(members, isComplete: true)
        #expect(problems.count == 1 && problems[0].contains("here.yaml gives to 'west'"))
        #expect(try names() == ["centre.yaml", "here.yaml", "notes.txt", "south.yaml"])
        #expect(try text("here.yaml") == mine && text("south.yaml") == broken)
        #expect(managed.write([], isComplete: true).isEmpty)
        #expect(try names() == ["here.yaml", "notes.txt", "south.yaml"])
    }
}
