// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReplication

/// Whether a record of another cluster is seen here.
enum RecordDecision: Hashable, Sendable {
    case accept
    /// With a reason an operator understands.
    case refuse(String)
}

/// Decides which records of other clusters are seen here: those inside their charter, as many as its
/// quotas allow. A cluster without a charter, as the own one, may announce everything.
///
/// What is accepted stays so while it is updated; whoever comes when a quota is full is refused, and
/// has its turn, in the order of the keys, when something is removed. So which records are accepted
/// depends on the order in which they came. Removals must be told before what replaces them.
///
/// A record costs one lookup, and as long as it is accepted some 20 bytes of memory: a hash of its
/// key, seeded anew in every process, so that no exporter can choose keys that count as one.
struct CharterGate: Sendable {
    /// Refused keys that are remembered for each cluster. Of more only the number is known, and they
    /// are found again by ``mustRescan(of:)``.
    static let rememberedRefusals = 4096
    /// What ``readmissible(of:)`` names at once.
    static let readmissionsAtOnce = 256

    private let remembered: Int
    private var owners: [ClusterID: Owner] = [:]

    /// - Parameter remembered: refused keys for each cluster.
    init(remembered: Int = Self.rememberedRefusals) { self.remembered = remembered }

    /// Whether a record that is new or has changed is seen from now on. A refused one must not be seen
    /// at its former value either.
    mutating func judge(_ entry: LedgerEntry, of cluster: ClusterID) -> RecordDecision {
        owners[cluster]?.judge(entry, of: cluster) ?? .accept
    }

    /// The cluster's ledger doesn't hold the key any more.
    mutating func removed(_ key: String, of cluster: ClusterID) {
        owners[cluster]?.drop(key, Kind(key))
    }

    /// A cluster's charter is this from now on, nil for a cluster that is no peer any more. What was
    /// decided is forgotten: the caller has all its records judged.
    mutating func set(_ charter: Charter?, of cluster: ClusterID) {
        owners[cluster] = charter.map { Owner(charter: $0, remembered: remembered) }
    }

    /// Keys that were refused and for which there is room now: the caller has them judged, or says
    /// that they are removed. In order; ask again until there are none.
    mutating func readmissible(of cluster: ClusterID) -> [String] {
        owners[cluster]?.readmissible() ?? []
    }

    /// Whether there is room for records that were refused and aren't remembered: the caller has all
    /// records of the cluster judged, best in the order of their keys. True once each time.
    mutating func mustRescan(of cluster: ClusterID) -> Bool {
        owners[cluster]?.mustRescan() ?? false
    }

    func isAccepted(_ key: String, of cluster: ClusterID) -> Bool {
        owners[cluster]?.isAccepted(key) ?? true
    }

    func acceptedCount(of cluster: ClusterID) -> Int { owners[cluster]?.accepted.count ?? 0 }

    /// Records over quota: exact up to ``rememberedRefusals``; beyond, a record that is updated counts
    /// every time until the next scan.
    func refusedCount(of cluster: ClusterID) -> Int { owners[cluster]?.refusedCount ?? 0 }
}

/// What a quota counts. Raw values are indices.
private enum Kind: Int, CaseIterable {
    case endpoint, service, statement, other

    init(_ key: String) {
        if key.utf8.starts(with: "endpoint/".utf8) {
            self = .endpoint
        } else if isStatement(key) {
            self = .statement
        } else {
            self = key.utf8.starts(with: "service/".utf8) ? .service : .other
        }
    }
}

private let denyListKey = "\(DenyListRecord.onlyKey)"

private struct Owner: Sendable {
    let charter: Charter
    let remembered: Int
    private(set) var accepted: Set<Int> = []
    private var counts = Array(repeating: 0, count: Kind.allCases.count)
    private var waiting: Set<String> = []
    private var waitingCounts = Array(repeating: 0, count: Kind.allCases.count)
    /// Refused and not remembered, since the last scan.
    private var forgotten = Array(repeating: 0, count: Kind.allCases.count)

