// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReplication

/// What one other cluster may announce here: addresses inside its prefixes, names inside its
/// namespaces, identities of its own, and no more than its quota of each, so that a compromised
/// cluster can't take another one's traffic or name, nor everybody's memory.
///
/// The quotas are counted by ``CharterGate``; what follows from a single record is judged here.
struct Charter: Hashable, Sendable {
    /// Its endpoints, its backends and its nodes' prefixes lie inside.
    var podPrefixes: [Prefix]
    /// Its services' addresses lie inside; nil: they may be any, as they mean nothing here.
    var serviceCIDRs: [Prefix]?
    /// Of endpoints, services, slices and namespaces; nil: any.
    var namespaces: NamePatterns?
    var quota = CharterQuota()

    /// How fast it may change; what comes sooner is taken later.
    var rate: ChangeRateLimit {
        ChangeRateLimit(perSecond: quota.recordsPerSecond, burst: quota.burst)
    }

    /// Why `entry` may not be announced by `cluster`, in a sentence that an operator can act on; nil
    /// if it may. Records of kinds that only newer versions know pass, and so do those that don't
    /// decode: they are quarantined where they are read.
    func violation(of entry: LedgerEntry, by cluster: ClusterID) -> String? {
        func refusal(_ what: String, allowed: String, field: String) -> String {
            "\(entry.key): \(what) is outside the charter of cluster \(cluster), which allows "
                + "\(allowed); correct it there, or extend charter.\(field) of that peer here"
        }
        // What a quota could keep out here might be a leave, or a new root.
        if entry.value.count > quota.valueBytes, !isStatement(entry.key) {
            return refusal(
                "a value of \(entry.value.count) bytes", allowed: "\(quota.valueBytes)",
                field: "quota.valueBytes")
        }
        guard let key = RecordKey(entry.key) else { return nil }
        if key.kind == .deny, key != DenyListRecord.onlyKey {
            return
                "\(entry.key): a cluster has one deny list, '\(DenyListRecord.onlyKey)'; look for "
                + "what is wrong with its publisher"
        }
        let claims = Claims(key, entry.value)
        for namespace in claims.namespaces where namespaces?.allow(namespace) == false {
            return refusal(
                "namespace '\(namespace)'", allowed: namespaces?.description ?? "",
                field: "namespaces")
        }
        for claimed in claims.pods where !podPrefixes.hold(claimed) {
            return refusal("\(claimed)", allowed: podPrefixes.summary, field: "podPrefixes")
        }
        if let serviceCIDRs {
            for claimed in claims.services where !serviceCIDRs.hold(claimed) {
                return refusal("\(claimed)", allowed: serviceCIDRs.summary, field: "serviceCIDRs")
            }
        }
        if let identity = claims.identity, identity.cluster != cluster {
            return "\(entry.key): identity \(identity) is not one of cluster \(cluster), which may "
                + "announce its own only; look for what is wrong with its publisher"
        }
        return nil
    }
}

extension NamePatterns {
    func allow(_ name: String) -> Bool { includes(name) ?? false }
}

extension [Prefix] {
    func hold(_ other: Prefix) -> Bool {
        contains { $0.length <= other.length && $0.overlaps(other) }
    }

    fileprivate var summary: String { abbreviated(map(\.description)) }
}

/// What a record claims that a charter can forbid.
private struct Claims {
    var namespaces: [String] = []
    var pods: [Prefix] = []
    var services: [Prefix] = []
    /// Nil for none, and for an endpoint that has none yet.
    var identity: Identity?

    init(_ key: RecordKey, _ value: [UInt8]) {
        var named: ObjectName?
        switch key.kind {
        case .endpoint:
            guard let record = try? EndpointRecord(encoded: value) else { break }
            named = record.object
            pods = record.addresses.map { Prefix($0) }
            identity = record.identity.rawValue == 0 ? nil : record.identity
        case .slice:
            guard let record = try? SliceRecord(encoded: value) else { break }
            named = record.object
            pods = record.endpoints.flatMap(\.addresses).map { Prefix($0) }
        case .service:
            guard let record = try? ServiceRecord(encoded: value) else { break }
            named = record.object
            services = record.addresses.map { Prefix($0) }
        case .identity:
            guard let record = try? IdentityRecord(encoded: value) else { break }
            identity = record.identity
            // Policies go by it.
            namespaces = record.labels[IdentityLabels.namespace].map { [$0] } ?? []
        case .node: pods = (try? NodeRecord(encoded: value))?.podPrefixes ?? []
        case .namespace, .relays, .statement, .peer, .deny, .authority, .receipt, .policy, .member:
            break
        }
        switch key.kind {
        case .endpoint, .slice, .service, .namespace:
            // A name may be cut at either of two slashes; where to is the record's own word.
            namespaces = [String(key.name.prefix { $0 != "/" })]
            if let named { namespaces.append(named.namespace) }
        case .identity, .node, .relays, .statement, .peer, .deny, .authority, .receipt, .policy,
            .member:
            break
        }
    }
}

/// Whether a ledger's key is a ``StatementRecord``'s.
func isStatement(_ key: String) -> Bool { key.utf8.starts(with: "statement/".utf8) }
