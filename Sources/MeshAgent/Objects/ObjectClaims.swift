// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes
import MeshModel
import MeshTrust

/// What objects of this cluster's API server claim that isn't this cluster's: addresses and names outside
/// its charter, which other clusters refuse, and addresses that are another cluster's.
///
/// Only what the mesh is to use is judged: nodes, and services that other clusters may use. A change costs
/// as much as what it changes; other rules, and a service that is shared or no longer is, cost a look at
/// every slice.
struct ObjectClaims: Sendable {
    /// Whose the addresses are.
    struct Rules: Hashable, Sendable {
        struct Peer: Hashable, Sendable {
            let name: String
            let podPrefixes: [Prefix]
        }

        /// The own one, as it is configured; nil: nothing is.
        var charter: Charter?
        var peers: [Peer] = []
    }

    private var rules = Rules()
    private var nodes: [String: [Prefix]] = [:]
    private var ofNodes: [ObjectProblem] = []
    /// Services that other clusters may use, by name.
    private var shared: Set<String> = []
    private var faults: [RecordKey: ObjectProblem] = [:]

    /// Nodes first, then services and slices by their names; the first ``ObjectIndex/problemsMaximum``.
    var problems: [ObjectProblem] {
        let all = ofNodes + faults.keys.sorted().compactMap { faults[$0] }
        return Array(all.prefix(ObjectIndex.problemsMaximum))
    }

    /// - Parameter records: all there are, encoded.
    mutating func follow(_ rules: Rules, records: [RecordKey: [UInt8]]) {
        guard rules != self.rules else { return }
        self.rules = rules
        judgeNodes()
        faults = [:]
        for (key, value) in records { judge(key, value) }
    }

    /// - Parameter nodes: prefixes of their pods, by name.
    mutating func setNodes(_ nodes: [String: [Prefix]]) {
        guard nodes != self.nodes else { return }
        self.nodes = nodes
        judgeNodes()
    }

    /// - Parameters:
    ///   - changes: nil where a record is gone.
    ///   - records: all there are after that.
    mutating func update(_ changes: [RecordKey: [UInt8]?], records: [RecordKey: [UInt8]]) {
        var moved: Set<String> = []
        for (key, value) in changes where key.kind == .service {
            let record = value.flatMap { try? ServiceRecord(encoded: $0) }
            let isShared = record.map { $0.isGlobal && $0.isShared } ?? false
            let isNew =
                isShared ? shared.insert(key.name).inserted : shared.remove(key.name) != nil
            if isNew { moved.insert(key.name) }
        }
        for (key, value) in changes { judge(key, value) }
        guard !moved.isEmpty else { return }
        for (key, value) in records where key.kind == .slice && changes[key] == nil {
            judge(key, value)
        }
    }

    // MARK: Judging

    private mutating func judge(_ key: RecordKey, _ value: [UInt8]?) {
        switch key.kind {
        case .service: faults[key] = value.flatMap(service)
        case .slice: faults[key] = value.flatMap(slice)
        default: break
        }
    }

    private func service(_ value: [UInt8]) -> ObjectProblem? {
        guard let record = try? ServiceRecord(encoded: value), shared.contains(record.name),
            let charter = rules.charter
        else { return nil }
        let namespace = record.object.namespace
        var outside: String?
        if charter.namespaces?.allow(namespace) == false {
            outside = "namespace \(namespace)"
        } else if let cidrs = charter.serviceCIDRs {
            outside = record.addresses.first { !cidrs.hold(Prefix($0)) }?.description
        }
        return outside.map {
            ObjectProblem(
                .outsideCharter, .services, record.object,
                "\($0) is outside this cluster's charter: other clusters don't take this service")
        }
    }

    private func slice(_ value: [UInt8]) -> ObjectProblem? {
        guard let record = try? SliceRecord(encoded: value),
            shared.contains("\(record.object.namespace)/\(record.service)")
        else { return nil }
        for address in record.endpoints.lazy.flatMap(\.addresses) {
            if let problem = problem(
                with: Prefix(address), "\(address)", of: .endpointSlices, record.object,
                so: "other clusters don't take this slice")
            {
                return problem
            }
        }
        return nil
    }

    private mutating func judgeNodes() {
        ofNodes = nodes.keys.sorted().compactMap(node)
    }

    private func node(_ name: String) -> ObjectProblem? {
        for prefix in nodes[name] ?? [] {
            if let problem = problem(
                with: prefix, "spec.podCIDR \(prefix)", of: .nodes,
                ObjectName(namespace: "", name: name),
                so: "other clusters don't take this node's endpoints")
            {
                return problem
            }
        }
        return nil
    }

    private func problem(
        with prefix: Prefix, _ what: String, of resource: ObjectResource, _ object: ObjectName,
        so consequence: String
    ) -> ObjectProblem? {
        for peer in rules.peers {
            guard let theirs = peer.podPrefixes.first(where: { $0.overlaps(prefix) }) else {
                continue
            }
            return ObjectProblem(
                .collides, resource, object,
                "\(what) collides with \(theirs), which is cluster \(peer.name)'s: \(consequence)")
        }
        guard let charter = rules.charter, !charter.podPrefixes.hold(prefix) else { return nil }
        return ObjectProblem(
            .outsideCharter, resource, object,
            "\(what) is outside this cluster's charter: \(consequence)")
    }
}

extension Charter {
    /// What a cluster asks for, without quotas.
    init(_ charter: ClusterCharter) {
        podPrefixes = charter.podPrefixes
        serviceCIDRs = charter.serviceCIDRs
        let patterns = charter.namespaces ?? []
        // Checked when it was read.
        namespaces =
            patterns.isEmpty
            ? nil
            : try? NamePatterns(
                include: patterns.filter { !$0.hasPrefix("!") },
                exclude: patterns.filter { $0.hasPrefix("!") }.map { String($0.dropFirst()) })
    }
}
