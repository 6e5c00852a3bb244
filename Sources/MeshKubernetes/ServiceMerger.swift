// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// Services and slices of all clusters → frontends of the own one. Pure and incremental: a change
/// costs as much as the one service it belongs to.
///
/// A service of the own cluster that is global takes in the backends of every other cluster that
/// has a global and shared service of the same namespace and name.
public struct ServiceMerger: Sendable {
    public let own: ClusterID
    private let node: NodeID?

    private var views: [ObjectName: ServiceView] = [:]
    private var serviceOfSlice: [SliceID: ObjectName] = [:]
    /// Services of the own cluster that stand for others, by their names.
    private var targetOfDerived: [ObjectName: ObjectName] = [:]
    private var merged: [ObjectName: [FrontendKey: ServiceFrontend]] = [:]
    /// Who wants a frontend's address: one service, or several by mistake.
    private var claims: [FrontendKey: Set<ObjectName>] = [:]
    private var published: [FrontendKey: ServiceFrontend] = [:]
    /// Where nodes of all clusters are, as far as anybody said.
    private var zones: [NodeID: String] = [:]
    /// Services whose backends count by where they are.
    private var distributed: Set<ObjectName> = []

    private struct SliceID: Hashable {
        let cluster: ClusterID
        let object: ObjectName
    }

    /// - Parameter node: whose frontends they are; nil: no service stays on
    ///   its client's node.
    public init(own: ClusterID, node: NodeID? = nil) {
        self.own = own
        self.node = node
    }

    /// All frontends as they are now, in the order of their keys.
    public var frontends: [ServiceFrontend] {
        published.values.sorted { $0.key < $1.key }
    }

    /// Services that lose an address to another one.
    public var contests: [ServiceContest] {
        claims.filter { $0.value.count > 1 }.sorted { $0.key < $1.key }.flatMap { key, claimants in
            let claimants = claimants.sorted()
            return claimants.dropFirst().map {
                ServiceContest(service: $0, frontend: key, owner: claimants[0])
            }
        }
    }

    /// The same in sentences.
    public var problems: [String] { contests.map { "service \($0.service): \($0)" } }

    /// Services that some cluster exports by a ServiceExport, in the order of their names.
    public var exportedServices: [ObjectName] {
        views.filter { $0.value.services.values.contains { $0.exportedAt > 0 } }.keys.sorted()
    }

    /// One service's slices in each cluster.
    public func slices(named name: ObjectName) -> [ClusterID: [SliceRecord]] {
        (views[name]?.slices ?? [:]).mapValues { slices in
            slices.values.sorted { $0.object < $1.object }
        }
    }

    /// Where a node is; empty if nobody said.
    public func zone(of node: String, in cluster: ClusterID) -> String {
        NodeID(cluster: cluster, name: node).flatMap { zones[$0] } ?? ""
    }

    /// One service as each cluster that has it describes it.
    public func services(named name: ObjectName) -> [ClusterID: ServiceRecord] {
        views[name]?.services ?? [:]
    }

    /// Takes in one change; see ``update(_:)-(Sequence)``.
    public mutating func update(_ change: ServiceChange) -> FrontendChanges {
        update(CollectionOfOne(change))
    }

    /// Takes in changes that came together; each service is merged once.
    ///
    /// - Returns: frontends that differ from before. The same record once more changes nothing.
    ///
    /// - Parameter nodes: zones of nodes that are somewhere else now; empty for nowhere known.
    public mutating func update(
        _ changes: some Sequence<ServiceChange>, zones nodes: [NodeID: String] = [:]
    ) -> FrontendChanges {
        var touched: Set<ObjectName> = []
        for change in changes { take(change, touched: &touched) }
        for (node, zone) in nodes where zones[node, default: ""] != zone {
            zones[node] = zone.isEmpty ? nil : zone
            touched.formUnion(distributed)
        }
        var result = FrontendChanges()
        for key in touched.reduce(into: Set(), { $0.formUnion(merge($1)) }).sorted() {
            let winner = claims[key]?.min()
            let frontend = winner.flatMap { merged[$0]?[key] }
            guard frontend != published[key] else { continue }
            published[key] = frontend
            if let frontend { result.upserts.append(frontend) } else { result.deletes.append(key) }
        }
        return result
    }

