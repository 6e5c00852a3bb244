// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReplication

/// What a node believes about its own cluster: the ledger, and over it what must not wait for the
/// ledger: this node's own endpoints always, all nodes' reports while no publisher answers.
///
/// Every mutation returns the keys whose resolved record may have changed.
struct OwnClusterView {
    private let node: String
    private var ledger: [RecordKey: [UInt8]] = [:]
    /// By node; each holds what that node last reported.
    private var reports: [String: [RecordKey: [UInt8]]] = [:]
    private(set) var usesReports = false
    /// What the API server says of the whole cluster; nil while this node doesn't ask it.
    private(set) var objects: [RecordKey: [UInt8]]?
    /// What it said before and the ledger still has.
    private var deleted: Set<RecordKey> = []

    init(node: String) { self.node = node }

    mutating func applyLedger(_ changes: [LedgerReplacement]) -> Set<RecordKey> {
        var changed: Set<RecordKey> = []
        for change in changes {
            guard let key = RecordKey(change.key) else { continue }
            ledger[key] = change.value
            if change.value == nil { deleted.remove(key) }
            changed.insert(key)
        }
        return changed
    }

    mutating func setReport(of reporter: String, _ records: [RecordKey: [UInt8]]) -> Set<RecordKey>
    {
        let former = reports.updateValue(records, forKey: reporter)
        guard counts(reporter) else { return [] }
        // Its first report also takes away what only the ledger knew.
        let old =
            former
            ?? ledger.filter { key, value in
                key.kind == .endpoint && homeNode(of: value) == reporter
            }
        return Set(records.filter { old[$0.key] != $0.value }.keys)
            .union(old.keys.filter { records[$0] == nil })
    }

    /// What `reporter` said counts no longer; what the ledger knew of it does.
    mutating func forget(_ reporter: String) -> Set<RecordKey> {
        guard let former = reports.removeValue(forKey: reporter), counts(reporter) else {
            return []
        }
        return Set(former.keys)
    }

    mutating func setPublisherAnswers(_ answers: Bool) -> Set<RecordKey> {
        guard usesReports == answers else { return [] }
        usesReports = !answers
        return reports.values.reduce(into: Set()) { $0.formUnion($1.keys) }
            .union(ledger.keys.filter { $0.kind == .endpoint })
            .union(objects?.keys.map(\.self) ?? []).union(deleted)
    }

    /// - Parameter changes: nil where an object is gone.
    mutating func setObjects(_ changes: [RecordKey: [UInt8]?]) -> Set<RecordKey> {
        var current = objects ?? [:]
        objects = nil
        for (key, value) in changes {
            current[key] = value
            if value == nil, ledger[key] != nil { deleted.insert(key) } else { deleted.remove(key) }
        }
        objects = current
        return usesReports ? Set(changes.keys) : []
    }

    /// Nobody asks the API server any more.
    mutating func dropObjects() -> Set<RecordKey> {
        defer { (objects, deleted) = (nil, []) }
        return usesReports ? deleted.union(objects?.keys.map(\.self) ?? []) : []
    }

    /// Whether nothing would be lost, or come back, if the ledger decided: it says what the reports
    /// say.
    var isLedgerUpToDate: Bool {
        let keys = reports.values.reduce(into: Set()) { $0.formUnion($1.keys) }
        let objects = objects ?? [:]
        return objects.allSatisfy { ledger[$0.key] == $0.value }
            && deleted.allSatisfy { ledger[$0] == nil }
            // No ledger has receipts: the home alone reads them.
            && keys.allSatisfy { $0.kind == .receipt || objects[$0] != nil || isPublished($0) }
            && ledger.allSatisfy { key, value in
                guard key.kind == .endpoint, let home = homeNode(of: value),
                    let report = reports[home]
                else { return true }
                return report[key] != nil
            }
    }

    /// Whether the ledger has what some node says of `key`.
    private func isPublished(_ key: RecordKey) -> Bool {
        guard let published = ledger[key] else { return false }
        let said = reports.values.compactMap { $0[key] }
        guard key.kind == .endpoint else { return said.contains(published) }
        let theirs = try? EndpointRecord(encoded: published)
        return said.contains { value in
            let mine = try? EndpointRecord(encoded: value)
            return mine?.addresses == theirs?.addresses && mine?.node == theirs?.node
        }
    }

    /// The record in force, nil for none. Reports carry labels instead of identities: an endpoint
    /// that the ledger knows with the same addresses keeps the identity it has there.
    func record(for key: RecordKey) -> [UInt8]? {
        guard key.kind == .endpoint else {
            guard usesReports else { return ledger[key] }
            // The API server's word comes before the nodes', as it does with the publisher.
            return objects?[key] ?? reported(key) ?? (deleted.contains(key) ? nil : ledger[key])
        }
        if let own = reports[node]?[key] ?? (usesReports ? reported(key) : nil) {
            return withLedgerIdentity(own, key)
        }
        guard let published = ledger[key], let home = homeNode(of: published) else { return nil }
        return counts(home) && reports[home] != nil ? nil : published
    }

    private func counts(_ reporter: String) -> Bool { reporter == node || usesReports }

    /// This node's word first, then the others' in the order of their names.
    private func reported(_ key: RecordKey) -> [UInt8]? {
        reports[node]?[key]
            ?? reports.filter { $0.value[key] != nil }.min { $0.key < $1.key }?.value[key]
    }

    private func homeNode(of endpoint: [UInt8]) -> String? {
        (try? EndpointRecord(encoded: endpoint))?.node
    }

    private func withLedgerIdentity(_ reported: [UInt8], _ key: RecordKey) -> [UInt8] {
        guard let published = ledger[key],
            let mine = try? EndpointRecord(encoded: reported),
            let theirs = try? EndpointRecord(encoded: published),
            mine.addresses == theirs.addresses, mine.node == theirs.node
        else { return reported }
        return EndpointRecord(
            object: mine.object, node: mine.node, addresses: mine.addresses,
            identity: theirs.identity, labels: mine.labels
        ).encoded
    }
}
