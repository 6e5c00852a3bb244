// SPDX-License-Identifier: Apache-2.0

import HashTreeCollections
public import MeshModel

/// The table of workload addresses: hundreds of thousands may be imported, so a row of another
/// cluster costs 16 bytes, or 32 with an IPv6 address, and no object of its own.
///
/// A value as ``Table`` is; a change copies the chunk of at most 512 rows that it touches.
public struct EndpointRows: ReconciledTable {
    public typealias Row = EndpointRow
    public typealias Entry = TableEntry<EndpointRow>

    private var ipv4 = PackedRows<UInt32>()
    private var ipv6 = PackedRows<Address>()
    private(set) var nodes = NodeNumbers()
    /// What few rows have.
    private var details: TreeDictionary<Address, Detail> = [:]
    private var log = ChangeLog<Address>()

    private struct Detail: Equatable {
        let object: ObjectName?
        let local: LocalInterface?
        let workload: LocalWorkload?
    }

    public init() {}

    public var revision: UInt64 { log.revision }
    public var isComplete: Bool { log.isComplete }
    public var count: Int { ipv4.count + ipv6.count }
    public var isEmpty: Bool { count == 0 }
    /// How many endpoints there are on each node that has any; one with several addresses counts once.
    ///
    /// - Complexity: goes through the nodes, not through the rows.
    public var endpointsByNode: [NodeID: Int] { nodes.endpointCounts }

    public func contains(_ key: Address) -> Bool { self[packed: key] != nil }
    public subscript(key: Address) -> EndpointRow? { self[packed: key].map { row(key, $0) } }

    public func entry(for key: Address) -> Entry? {
        self[key].map { Entry(row: $0, status: log.status(of: key)) }
    }

    /// All rows, IPv4 first, each in the order of their addresses.
    public var rows: [EndpointRow] {
        var rows: [EndpointRow] = []
        rows.reserveCapacity(count)
        forEachBlock(of: .max) { rows += $0 }
        return rows
    }

    /// What became of rows, for many of them.
    public var statuses: (Address) -> RowStatus { log.statuses }

    public func forEachBlock(of count: Int, _ body: ([EndpointRow]) -> Void) {
        func pass<Key>(_ rows: PackedRows<Key>, _ address: (Key) -> Address) {
            for chunk in rows.chunks {
                var rest = chunk[...]
                while !rest.isEmpty {
                    body(rest.prefix(count).map { row(address($0.key), $0.value) })
                    rest = rest.dropFirst(count)
                }
            }
        }
        pass(ipv4) { Address(ipv4: $0) }
        pass(ipv6) { $0 }
    }

    /// Inserts or replaces a row and makes it pending. An equal row is no change.
    ///
    /// - Returns: whether the table changed.
    @discardableResult
    public mutating func upsert(_ row: EndpointRow) -> Bool {
        let former = self[packed: row.address]
        if let former, self.row(row.address, former) == row { return false }
        let detail = Detail(object: row.object, local: row.local, workload: row.workload)
        let isPlain = row.object == nil && row.local == nil && row.workload == nil
        if !isPlain || !details.isEmpty { details[row.address] = isPlain ? nil : detail }
        let node = nodes.use(row.node)
        let value = Packed(
            identity: row.identity.rawValue, node: node, record: row.record.rawValue,
            hasSiblings: row.hasSiblings)
        self[packed: row.address] = value
        if value.hasSiblings { nodes.addRow(ofRecord: value.record, on: node) }
        if let former { release(former) }
        log.note(row.address)
        return true
    }

    /// Deletes a row; deleting what isn't there is no change.
    ///
    /// - Returns: whether the table changed.
    @discardableResult
    public mutating func delete(_ key: Address) -> Bool {
        guard let former = self[packed: key] else { return false }
        self[packed: key] = nil
        release(former)
        if !details.isEmpty { details[key] = nil }
        log.note(key)
        return true
    }

    private mutating func release(_ row: Packed) {
        if row.hasSiblings { nodes.removeRow(ofRecord: row.record, on: row.node) }
        nodes.release(row.node)
    }

    /// See ``Table/declareComplete()``.
    public mutating func declareComplete() { log.isComplete = true }

    public func changedKeys(since revision: UInt64) -> [Address]? {
        log.changedKeys(since: revision)
    }

    public mutating func settle(
        through revision: UInt64, failures: [Address: String], isWhole: Bool = true
    ) {
        log.settle(through: revision, failures: failures, isWhole: isWhole)
    }

    private func row(_ address: Address, _ value: Packed) -> EndpointRow {
        let detail = details.isEmpty ? nil : details[address]
        return EndpointRow(
            address: address, record: RecordHash(rawValue: value.record), object: detail?.object,
            identity: Identity(rawValue: value.identity), node: nodes[value.node],
            local: detail?.local, workload: detail?.workload, hasSiblings: value.hasSiblings)
    }

    private typealias Packed = PackedValue

    private subscript(packed address: Address) -> Packed? {
        get { address.ipv4.map { ipv4[$0] } ?? ipv6[address] }
        set {
            switch (address.ipv4, newValue) {
            case (let number?, let value?): ipv4.set(value, for: number)
            case (let number?, nil): ipv4.remove(number)
            case (nil, let value?): ipv6.set(value, for: address)
            case (nil, nil): ipv6.remove(address)
            }
        }
    }
}
