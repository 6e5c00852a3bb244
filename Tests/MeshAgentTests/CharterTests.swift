// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReplication
import Testing

@testable import MeshAgent

@Suite("What another cluster may announce")
struct CharterTests {
    private let charter: Charter

    init() throws {
        charter = Charter(
            podPrefixes: prefixes("10.2.0.0/16", "fd00:2::/32"),
            serviceCIDRs: prefixes("10.98.0.0/16"),
            namespaces: try NamePatterns(include: ["default", "x*"], exclude: ["xy"]))
    }

    private static func entry(_ record: some LedgerRecord) -> LedgerEntry {
        LedgerEntry(key: record.key.description, value: record.encoded)
    }

    private func violation(_ entry: LedgerEntry) -> String? {
        charter.violation(of: entry, by: cluster(2))
    }

    @Test(
        "lies within its charter's prefixes and namespaces",
        arguments: [
            entry(endpoint("p", on: "a", "10.2.0.1", identity: identity(256, in: 2))),
            entry(endpoint("p", on: "a", "10.2.255.255", "fd00:2::1")),
            entry(slice("s", of: "echo", "10.2.0.1", "fd00:2:ffff::1")),
            entry(slice("s", of: "echo")),
            entry(node("a", "10.2.4.0/24", "10.2.0.0/16", "fd00:2:1::/64")),
            entry(service("echo", ip: "10.98.0.1")),
            entry(IdentityRecord(identity: identity(256, in: 2), labels: [:])),
            entry(NamespaceRecord(name: "xylophone", labels: [:], annotations: [:])),
        ])
    func within(entry: LedgerEntry) {
        #expect(violation(entry) == nil)
    }

    @Test(
        "outside of them is refused, with the record, what it claims and what it may claim",
        arguments: [
            (entry(endpoint("p", on: "a", "10.1.0.1")), "10.1.0.1/32", "10.2.0.0/16"),
            (entry(endpoint("p", on: "a", "10.2.0.1", "10.3.0.1")), "10.3.0.1/32", "fd00:2::/32"),
            (entry(endpoint("p", on: "a", "fd00:1::1")), "fd00:1::1/128", "podPrefixes"),
            (entry(slice("s", of: "echo", "10.2.0.1", "10.1.0.1")), "10.1.0.1/32", "podPrefixes"),
            (entry(node("a", "10.1.0.0/24")), "10.1.0.0/24", "podPrefixes"),
            // Larger than the charter is outside, too: it holds others' addresses.
            (entry(node("a", "10.0.0.0/8")), "10.0.0.0/8", "podPrefixes"),
            (entry(node("a", "0.0.0.0/0")), "0.0.0.0/0", "podPrefixes"),
            (entry(node("a", "::/0")), "::/0", "podPrefixes"),
            (entry(service("echo", ip: "10.96.0.1")), "10.96.0.1/32", "serviceCIDRs"),
            // A pod's address is none for a service.
            (entry(service("echo", ip: "10.2.0.1")), "10.2.0.1/32", "10.98.0.0/16"),
            (
                entry(NamespaceRecord(name: "kube-system", labels: [:], annotations: [:])),
                "'kube-system'", "default, !xy, x*"
            ),
            (entry(NamespaceRecord(name: "xy", labels: [:], annotations: [:])), "'xy'", "!xy"),
            // Even one that can't be read otherwise.
            (LedgerEntry(key: "service/kube-system/dns", value: [1]), "'kube-system'", "default"),
            (LedgerEntry(key: "slice/xy", value: []), "'xy'", "namespaces"),
            // The key alone would pass.
            (
                entry(
                    EndpointRecord(
                        object: ObjectName(namespace: "default/kube", name: "p"), node: "a",
                        addresses: [], identity: identity(256, in: 2), labels: [:])),
                "'default/kube'", "namespaces"
            ),
            (
                LedgerEntry(
                    key: "policy/x",
                    value: [UInt8](repeating: 0, count: ReplicationLimit.valueBytes + 1)),
                "64513 bytes", "64512"
            ),
            // Numbers of another cluster.
            (entry(IdentityRecord(identity: identity(256), labels: [:])), "1:256", "its own"),
            (entry(endpoint("p", on: "a", "10.2.0.1", identity: identity(256))), "1:256", "own"),
        ])
    func outside(entry: LedgerEntry, claimed: String, allowed: String) throws {
        let reason = try #require(violation(entry))
        #expect(reason.hasPrefix(entry.key + ": "))
        for part in [claimed, allowed, "cluster 2"] {
            #expect(reason.contains(part), "\(reason)")
        }
    }

    @Test("that can't be read, or of a kind only newer versions know, passes unread")
    func unreadable() {
        let entries = [
            LedgerEntry(key: "endpoint/default/p", value: [1, 2]),
            LedgerEntry(key: "policy/kube-system/x", value: [1]),
            LedgerEntry(key: "nonsense", value: []),
        ]
        for entry in entries { #expect(violation(entry) == nil) }
    }

    @Test("a charter that says nothing of services and namespaces allows all")
    func open() {
        let charter = Charter(podPrefixes: [])
        let entries = [
            Self.entry(service("echo", ip: "10.1.0.1")),
            Self.entry(NamespaceRecord(name: "kube-system", labels: [:], annotations: [:])),
        ]
        for entry in entries { #expect(charter.violation(of: entry, by: cluster(2)) == nil) }
        let pod = Self.entry(endpoint("p", on: "a", "10.2.0.1"))
        #expect(charter.violation(of: pod, by: cluster(2))?.contains("allows none") == true)
    }

    @Test("a reason stays a sentence, however long the charter is")
    func longCharter() throws {
        let many = (0..<64).map { Prefix("10.2.\($0).0/24")! }
        let reason = try #require(
            Charter(podPrefixes: many).violation(
                of: Self.entry(endpoint("p", on: "a", "10.1.0.1")), by: cluster(2)))
        #expect(reason.contains("10.2.3.0/24 and 60 more") && reason.utf8.count < 300)
    }
}
