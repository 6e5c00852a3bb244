// SPDX-License-Identifier: Apache-2.0

import DequeModule
import MeshModel

/// Endpoints whose labels have no number yet, in the order in which their labels came.
struct WaitingEndpoints: Sendable {
    private var records: [Labels: [RecordKey: EndpointRecord]] = [:]
    private var labels: [RecordKey: Labels] = [:]
    /// May name labels that nobody waits for any more.
    private var order: Deque<Labels> = []

    var count: Int { labels.count }
    /// Different sets of labels: how many numbers are missing.
    var labelSets: Int { records.count }

    func contains(_ key: RecordKey) -> Bool { labels[key] != nil }

    mutating func add(_ record: EndpointRecord, with labels: Labels) {
        remove(record.key)
        self.labels[record.key] = labels
        if records[labels] == nil {
            // Endpoints that come and go while there are no numbers must not pile up here.
            if order.count > 2 * records.count + 64 {
                order = Deque(order.filter { records[$0] != nil })
            }
            order.append(labels)
        }
        records[labels, default: [:]][record.key] = record
    }

    mutating func remove(_ key: RecordKey) {
        guard let former = labels.removeValue(forKey: key) else { return }
        records[former]?[key] = nil
        if records[former]?.isEmpty == true { records[former] = nil }
    }

    /// Whose turn it is.
    mutating func first() -> Labels? {
        while let first = order.first, records[first] == nil { order.removeFirst() }
        return order.first
    }

    /// All that wait for a number for `labels`, in the order of their keys. They wait no more.
    mutating func take(_ labels: Labels) -> [EndpointRecord] {
        let taken = records.removeValue(forKey: labels) ?? [:]
        for key in taken.keys { self.labels[key] = nil }
        return taken.values.sorted { $0.key < $1.key }
    }
}
