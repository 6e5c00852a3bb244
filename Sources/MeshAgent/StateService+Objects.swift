// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes
import MeshLease
import MeshModel
import MeshReplication
import MeshStore

// MARK: The API server's objects

extension StateService {
    var wantsObjects: Bool { core.wantsObjects(at: .bootNow) }

    var wantsNodes: Bool { core.wantsNodes }

    /// Whether this node speaks for its cluster now.
    var isPublisher: Bool { core.isOpen }

    func setNodes(_ nodes: [String: MemberRecord]) {
        step { core, effects in core.setSeeds(nodes, into: &effects) }
    }

    func setPods(_ pods: [ObjectName: PodManifest]) {
        self.pods = pods
        endpointsChanged()
    }

    func setObjects(_ changes: [RecordKey: [UInt8]?]) {
        step { core, effects in core.setObjects(changes, at: .bootNow, into: &effects) }
    }

    /// Who exports services, in the order of `names`; empty while this node doesn't publish.
    func exporters(of names: [ObjectName]) -> [[ServiceExporter]] {
        guard core.isOpen else { return [] }
        let clusters = core.store.read { $0.clusters.rows }
        let clusterNames = Dictionary(uniqueKeysWithValues: clusters.map { ($0.id, $0.name) })
        return names.map { name in
            core.tables.merged.services(named: name).compactMap { cluster, record in
                clusterNames[cluster].map { ServiceExporter(cluster: $0, record: record) }
            }
        }
    }

    /// What the mesh exports, as this cluster's API server shall show it; nil while this node doesn't
    /// publish.
    ///
    /// - Parameter addresses: of the services that stand for imports here.
    func imports(addresses: [ObjectName: [Address]]) -> [ImportedService]? {
        guard core.isOpen, core.isComplete else { return nil }
        let merged = core.tables.merged
        let names = merged.exportedServices
        let clusters = core.store.read { $0.clusters.rows }
        let clusterNames = Dictionary(uniqueKeysWithValues: clusters.map { ($0.id, $0.name) })
        return zip(names, exporters(of: names)).compactMap { name, exporters in
            guard let exported = ExportedService(exporters) else { return nil }
            // Endpoints of a service with addresses need no objects: the datapath has them.
            let slices = exported.isHeadless ? merged.slices(named: name) : [:]
            return ImportedService(
                service: name, exported: exported,
                addresses: addresses[ImportPlan.derivedName(of: name)] ?? [],
                slices: slices.sorted { $0.key < $1.key }.flatMap { cluster, slices in
                    guard let owner = clusterNames[cluster], exported.clusters.contains(owner)
                    else { return [ImportedSlice]() }
                    return slices.map { slice in
                        let nodes = Set(slice.endpoints.map(\.node))
                        let zones = nodes.map { ($0, merged.zone(of: $0, in: cluster)) }
                        return ImportedSlice(
                            cluster: owner, record: slice,
                            zones: Dictionary(uniqueKeysWithValues: zones))
                    }
                })
        }
    }

    /// What this cluster's objects may claim.
    var objectRules: ObjectClaims.Rules {
        ObjectClaims.Rules(
            charter: core.configuration.charter.map { Charter($0) },
            peers: core.peers.map {
                ObjectClaims.Rules.Peer(name: $0.name.rawValue, podPrefixes: $0.podPrefixes)
            })
    }

    /// Services of the own cluster that lose an address to another one; none while this node doesn't publish.
    var serviceContests: [ServiceContest] { core.isOpen ? core.tables.merged.contests : [] }

    func dropObjects() {
        step { core, effects in core.dropObjects(into: &effects) }
    }
}
