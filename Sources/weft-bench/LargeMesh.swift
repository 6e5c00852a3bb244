// SPDX-License-Identifier: Apache-2.0

import Crypto
import FoundationEssentials
import MeshJournal
import MeshLab
import MeshModel
import MeshReplication
import MeshTrust

/// Many clusters as one node holds them: a peer's file, an authority and a signed ledger each. Nobody
/// runs there unless somebody is put there; an agent that starts finds their state on its disk.
struct LargeMesh {
    /// Of the clusters' nodes. No route leads there but to who is put there: 198.18.0.0/15 is for
    /// benchmarks.
    static let underlay = Address(ipv4: 0xc612_0000)
    static let underlayLength: UInt8 = 16
    /// The lab's.
    static let (statePort, healthPort): (UInt16, UInt16) = (4790, 4791)

    let clusters: Int
    /// Of each.
    let endpoints: Int
    /// Global services that the clusters have, one each.
    var services = 200
    /// Of those, how many the node's cluster has as well: the others' clusters aren't in use.
    var shared = 200

    /// Endpoints of all.
    var count: Int { clusters * endpoints }

    /// The only node of the cluster with this number, counted from 0.
    static func node(_ number: Int) throws -> NodeID {
        guard let id = ClusterID(rawValue: UInt16(number + 2)),
            let node = NodeID(cluster: id, name: "c\(id)-1")
        else { throw LabError(.failed, "there is no cluster \(number)") }
        return node
    }

    /// One of those that each cluster has.
    static func endpoint(_ number: Int) -> ObjectName {
        ObjectName(namespace: "default", name: "web-7d4b9c5f6-\(number)")
    }

    static func address(_ number: Int) -> Address { underlay.advanced(by: UInt64(number) + 1) }

    /// - Parameters:
    ///   - node: its agent doesn't run.
    ///   - keys: the folder that gets the credentials of each cluster's node, in one of its name; nil
    ///     keeps none.
    func write(for node: LabPlan.Node, in lab: Lab, keys: String? = nil) throws {
        let manifests = lab.plan.manifestFolder(of: node)
        let folder = "\(manifests)/.."
        let own = try lab.plan.cluster(named: "alpha")
        try StagedFile(
            ManifestText.services(shared, in: own, hasBackends: false),
            for: "\(manifests)/many.yaml"
        ).place()
        let authorities = "\(folder)/authorities"
        try FileManager.default.createDirectory(
            atPath: authorities, withIntermediateDirectories: true)
        defer {
            do { try FileManager.default.removeItem(atPath: authorities) } catch {
                tell("\(authorities) stays: \(error)")
            }
        }
        let journal = try Journal.open("\(folder)/state/replicas.db", durability: .normal).journal
        for number in 0..<clusters {
            let node = try Self.node(number)
            let cluster = try LedgerCluster(
                node.cluster.rawValue, of: lab.plan.mesh, node: node.name, folder: authorities)
            if let keys {
                try FileManager.default.createDirectory(
                    atPath: keys, withIntermediateDirectories: true)
                try cluster.credentials.save(in: "\(keys)/\(node.name)")
            }
            let checkpoint = try ledger(of: cluster, number)
            try journal.write(
                JournalTransaction(
                    removedOwners: [cluster.id],
                    checkpoints: [
                        JournalCheckpoint(
                            owner: cluster.id, position: checkpoint.position,
                            header: checkpoint.header,
                            buckets: checkpoint.buckets.map {
                                JournalBucket(index: $0.index, bytes: $0.bytes)
                            }, replacesAll: true)
                    ]))
            try StagedFile(
                peer(cluster, number), for: "\(folder)/peers.d/\(cluster.name).yaml"
            ).place()
        }
        try journal.close()
    }

    private func prefix(_ number: Int) -> Address {
        Address(ipv4: 0x6440_0000 + UInt32(number) << 10)
    }

    private func peer(_ cluster: LedgerCluster, _ number: Int) throws -> String {
        let bundle = try cluster.authority.bundle.pem().replacing("\n", with: "\\n")
        return """
            name: \(cluster.name)
            id: \(cluster.id)
            addresses: ["\(Self.address(number)):\(Self.statePort)"]
            bundle: "\(bundle)"
            charter:
              podPrefixes: ["\(prefix(number))/22"]
              serviceCIDRs: ["10.202.0.0/16"]

            """
    }

    private func ledger(
        of cluster: LedgerCluster, _ number: Int
    ) throws -> ReplicaCheckpoint {
        var synchroniser = Synchroniser()
        var effects: [ReplicationEffect] = []
        synchroniser.add(
            owner: cluster.id, authority: try cluster.ledgerAuthority, into: &effects)
        synchroniser.open(try cluster.ledger(epoch: 1))
        try synchroniser.publish(records(of: cluster, number), into: &effects)
        guard let checkpoint = synchroniser.takeCheckpoint(of: cluster.id, whole: true) else {
            throw LabError(.failed, "cluster \(cluster.name) has no state")
        }
        return checkpoint
    }

    private func records(of cluster: LedgerCluster, _ number: Int) throws -> [LedgerChange] {
        let base = prefix(number)
        guard let network = Prefix("\(base)/22") else { throw LabError(.failed, "no prefix") }
        let node = try Self.node(number).name
        let service = "s\(number % services + 1)"
        var changes: [LedgerChange] = [
            .put(
                NodeRecord(
                    name: node,
                    outerAddresses: [Self.address(number)],
                    podPrefixes: [network], zone: "", isRelay: true)),
            .put(
                ServiceRecord(
                    object: ObjectName(namespace: "default", name: service),
                    addresses: [Address(ipv4: 0x0aca_0000 + UInt32(number) + 1)],
                    ports: [ServicePort(name: "", transport: .tcp, port: 80)], isGlobal: true,
                    isShared: true, affinity: .none, sessionAffinitySeconds: 0)),
            .put(
                SliceRecord(
                    object: ObjectName(namespace: "default", name: service), service: service,
                    ports: [ServicePort(name: "", transport: .tcp, port: 8080)],
                    endpoints: (0..<3).map {
                        SliceEndpoint(
                            addresses: [base.advanced(by: UInt64($0) + 1)], isReady: true,
                            isServing: true, isTerminating: false, node: node)
                    })),
        ]
        for local in 0..<4 {
            guard let identity = Identity(cluster: cluster.id, local: 256 + UInt32(local))
            else { throw LabError(.failed, "no identity") }
            changes.append(
                .put(
                    IdentityRecord(
                        identity: identity,
                        labels: [
                            "app": "app-\(local)", "io.kubernetes.pod.namespace": "default",
                            "io.weft.cluster": cluster.name.rawValue,
                        ])))
        }
        for endpoint in 0..<endpoints {
            changes.append(
                .put(
                    EndpointRecord(
                        object: Self.endpoint(endpoint),
                        node: node, addresses: [base.advanced(by: UInt64(endpoint) + 1)],
                        identity: Identity(
                            cluster: cluster.id, local: 256 + UInt32(endpoint % 4))
                            ?? Identity(rawValue: 0), labels: [:])))
        }
        return changes
    }
}
