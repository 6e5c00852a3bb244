// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshStore
import Testing

@testable import MeshAgent

@Suite("Records become rows")
struct RecordTablesTests {
    private let store = MeshStore()
    private var tables: RecordTables

    init() { tables = RecordTables(own: own, store: store) }

    private mutating func put(_ records: (any LedgerRecord)..., of number: UInt16 = 2) {
        tables.apply(
            Dictionary(uniqueKeysWithValues: records.map { ($0.key, .some($0.encoded)) }),
            of: cluster(number))
    }

    private mutating func delete(_ keys: RecordKey..., of number: UInt16 = 2) {
        tables.apply(
            Dictionary(uniqueKeysWithValues: keys.map { ($0, .none) }), of: cluster(number))
    }

    private func row(_ address: String) -> EndpointRow? {
        store.read { $0.endpoints[Address(address)!] }
    }

    @Test("an address that passes from one endpoint to another stays, in whatever order it is told")
    mutating func handedOver() {
        for (first, second) in [("p", "q"), ("q", "p")] {
            put(endpoint(first, on: "a", "10.2.0.1"))
            tables.apply(
                [
                    endpoint(first, on: "a").key: .none,
                    endpoint(second, on: "a").key: endpoint(second, on: "a", "10.2.0.1").encoded,
                ], of: cluster(2))
            #expect(row("10.2.0.1")?.object.name == second)
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
            tables.apply([record.key: .some([1, 0])], of: cluster(2))
            #expect(tables.quarantine[cluster(2)]?[record.key] != nil, "\(record.key)")
        }
        // The name in the key is not the record's own.
        let stranger = RecordKey(kind: .endpoint, name: "default/stranger")
        tables.apply(
            [stranger: .some(endpoint("q", on: "a", "10.2.0.9").encoded)], of: cluster(2))
        #expect(tables.quarantine[cluster(2)]?[stranger] == .invalid("key"))
        #expect(row("10.2.0.9") == nil)

        #expect(row("10.2.0.1") != nil)
        #expect(store.read { $0.nodes.count } == 1)
        #expect(store.read { $0.identities.count } == 1)
        for record in records { put(record) }
        delete(stranger)
        #expect(tables.quarantine[cluster(2)]?.isEmpty == true)
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
