// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

@testable import MeshStore

/// A generator that is the same on every run.
private struct Random: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state ^ state >> 31
    }
}

private func row(
    _ address: Address, node: Int = 0, identity: UInt32 = 300, object: String? = nil,
    local: LocalInterface? = nil
) throws -> EndpointRow {
    let cluster = try #require(ClusterID(rawValue: 2))
    return EndpointRow(
        address: address, record: RecordHash(rawValue: UInt32(truncatingIfNeeded: address.low)),
        object: object.map { ObjectName(namespace: "default", name: $0) },
        identity: Identity(rawValue: identity),
        node: try #require(NodeID(cluster: cluster, name: "n\(node)")), local: local)
}

@Suite("The table of endpoints")
struct EndpointRowsTests {
    @Test("keeps all that a row says, IPv4 and IPv6")
    func roundTrip() throws {
        var table = EndpointRows()
        let interface = LocalInterface(ifindex: 3, mac: try #require(LinkAddress(rawValue: 5)))
        let rows = try [
            row(Address(ipv4: 1)), row(Address(ipv4: 2), node: 1, object: "web", local: interface),
            row(Address(high: 0, low: 7)), row(Address(high: 1 << 40, low: 7), object: "db"),
        ]
        for row in rows.reversed() { table.upsert(row) }
        #expect(table.rows == rows)
        #expect(table.count == 4)
        for row in rows { #expect(table[row.address] == row) }
        #expect(table[Address(ipv4: 3)] == nil && table[Address(high: 5, low: 7)] == nil)

        let revision = table.revision
        let again = table.upsert(rows[1])
        #expect(!again, "an equal row is no change")
        let plain = table.upsert(try row(rows[1].address, node: 1))
        #expect(plain && table[rows[1].address]?.local == nil)
        #expect(table.revision == revision + 1)
        let deleted = table.delete(rows[3].address)
        let gone = table.delete(rows[3].address)
        #expect(deleted && !gone && table.count == 3)
        #expect(table.changedKeys(since: revision) == [rows[1].address, rows[3].address])
    }

    @Test(
        "holds after any history what a dictionary holds, in order, and its copies what they held",
        arguments: [1, 2, 3] as [UInt64])
    func history(seed: UInt64) throws {
        var random = Random(state: seed)
        var table = EndpointRows()
        var model: [Address: EndpointRow] = [:]
        var copies: [(EndpointRows, [Address: EndpointRow])] = []
        // It grows, is nearly emptied and grows again.
        for (count, share) in [(10_000, 1), (12_000, 10), (4_000, 2)] {
            for step in 0..<count {
                let number = UInt64.random(in: 0..<5_000, using: &random)
                let isIPv4 = number % 2 == 0
                let address =
                    isIPv4
                    ? Address(ipv4: UInt32(number) << 8) : Address(high: number, low: number)
                if Int.random(in: 0..<10, using: &random) < share {
                    table.delete(address)
                    model[address] = nil
                } else {
                    let row = try row(
                        address, node: Int.random(in: 0..<20, using: &random),
                        identity: UInt32.random(in: 0..<3, using: &random))
                    table.upsert(row)
                    model[address] = row
                }
                if step % 2_000 == 1_999 { copies.append((table, model)) }
            }
        }
        for (table, model) in copies + [(table, model)] {
            #expect(table.count == model.count)
            #expect(
                table.rows
                    == model.values.sorted {
                        ($0.address.isIPv4 ? 0 : 1, $0.address)
                            < ($1.address.isIPv4 ? 0 : 1, $1.address)
                    })
            for address in model.keys { #expect(table[address] == model[address]) }
        }
    }

    @Test("ascending addresses fill their chunks, and blocks are no larger than asked for")
    func ascending() throws {
        var table = EndpointRows()
        for number in 0..<2_000 { table.upsert(try row(Address(ipv4: UInt32(number)))) }
        var sizes: [Int] = []
        table.forEachBlock(of: 1_024) { sizes.append($0.count) }
        #expect(sizes == [512, 512, 512, 464])
        var blocks = 0
        table.forEachBlock(of: 100) { block in
            #expect(block.count <= 100)
            blocks += 1
        }
        #expect(blocks == 23)
    }

    @Test("uses a node's number again when its last endpoint is gone")
    func nodes() throws {
        let cluster = try #require(ClusterID(rawValue: 2))
        var numbers = NodeNumbers()
        for index in 0..<100 {
            let node = try #require(NodeID(cluster: cluster, name: "n\(index)"))
            let number = numbers.use(node)
            #expect(numbers.use(node) == number && numbers[number] == node)
            numbers.release(number)
            #expect(numbers[number] == node, "it is in use once more")
            numbers.release(number)
        }
        #expect(numbers.count == 1)
    }

    @Test(
        "knows at any time how many endpoints are on each node, without going through their rows",
        arguments: [4, 5, 6] as [UInt64])
    func counts(seed: UInt64) throws {
        var random = Random(state: seed)
        var table = EndpointRows()
        var model: [Address: EndpointRow] = [:]
        let cluster = try #require(ClusterID(rawValue: 2))
        for step in 0..<6_000 {
            // Odd ones have one address, even ones up to three; nodes of an endpoint may differ while it
            // moves.
            let record = UInt32.random(in: 0..<300, using: &random)
            let place = record % 2 == 0 ? UInt32.random(in: 0..<3, using: &random) : 0
            let address = Address(ipv4: record * 3 + place)
            if Int.random(in: 0..<3, using: &random) == 0 {
                table.delete(address)
                model[address] = nil
            } else {
                let name = "n\(Int.random(in: 0..<4, using: &random))"
                let row = EndpointRow(
                    address: address, record: RecordHash(rawValue: record), object: nil,
                    identity: Identity(rawValue: 300),
                    node: try #require(NodeID(cluster: cluster, name: name)), local: nil,
                    hasSiblings: record % 2 == 0)
                table.upsert(row)
                model[address] = row
            }
            guard step % 50 == 0 || step > 5_990 else { continue }
            let expected = model.values.reduce(into: [NodeID: Set<RecordHash>]()) {
                $0[$1.node, default: []].insert($1.record)
            }
            #expect(table.endpointsByNode == expected.mapValues(\.count))
        }
        for address in model.keys { table.delete(address) }
        #expect(table.endpointsByNode.isEmpty)
    }

    @Test("counts on a node only the rows that are there")
    func uses() throws {
        var table = EndpointRows()
        for node in 0..<100 { table.upsert(try row(Address(ipv4: 9), node: node)) }
        #expect(table.nodes.count == 2, "the old one is given up when the new one is taken")
        table.delete(Address(ipv4: 9))
        table.upsert(try row(Address(ipv4: 8), node: 100))
        #expect(table.nodes.count == 2)
    }

    @Test("says what became of a row")
    func statuses() throws {
        var table = EndpointRows()
        for number in UInt32(1)...2 { table.upsert(try row(Address(ipv4: number))) }
        #expect(table.entry(for: Address(ipv4: 1))?.status == .pending)
        table.settle(through: 2, failures: [Address(ipv4: 2): "no room"])
        #expect(table.rows.map { table.statuses($0.address) } == [.done, .error("no room")])
        #expect(table.entry(for: Address(ipv4: 3)) == nil)
    }
}