    /// Forgets a cluster that left the mesh.
    public mutating func remove(cluster: ClusterID) -> FrontendChanges {
        var gone: [ServiceChange] = []
        for (name, view) in views {
            if view.services[cluster] != nil {
                gone.append(ServiceChange(cluster: cluster, .serviceDeleted(name)))
            }
            for slice in (view.slices[cluster] ?? [:]).keys {
                gone.append(ServiceChange(cluster: cluster, .sliceDeleted(slice)))
            }
        }
        return update(gone)
    }

    private mutating func take(_ change: ServiceChange, touched: inout Set<ObjectName>) {
        let cluster = change.cluster
        switch change.content {
        case .service(let record):
            if cluster == own { setDerived(record.object, record, touched: &touched) }
            views[record.object, default: ServiceView()].services[cluster] = record
            touched.insert(record.object)
        case .serviceDeleted(let name):
            if cluster == own { setDerived(name, nil, touched: &touched) }
            views[name]?.services[cluster] = nil
            touched.insert(name)
        case .slice(let record):
            let slice = SliceID(cluster: cluster, object: record.object)
            let service = ObjectName(namespace: record.object.namespace, name: record.service)
            if let former = serviceOfSlice[slice], former != service {
                views[former]?.slices[cluster]?[slice.object] = nil
                touched.insert(former)
            }
            serviceOfSlice[slice] = service
            views[service, default: ServiceView()].slices[cluster, default: [:]][slice.object] =
                record
            touched.insert(service)
        case .sliceDeleted(let object):
            let slice = SliceID(cluster: cluster, object: object)
            guard let service = serviceOfSlice.removeValue(forKey: slice) else { return }
            views[service]?.slices[cluster]?[object] = nil
            touched.insert(service)
        }
    }

    /// A service of the own cluster stands for another one of the whole mesh, or no longer does.
    private mutating func setDerived(
        _ name: ObjectName, _ record: ServiceRecord?, touched: inout Set<ObjectName>
    ) {
        let target = record.flatMap { record in
            record.derivedFrom.isEmpty
                ? nil : ObjectName(namespace: name.namespace, name: record.derivedFrom)
        }
        if let former = targetOfDerived.removeValue(forKey: name), former != target {
            views[former]?.derived = nil
            touched.insert(former)
        }
        guard let target else { return }
        targetOfDerived[name] = target
        views[target, default: ServiceView()].derived = record
        touched.insert(target)
    }

    /// Merges one service anew and returns the frontends that it has or had.
    private mutating func merge(_ service: ObjectName) -> Set<FrontendKey> {
        if let view = views[service], view.isEmpty { views[service] = nil }
        let before = merged[service] ?? [:]
        let isDistributed = views[service]?.isDistributed(own: own) ?? false
        if isDistributed { distributed.insert(service) } else { distributed.remove(service) }
        let after =
            views[service]?.frontends(own: own, node: node, zones: isDistributed ? zones : [:])
            ?? [:]
        merged[service] = after.isEmpty ? nil : after
        for key in before.keys where after[key] == nil {
            claims[key]?.remove(service)
            if claims[key]?.isEmpty == true { claims[key] = nil }
        }
        for key in after.keys { claims[key, default: []].insert(service) }
        return Set(before.keys).union(after.keys)
    }
}

/// A service that loses an address to another one of its cluster.
public struct ServiceContest: Hashable, Sendable, CustomStringConvertible {
    public let service: ObjectName
    public let frontend: FrontendKey
    public let owner: ObjectName

    /// Without the service's name.
    public var description: String {
        "\(frontend) belongs to service \(owner); give one of them another cluster IP or port"
    }
}
