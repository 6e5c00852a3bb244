// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReplication

/// What a new publisher finds in the ledger and nobody has repeated to it yet.
struct Inheritance: Sendable {
    /// By the node whose word it is.
    private var endpoints: [String: Set<RecordKey>] = [:]
    private var nodeOf: [RecordKey: String] = [:]
    private var others: Set<RecordKey> = []

    /// - Parameters:
    ///   - identities: get the ledger's, in the order of their numbers.
    ///   - users: get which endpoint has which number.
    init(
        _ ledger: some Sequence<LedgerEntry>, identities: inout [IdentityRecord],
        users: inout [RecordKey: Identity]
    ) {
        for entry in ledger {
            // What only a newer version knows is a newer publisher's to tidy up.
            guard let key = RecordKey(entry.key) else { continue }
            if key.kind == .endpoint, let record = try? EndpointRecord(encoded: entry.value) {
                endpoints[record.node, default: []].insert(key)
                nodeOf[key] = record.node
                users[key] = record.identity
            } else if key.kind == .identity,
                let record = try? IdentityRecord(encoded: entry.value), record.key == key
            {
                identities.append(record)
            } else if key.kind != .relays && key.kind != .deny {
                // Relays are nobody's to repeat: the publisher itself goes on from the set it finds.
                // Denials stay until the authority says otherwise.
                others.insert(key)
            }
        }
        identities.sort { $0.identity < $1.identity }
    }

    /// A record that nobody will repeat.
    mutating func addOther(_ key: RecordKey) { others.insert(key) }

    /// Somebody speaks of the record again.
    mutating func confirm(_ key: RecordKey) {
        if let node = nodeOf.removeValue(forKey: key) {
            endpoints[node]?.remove(key)
        } else {
            others.remove(key)
        }
    }

    /// Endpoints of nodes that `isHeard` names and that didn't repeat them. Each is told once.
    mutating func endpointsGone(where isHeard: (String) -> Bool) -> [RecordKey] {
        var gone: [RecordKey] = []
        for node in endpoints.keys.filter(isHeard) {
            let keys = endpoints.removeValue(forKey: node) ?? []
            for key in keys { nodeOf[key] = nil }
            gone += keys
        }
        return gone
    }

    /// Nodes that the API server, which has spoken, doesn't list. Each is told once: a node that is gone
    /// would be waited for otherwise.
    mutating func membersGone() -> [RecordKey] {
        let gone = others.filter { $0.kind == .member }
        others.subtract(gone)
        return Array(gone)
    }

    /// Everything else that nobody repeated. Each is told once.
    mutating func othersGone() -> [RecordKey] {
        defer { others = [] }
        return Array(others)
    }
}
