// SPDX-License-Identifier: Apache-2.0

import Crypto
import FoundationEssentials
import MeshJournal
import MeshLab
import MeshModel
import MeshReplication
import MeshTrust

/// Many clusters as one node holds them: a peer's file, an authority and a signed ledger each. Nobody
/// runs there; an agent that starts finds their state on its disk.
struct LargeMesh {
    /// Global services that each cluster has, so many clusters each.
    private static let services = 200

    let clusters: Int
    /// Of each.
    let endpoints: Int

    /// Endpoints of all.
    var count: Int { clusters * endpoints }

    /// - Parameter node: its agent doesn't run.
    func write(for node: LabPlan.Node, in lab: Lab) throws {
        let manifests = lab.plan.manifestFolder(of: node)
        let folder = "\(manifests)/.."
        let own = try lab.plan.cluster(named: "alpha")
        try StagedFile(
            ManifestText.services(Self.services, in: own, hasBackends: false),
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
            let cluster = try LedgerCluster(
                UInt16(number + 2), of: lab.plan.mesh, folder: authorities)
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
        // TEST-NET-2 and -3: no route leads there.
        let relay = Address(ipv4: 0xc633_6400 + UInt32(number % 250) + 1)
        return """
            name: \(cluster.name)
            id: \(cluster.id)
            addresses: ["\(relay):\(4790 + number / 250)"]
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
        let node = "\(cluster.name)-1"
        let service = "s\(number % Self.services + 1)"
        var changes: [LedgerChange] = [
            .put(
                NodeRecord(
                    name: node,
                    outerAddresses: [Address(ipv4: 0xc612_0000 + UInt32(number) + 1)],
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
                        object: ObjectName(
                            namespace: "default", name: "web-7d4b9c5f6-\(endpoint)"),
                        node: node, addresses: [base.advanced(by: UInt64(endpoint) + 1)],
                        identity: Identity(
                            cluster: cluster.id, local: 256 + UInt32(endpoint % 4))
                            ?? Identity(rawValue: 0), labels: [:])))
        }
        return changes
    }
}