    init(charter: Charter, remembered: Int) {
        self.charter = charter
        self.remembered = remembered
    }

    var refusedCount: Int { waiting.count + forgotten.reduce(0, +) }

    /// Statements have a quota of their own: a cluster that is full can still leave.
    private var room: Int {
        charter.quota.records - accepted.count + counts[Kind.statement.rawValue]
    }

    func isAccepted(_ key: String) -> Bool {
        accepted.contains(key.hashValue) || key == denyListKey
    }

    mutating func judge(_ entry: LedgerEntry, of cluster: ClusterID) -> RecordDecision {
        // One of at most a ledger's largest value, beside every quota: a peer that has used up its own,
        // or whose charter is narrow, can still say whom not to believe.
        if entry.key == denyListKey { return .accept }
        let kind = Kind(entry.key)
        if let reason = charter.violation(of: entry, by: cluster) {
            drop(entry.key, kind)
            return .refuse(reason)
        }
        let mark = entry.key.hashValue
        if accepted.contains(mark) { return .accept }
        guard room(for: kind) > 0 else {
            remember(entry.key, kind)
            return .refuse(fullness(entry.key, kind, of: cluster))
        }
        accepted.insert(mark)
        counts[kind.rawValue] += 1
        if waiting.remove(entry.key) != nil { waitingCounts[kind.rawValue] -= 1 }
        return .accept
    }

    mutating func drop(_ key: String, _ kind: Kind) {
        if accepted.remove(key.hashValue) != nil { counts[kind.rawValue] -= 1 }
        if waiting.remove(key) != nil { waitingCounts[kind.rawValue] -= 1 }
    }

    mutating func readmissible() -> [String] {
        guard Kind.allCases.contains(where: { waitingCounts[$0.rawValue] > 0 && room(for: $0) > 0 })
        else { return [] }
        var rooms = Kind.allCases.map { room(for: $0) }
        var total = room
        var keys: [String] = []
        for key in waiting.sorted() {
            let kind = Kind(key).rawValue
            guard keys.count < CharterGate.readmissionsAtOnce else { break }
            let isStatement = kind == Kind.statement.rawValue
            guard rooms[kind] > 0, total > 0 || isStatement else { continue }
            rooms[kind] -= 1
            if !isStatement { total -= 1 }
            keys.append(key)
            waiting.remove(key)
            waitingCounts[kind] -= 1
        }
        return keys
    }

    mutating func mustRescan() -> Bool {
        let isNeeded = Kind.allCases.contains {
            forgotten[$0.rawValue] > 0 && waitingCounts[$0.rawValue] == 0 && room(for: $0) > 0
        }
        if isNeeded { forgotten = forgotten.map { _ in 0 } }
        return isNeeded
    }

    private mutating func remember(_ key: String, _ kind: Kind) {
        guard !waiting.contains(key) else { return }
        guard waiting.count < remembered else {
            forgotten[kind.rawValue] += 1
            return
        }
        waiting.insert(key)
        waitingCounts[kind.rawValue] += 1
    }

    private func limit(of kind: Kind) -> (limit: Int, noun: String) {
        switch kind {
        case .endpoint: (charter.quota.endpoints, "endpoints")
        case .service: (charter.quota.services, "services")
        case .statement: (CharterQuota.statements, "statements")
        case .other: (charter.quota.records, "records")
        }
    }

    private func room(for kind: Kind) -> Int {
        let own = limit(of: kind).limit - counts[kind.rawValue]
        return kind == .statement ? own : min(own, room)
    }

    private func fullness(_ key: String, _ kind: Kind, of cluster: ClusterID) -> String {
        if kind == .statement {
            return "\(key): more than the \(CharterQuota.statements) statements that a cluster may "
                + "make; look for what is wrong with the authority of cluster \(cluster)"
        }
        let isTotal = room <= 0
        let (limit, noun) = isTotal ? (charter.quota.records, "records") : limit(of: kind)
        return "\(key): more than the \(limit) \(noun) that the charter of cluster \(cluster) "
            + "allows; remove some there, or raise charter.quota.\(noun) of that peer here"
    }
}
