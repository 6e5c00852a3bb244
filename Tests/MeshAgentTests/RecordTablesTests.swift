// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshStore
import Testing

@testable import MeshAgent

@Suite("Records become rows")
struct RecordTablesTests {
    private let store = MeshStore()
    private var tables: RecordTables
    /// What each cluster's replica holds.
    private var values: [UInt16: [RecordKey: [UInt8]]] = [:]

    init() { tables = RecordTables(own: own, store: store) }

    /// Values that changed, nil for a deletion, with those they replace.
    private mutating func apply(_ news: [RecordKey: [UInt8]?], of number: UInt16 = 2) {
        var changes: RecordTables.Changes = [:]
        for (key, value) in news {
            changes[key] = RecordChange(old: values[number]?[key], new: value)
            values[number, default: [:]][key] = value
        }
        tables.apply(changes, of: cluster(number))
    }

    private mutating func put(_ records: (any LedgerRecord)..., of number: UInt16 = 2) {
        apply(
            Dictionary(uniqueKeysWithValues: records.map { ($0.key, .some($0.encoded)) }),
            of: number)
    }

    private mutating func delete(_ keys: RecordKey..., of number: UInt16 = 2) {
        apply(Dictionary(uniqueKeysWithValues: keys.map { ($0, .none) }), of: number)
    }

    private func home(of address: String) -> String? { row(address)?.node.name }

    private func row(_ address: String) -> EndpointRow? {
        store.read { $0.endpoints[Address(address)!] }
    }

    @Test("an address that passes from one endpoint to another stays, in whatever order it is told")
    mutating func handedOver() {
        for (first, second) in [("p", "q"), ("q", "p")] {
            put(endpoint(first, on: "a", "10.2.0.1"))
            apply([
                endpoint(first, on: "a").key: .none,
                endpoint(second, on: "b").key: endpoint(second, on: "b", "10.2.0.1").encoded,
            ])
            #expect(home(of: "10.2.0.1") == "b")
            delete(endpoint(second, on: "a").key)
            #expect(row("10.2.0.1") == nil)
        }
    }

    @Test("an address that an endpoint gives up goes, the others stay")
    mutating func fewerAddresses() {
        put(endpoint("p", on: "a", "10.2.0.1", "fd00:2::1"))
        put(endpoint("p", on: "a", "10.2.0.2", "fd00:2::1"))
        #expect(row("10.2.0.1") == nil && row("10.2.0.2") != nil && row("fd00:2::1") != nil)
    }

