// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes
import MeshModel
import MeshStore

/// The container behind an endpoint, as its runtime names it.
struct Sandbox: Hashable, Sendable {
    let container: String
    /// Nil if the runtime knows no pod.
    let podUID: String?

    /// Whether a pod object is the one that this container was made for, and not of another one that
    /// had the name before or has it by now.
    func belongs(to pod: PodManifest) -> Bool {
        guard let podUID, let uid = pod.uid else { return true }
        return podUID == uid
    }
}

extension StateCore {
    /// What this node says of its endpoints.
    ///
    /// - Parameter pods: what is said of a pod, the word that counts first.
    /// - Returns: also those that a runtime had attached and that no object says anything of yet:
    ///   without labels they would be judged as somebody else, so nobody is told of them.
    mutating func ownRecords(
        of endpoints: [ObjectName: OwnEndpoint], pods: (ObjectName) -> [PodManifest?]
    ) -> (known: [EndpointRecord], unlabelled: [EndpointRecord]) {
        var known: [EndpointRecord] = []
        var unlabelled: [EndpointRecord] = []
        var told: [ObjectName: Sandbox] = [:]
        for (object, endpoint) in endpoints {
            let pod = pods(object).lazy.compactMap(\.self)
                .first { endpoint.sandbox?.belongs(to: $0) ?? true }
            var record = EndpointRecord(
                object: object, node: configuration.node.name, addresses: endpoint.addresses,
                identity: Identity(rawValue: 0),
                labels: LocalWorkload.reported(
                    endpoint.labels.merging(pod?.labels ?? [:]) { $1 },
                    namedPorts: pod?.namedPorts ?? [], isAudited: pod?.isAudited ?? false))
            if let sandbox = endpoint.sandbox {
                if pod == nil {
                    guard sandboxes[object] == sandbox, let labels = toldLabels(record.key) else {
                        unlabelled.append(record)
                        continue
                    }
                    // Its pod is gone already: to its end it is what it was.
                    record = EndpointRecord(
                        object: object, node: record.node, addresses: record.addresses,
                        identity: record.identity, labels: labels)
                }
                told[object] = sandbox
            }
            known.append(record)
        }
        sandboxes = told
        return (known, unlabelled)
    }

    private func toldLabels(_ key: RecordKey) -> Labels? {
        ownReport.records[key].flatMap { try? EndpointRecord(encoded: $0.value) }?.labels
    }
}
