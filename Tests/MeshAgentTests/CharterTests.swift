// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReplication
import Testing

@testable import MeshAgent

@Suite("What another cluster may announce")
struct CharterTests {
    private static let charter = Charter([
        PeerCluster(
            name: ClusterName(rawValue: "south")!, id: cluster(2), addresses: [], bundle: "",
            ledgerKey: [], podPrefixes: prefixes("10.2.0.0/16", "fd00:2::/32"))
    ])

    private static func entry(_ record: some LedgerRecord) -> LedgerEntry {
        LedgerEntry(key: record.key.description, value: record.encoded)
    }

    @Test(
        "lies within its charter's prefixes",
        arguments: [
            entry(endpoint("p", on: "a", "10.2.0.1", identity: identity(256, in: 2))),
            entry(endpoint("p", on: "a", "10.2.255.255", "fd00:2::1")),
            entry(slice("s", of: "echo", "10.2.0.1", "fd00:2:ffff::1")),
            entry(slice("s", of: "echo")),
            entry(node("a", "10.2.4.0/24", "10.2.0.0/16", "fd00:2:1::/64")),
            entry(service("echo", ip: "10.96.0.1")),
            entry(IdentityRecord(identity: identity(256, in: 2), labels: [:])),
            entry(NamespaceRecord(name: "x", labels: [:], annotations: [:])),
        ])
    func within(entry: LedgerEntry) {
        #expect(Self.charter.judge(cluster(2), entry) == .accept)
    }

    @Test(
        "outside of them is refused, with the record and the address in the reason",
        arguments: [
            (entry(endpoint("p", on: "a", "10.1.0.1")), "10.1.0.1/32"),
            (entry(endpoint("p", on: "a", "10.2.0.1", "10.3.0.1")), "10.3.0.1/32"),
            (entry(endpoint("p", on: "a", "fd00:1::1")), "fd00:1::1/128"),
            (entry(slice("s", of: "echo", "10.2.0.1", "10.1.0.1")), "10.1.0.1/32"),
            (entry(node("a", "10.1.0.0/24")), "10.1.0.0/24"),
            // Larger than the charter is outside, too: it holds others' addresses.
            (entry(node("a", "10.0.0.0/8")), "10.0.0.0/8"),
            (entry(node("a", "0.0.0.0/0")), "0.0.0.0/0"),
            (entry(node("a", "::/0")), "::/0"),
            // Numbers of another cluster.
            (entry(IdentityRecord(identity: identity(256), labels: [:])), "1:256"),
            (entry(endpoint("p", on: "a", "10.2.0.1", identity: identity(256))), "1:256"),
        ])
    func outside(entry: LedgerEntry, claimed: String) {
        guard case .refuse(let reason) = Self.charter.judge(cluster(2), entry) else {
            Issue.record("\(entry.key) was accepted")
            return
        }
        #expect(reason.contains(entry.key) && reason.contains(claimed), "\(reason)")
        #expect(reason.contains("cluster 2"), "\(reason)")
    }

    @Test("that can't be read, or of a kind only newer versions know, passes unread")
    func unreadable() {
        let entries = [
            LedgerEntry(key: "endpoint/default/p", value: [1, 2]),
            LedgerEntry(key: "policy/x", value: [1]),
            LedgerEntry(key: "nonsense", value: []),
        ]
        for entry in entries { #expect(Self.charter.judge(cluster(2), entry) == .accept) }
    }

    @Test("the own cluster has no charter here")
    func ownCluster() {
        #expect(
            Self.charter.judge(cluster(1), Self.entry(endpoint("p", on: "a", "10.9.0.1")))
                == .accept)
    }
}
