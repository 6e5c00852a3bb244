// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshPolicy
import MeshStore

/// This node's endpoints, as policies select them. They don't wait for identities.
struct PolicySubjects {
    struct Subject: Hashable {
        let principal: Principal
        let isAudited: Bool
    }

    private let own: ClusterID
    private let cluster: ClusterName
    private(set) var all: [Address: Subject] = [:]
    private var endpointsSeen: UInt64 = 0
    private var namespacesSeen: UInt64 = 0

    init(own: ClusterID, cluster: ClusterName) {
        self.own = own
        self.cluster = cluster
    }

    /// Takes in what changed.
    ///
    /// - Returns: addresses that came, went or are selected otherwise.
    mutating func update(_ tables: MeshTables) -> Set<Address> {
        var addresses: Set<Address>
        if let changed = tables.endpoints.changedKeys(since: endpointsSeen) {
            addresses = Set(changed)
        } else {
            addresses = Set(all.keys)
            tables.endpoints.forEachBlock(of: .max) { rows in
                for row in rows where row.local != nil { addresses.insert(row.address) }
            }
        }
        if let namespaces = tables.namespaces.changedKeys(since: namespacesSeen) {
            let names = Set(namespaces.filter { $0.cluster == own }.map(\.name))
            if !names.isEmpty {
                for (address, subject) in all where names.contains(subject.principal.namespace) {
                    addresses.insert(address)
                }
            }
        } else {
            addresses.formUnion(all.keys)
        }
        endpointsSeen = tables.endpoints.revision
        namespacesSeen = tables.namespaces.revision
        var changed: Set<Address> = []
        for address in addresses {
            let found = tables.endpoints[address].flatMap { subject($0, tables) }
            guard all[address] != found else { continue }
            all[address] = found
            changed.insert(address)
        }
        return changed
    }

    private func subject(_ row: EndpointRow, _ tables: MeshTables) -> Subject? {
        guard row.local != nil, let object = row.object, let workload = row.workload
        else { return nil }
        let namespace = tables.namespaces[
            NamespaceName(cluster: own, name: object.namespace)]
        return Subject(
            principal: Principal(
                workload: workload, namespace: object.namespace, cluster: cluster,
                namespaceLabels: namespace?.labels ?? [:]),
            isAudited: workload.isAudited || namespace?.isAudited ?? false)
    }
}