    @Test("an own endpoint has a row when its interface is known, and none without")
    mutating func interfaces() {
        let object = endpoint("p", on: "a").object
        let interface = LocalInterface(ifindex: 7, mac: LinkAddress(rawValue: 1)!)
        put(endpoint("p", on: "a", "10.1.0.1"), of: 1)
        #expect(row("10.1.0.1") == nil)
        tables.setInterfaces([object: interface])
        #expect(row("10.1.0.1")?.local == interface)
        #expect(
            row("10.1.0.1")?.identity == Identity(cluster: cluster(1), reserved: .initializing))
        let other = LocalInterface(ifindex: 8, mac: LinkAddress(rawValue: 1)!)
        tables.setInterfaces([object: other])
        #expect(row("10.1.0.1")?.local == other)
        // An endpoint of another node needs none.
        put(endpoint("q", on: "b", "10.1.1.1"), of: 1)
        #expect(row("10.1.1.1")?.local == nil && row("10.1.1.1") != nil)
    }

    @Test("a record that doesn't decode is quarantined, what it said before stays in force")
    mutating func quarantine() {
        let records: [any LedgerRecord] = [
            endpoint("p", on: "a", "10.2.0.1"), node("b", "10.2.0.0/24"),
            IdentityRecord(identity: identity(256, in: 2), labels: ["app": "x"]),
        ]
        for record in records {
            put(record)
            apply([record.key: .some([1, 0])])
            #expect(tables.quarantine[cluster(2)]?[record.key] != nil, "\(record.key)")
        }
        // The name in the key is not the record's own.
        let stranger = RecordKey(kind: .endpoint, name: "default/stranger")
        apply([stranger: .some(endpoint("q", on: "a", "10.2.0.9").encoded)])
        #expect(tables.quarantine[cluster(2)]?[stranger] == .invalid("key"))
        #expect(row("10.2.0.9") == nil)

        #expect(row("10.2.0.1") != nil)
        #expect(store.read { $0.nodes.count } == 1)
        #expect(store.read { $0.identities.count } == 1)
        for record in records { put(record) }
        delete(stranger)
        #expect(tables.quarantine[cluster(2)]?.isEmpty == true)
    }

    @Test("of records that can't be read the first few of a cluster are named, with what is wrong")
    mutating func unreadable() {
        for number in 10..<20 {
            apply([RecordKey(kind: .service, name: "default/s\(number)"): [1, 0]])
        }
        // A label that no API server takes; the other records go on.
        let shop = service("web")
        apply([shop.key: .some(shop.encoded + [0, 1, 1, 0x61, 1, 0x20, 0, 0])])
        put(service("fine"))
        let told = tables.unreadable { "east-\($0)" }
        #expect(told.count == 8)
        #expect(
            told.first
                == "cluster east-2: service/default/s10 ends too early; what it said before is "
                + "in force")
        for number in 10..<20 {
            delete(RecordKey(kind: .service, name: "default/s\(number)"))
        }
        #expect(
            tables.unreadable { "east-\($0)" } == [
                "cluster east-2: service/default/web has an invalid exported label; what it said "
                    + "before is in force"
            ])
        #expect(tables.quarantine[cluster(2)]?.count == 1)
    }

    @Test("what a quarantined endpoint had before goes with it, and with what follows it")
    mutating func afterQuarantine() {
        let key = endpoint("p", on: "a").key
        for deleted in [true, false] {
            put(endpoint("p", on: "a", "10.2.0.1"))
            apply([key: .some([1, 0])])
            apply([key: .some([1, 1])])
            #expect(row("10.2.0.1") != nil)
            if deleted { delete(key) } else { put(endpoint("p", on: "a", "10.2.0.2")) }
            #expect(row("10.2.0.1") == nil)
            #expect((row("10.2.0.2") == nil) == deleted)
            #expect(tables.quarantine[cluster(2)]?.isEmpty == true)
        }
    }

    @Test("of two endpoints with one address the same wins everywhere, and the other succeeds it")
    mutating func conflict() {
        let (p, q) = (endpoint("p", on: "a", "10.2.0.1"), endpoint("q", on: "b", "10.2.0.1"))
        put(p)
        put(q)
        let winner = home(of: "10.2.0.1")
        delete(p.key, q.key)
        #expect(row("10.2.0.1") == nil)
        put(q)
        put(p)
        #expect(home(of: "10.2.0.1") == winner)
        let (first, second) = winner == "a" ? (p, q) : (q, p)
        // Told again, the winner is still the winner, and the other one still waits.
        put(endpoint("\(first.object.name)", on: "c", "10.2.0.1", "10.2.0.2"))
        #expect(home(of: "10.2.0.1") == "c")
        delete(first.key)
        #expect(home(of: "10.2.0.1") == second.node && row("10.2.0.2") == nil)
        put(endpoint("\(second.object.name)", on: "d", "10.2.0.3"))
        #expect(row("10.2.0.1") == nil && home(of: "10.2.0.3") == "d")
    }

    @Test("an address of this node's endpoint is nobody else's, whoever claims it and when")
    mutating func ownAddress() {
        let object = endpoint("p", on: "a").object
        let interface = LocalInterface(ifindex: 7, mac: LinkAddress(rawValue: 1)!)
        put(endpoint("x", on: "a", "10.1.0.1"))
        put(endpoint("p", on: "a", "10.1.0.1"), of: 1)
        #expect(row("10.1.0.1")?.node.cluster == cluster(2), "without interface it is nowhere")
        tables.setInterfaces([object: interface])
        #expect(row("10.1.0.1")?.local == interface)
        put(endpoint("y", on: "a", "10.1.0.1"), of: 3)
        // Some of them would win by their hashes.
        let others = (0..<64).map { endpoint("z\($0)", on: "b", "10.1.0.1") }
        for other in others {
            put(other, of: 1)
            #expect(row("10.1.0.1")?.local == interface)
        }
        delete(endpoint("p", on: "a").key, of: 1)
        #expect(row("10.1.0.1")?.node.name == "b", "then the own cluster's")
        for other in others { delete(other.key, of: 1) }
        #expect(row("10.1.0.1")?.node.cluster == cluster(2), "then the lower cluster's")
    }

    @Test("a record that was refused before takes no address away when it goes")
    mutating func refusedBefore() {
        put(endpoint("p", on: "a", "10.2.0.1"))
        let refused = endpoint("q", on: "b", "10.2.0.1")
        tables.apply([refused.key: RecordChange(old: refused.encoded, new: nil)], of: cluster(2))
        #expect(home(of: "10.2.0.1") == "a")
    }

    @Test("a thousand claims to one address cost no more than the best few, and nobody else's")
    mutating func claims() {
        let records = (0..<1_000).map { endpoint("p\($0)", on: "n\($0)", "10.2.0.1") }
        put(endpoint("q", on: "q", "10.2.0.1"), of: 3)
        for record in records { put(record) }
        let best = records.min {
            RecordHash(of: $0.key.description.utf8) < RecordHash(of: $1.key.description.utf8)
        }
        #expect(home(of: "10.2.0.1") == best?.node)
        for record in records { delete(record.key) }
        #expect(row("10.2.0.1")?.node.cluster == cluster(3))
        delete(endpoint("q", on: "q").key, of: 3)
        #expect(row("10.2.0.1") == nil)
    }

    @Test("a cluster can neither change nor delete another one's identities")
    mutating func foreignIdentity() {
        let record = IdentityRecord(identity: identity(256), labels: ["app": "echo"])
        put(record, of: 1)
        put(IdentityRecord(identity: identity(256), labels: ["app": "forged"]), of: 2)
        #expect(store.read { $0.identities[identity(256)]?.labels } == ["app": "echo"])
        delete(record.key, of: 2)
        #expect(store.read { $0.identities[identity(256)] } != nil)
        delete(record.key, of: 1)
        #expect(store.read { $0.identities[identity(256)] } == nil)
    }

    @Test("a cluster is in use as long as a frontend here has backends there")
    mutating func inUse() {
        put(service("x"), slice("x-1", of: "x", "10.1.0.1"), of: 1)
        #expect(tables.clustersInUse == [])
        put(service("x", ip: "10.97.0.1"), slice("x-1", of: "x", "10.2.0.1"), of: 2)
        put(service("y", ip: "10.97.0.2"), slice("y-1", of: "y", "10.2.0.1"), of: 2)
        #expect(tables.clustersInUse == [cluster(2)], "y isn't a service here")
        put(service("y", ip: "10.96.0.2"), of: 1)
        delete(slice("x-1", of: "x").key, of: 2)
        #expect(tables.clustersInUse == [cluster(2)])
        delete(service("y").key, of: 1)
        #expect(tables.clustersInUse == [])
    }
}
