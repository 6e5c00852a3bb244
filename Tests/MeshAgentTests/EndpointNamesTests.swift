// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReplication
import MeshStore
import Testing

@testable import MeshAgent

@Suite("Endpoints that the tables know by their addresses only")
struct EndpointNamesTests {
    @Test("an endpoint with several addresses is counted once, wherever it is counted")
    func census() {
        let store = MeshStore()
        var tables = RecordTables(own: own, store: store)
        let records = [
            endpoint("p", on: "a", "10.2.0.1", "fd00:2::1"), endpoint("q", on: "a", "10.2.0.2"),
            endpoint("r", on: "b", "10.2.1.1"),
        ]
        for number in UInt16(2)...3 {
            let moved = records.map { record in
                EndpointRecord(
                    object: record.object, node: record.node,
                    addresses: record.addresses.map { $0.advanced(by: UInt64(number) << 20) },
                    identity: record.identity, labels: [:])
            }
            tables.apply(
                Dictionary(
                    uniqueKeysWithValues: moved.map { ($0.key, RecordChange(new: $0.encoded)) }),
                of: cluster(number))
        }
        let rows = store.snapshot().endpoints
        #expect(rows.count == 8)
        #expect(rows.census { $0.node.cluster } == [cluster(2): 3, cluster(3): 3])
        #expect(rows.census { $0.node.name } == ["a": 4, "b": 2])
        let byNode = rows.endpointsByNode
        #expect(byNode.filter { $0.key.name == "a" }.map(\.value) == [2, 2])
        #expect(byNode.filter { $0.key.name == "b" }.map(\.value) == [1, 1])
    }

    @Test("a record counts under its own key only")
    func entries() {
        let record = endpoint("p", on: "a", "10.2.0.1")
        func read(_ key: String, _ value: [UInt8]) -> EndpointRecord? {
            EndpointRecord(LedgerEntry(key: key, value: value))
        }
        #expect(read("endpoint/default/p", record.encoded) == record)
        #expect(read("endpoint/default/q", record.encoded) == nil)
        #expect(read("endpoint/default/p", [1, 0]) == nil)
    }

    @Test("an own endpoint's name stands in its row; nobody is asked")
    func ownName() async {
        var names = EndpointNames()
        let row = EndpointRow(
            address: Address(ipv4: 1), record: RecordHash(rawValue: 1),
            object: ObjectName(namespace: "default", name: "p"), identity: .world,
            node: own, local: nil)
        let name = await names.name(of: row) { _ in
            Issue.record("there is nothing to ask for")
            return nil
        }
        #expect(name == row.object)
    }
}
