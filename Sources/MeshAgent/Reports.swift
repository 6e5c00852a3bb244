// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// What this node says of itself, and what of it still has to be told.
struct OwnReport {
    /// Below the transport's frame limit, with room for one more record of the largest size.
    static let chunkBytes = 512 * 1024

    private(set) var records: [RecordKey: Message.Report.Put] = [:]

    var values: [RecordKey: [UInt8]] { records.mapValues(\.value) }

    /// Makes `current` the report.
    ///
    /// - Parameter now: nanoseconds of the real-time clock; what reads differently than before is
    ///   as old as this.
    /// - Returns: the messages that bring a listener who knew the previous report up to date.
    mutating func replace(with current: [RecordKey: [UInt8]], now: UInt64) -> [Message] {
        let gone = records.keys.filter { current[$0] == nil }.sorted()
        for key in gone { records[key] = nil }
        var puts: [Message.Report.Put] = []
        for (key, value) in current where records[key]?.value != value {
            let put = Message.Report.Put(key: key, since: now, value: value)
            records[key] = put
            puts.append(put)
        }
        guard !puts.isEmpty || !gone.isEmpty else { return [] }
        return Self.chunks(of: puts.sorted { $0.key < $1.key }, deletes: gone).map { .report($0) }
    }

    /// The messages for a listener who knows nothing.
    var full: [Message] {
        var reports = Self.chunks(of: records.values.sorted { $0.key < $1.key }, deletes: [])
        reports[0].opens = true
        reports[reports.count - 1].closes = true
        return reports.map { .report($0) }
    }

    private static func chunks(
        of puts: [Message.Report.Put], deletes: [RecordKey]
    ) -> [Message.Report] {
        let empty = Message.Report(opens: false, closes: false, puts: [], deletes: [])
        var reports = [empty]
        var size = 0
        func add(_ bytes: Int, _ change: (inout Message.Report) -> Void) {
            if size + bytes > chunkBytes {
                reports.append(empty)
                size = 0
            }
            size += bytes
            change(&reports[reports.count - 1])
        }
        for put in puts {
            add(put.value.count + RecordKey.maximumLength) { $0.puts.append(put) }
        }
        // Behind what may take their place.
        for key in deletes { add(RecordKey.maximumLength) { $0.deletes.append(key) } }
        return reports
    }
}

/// The reports of all nodes of the own cluster, as far as this node received them.
struct ReportBook {
    /// The node that speaks for the cluster's authority; nil: none.
    let home: String?
    private(set) var reports: [String: [RecordKey: Message.Report.Put]] = [:]
    /// What each node's trust rests on, as its report says.
    private(set) var receipts: [String: ReceiptRecord] = [:]
    /// Nodes that have said all they know: what is missing from their reports is gone.
    private(set) var complete: Set<String> = []
    /// What the complete report that is arriving has put so far.
    private var arriving: [String: Set<RecordKey>] = [:]

    init(home: String? = nil) { self.home = home }

    /// Leaves out what isn't the reporter's to say.
    ///
    /// - Returns: the keys of `reporter` that read differently now.
    mutating func apply(_ report: Message.Report, from reporter: String) -> Set<RecordKey> {
        var records = reports[reporter] ?? [:]
        var changed: Set<RecordKey> = []
        if report.opens { arriving[reporter] = [] }
        arriving[reporter]?.formUnion(report.puts.map(\.key))
        for put in report.puts
        where records[put.key] != put && put.isOwnWord(of: reporter, home: home) {
            records[put.key] = put
            changed.insert(put.key)
        }
        for key in report.deletes where records.removeValue(forKey: key) != nil {
            changed.insert(key)
        }
        if report.closes, let kept = arriving.removeValue(forKey: reporter) {
            changed.formUnion(records.keys.filter { !kept.contains($0) })
            records = records.filter { kept.contains($0.key) }
            complete.insert(reporter)
        }
        reports[reporter] = records
        let receipt = RecordKey(kind: .receipt, name: reporter)
        if changed.contains(receipt) {
            receipts[reporter] = records[receipt].flatMap {
                try? ReceiptRecord(encoded: $0.value)
            }
        }
        return changed
    }

    /// - Returns: the keys that `reporter` had put.
    mutating func forget(_ reporter: String) -> Set<RecordKey> {
        receipts[reporter] = nil
        complete.remove(reporter)
        arriving[reporter] = nil
        return Set(reports.removeValue(forKey: reporter).map { Array($0.keys) } ?? [])
    }

    func isComplete(of reporter: String) -> Bool { complete.contains(reporter) }

    func values(of reporter: String) -> [RecordKey: [UInt8]] {
        (reports[reporter] ?? [:]).mapValues(\.value)
    }
}

extension Message.Report.Put {
    /// A node speaks for its own endpoints and its own record only, and nobody for identities, relays and
    /// members.
    /// Any node may have manifests of the cluster's services, one speaks for its authority. What doesn't
    /// decode is no word at all.
    func isOwnWord(of reporter: String, home: String?) -> Bool {
        switch key.kind {
        case .endpoint:
            (try? EndpointRecord(encoded: value)).map { $0.node == reporter && $0.key == key }
                ?? false
        case .node, .receipt: key.name == reporter
        case .deny: reporter == home && key == DenyListRecord.onlyKey
        case .identity, .relays, .member: false
        case .statement, .peer, .authority: reporter == home
        case .namespace, .service, .slice, .policy: true
        }
    }
}
