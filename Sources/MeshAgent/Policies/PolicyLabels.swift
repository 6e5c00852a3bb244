// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes
import MeshModel
import MeshPolicy
import MeshStore

// How labels carry what policies go by: in a node's report of an endpoint, and in an identity.

extension LocalWorkload {
    /// Labels of an endpoint's report.
    init(reported labels: Labels) {
        self.init(
            labels: labels.filter { !$0.key.hasPrefix(IdentityLabels.ownPrefix) },
            namedPorts: NamedPort.list(labels[IdentityLabels.ports] ?? ""),
            isAudited: labels[IdentityLabels.audit] != nil)
    }

    /// Labels of an endpoint's report: its own, as many as a record can carry, and what the mesh adds.
    static func reported(
        _ labels: Labels, namedPorts: [NamedPort], isAudited: Bool
    ) -> Labels {
        var added: Labels = [:]
        if !namedPorts.isEmpty { added[IdentityLabels.ports] = NamedPort.text(namedPorts) }
        if isAudited { added[IdentityLabels.audit] = "true" }
        return labels.filter { !$0.key.hasPrefix(IdentityLabels.ownPrefix) }
            .limited(to: RecordLimit.labels - added.count)
            .merging(added) { $1 }
    }
}

extension NamedPort {
    /// As many as fit into a label's value, sorted: `dns=UDP/53,http=TCP/8080`. A name that doesn't
    /// fit is one that nobody has.
    static func text(_ ports: [NamedPort]) -> String {
        var text = ""
        for port in ports.sorted() {
            let next = (text.isEmpty ? "" : ",") + "\(port.name)=\(port.transport)/\(port.port)"
            guard text.utf8.count + next.utf8.count <= RecordLimit.text else { break }
            text += next
        }
        return text
    }

    /// Leaves out what isn't as ``text(_:)`` writes it.
    static func list(_ text: String) -> [NamedPort] {
        text.split(separator: ",").compactMap { item in
            let parts = item.split { $0 == "=" || $0 == "/" }
            guard parts.count == 3, let port = UInt16(parts[2]),
                let transport = TransportProtocol.allCases.first(where: { "\($0)" == parts[1] })
            else { return nil }
            return NamedPort(name: String(parts[0]), transport: transport, port: port)
        }
    }
}

extension Principal {
    private static let namespaceNameLabel = "kubernetes.io/metadata.name"

    /// - Parameters:
    ///   - cluster: whose endpoint it is; what the labels say of it isn't asked.
    ///   - namespaceLabels: of the namespace's record; it may have none.
    init(
        workload: LocalWorkload, namespace: String, cluster: ClusterName, namespaceLabels: Labels
    ) {
        self.init(
            cluster: cluster, namespace: namespace,
            namespaceLabels: namespaceLabels.merging([Self.namespaceNameLabel: namespace]) { $1 },
            labels: workload.labels, namedPorts: workload.namedPorts)
    }

    /// Of an identity's labels.
    init(
        identity labels: Labels, cluster: ClusterName, namespaceLabels: (String) -> Labels
    ) {
        let namespace = labels[IdentityLabels.namespace] ?? ""
        var workload = labels
        workload[IdentityLabels.namespace] = nil
        self.init(
            workload: LocalWorkload(reported: workload), namespace: namespace, cluster: cluster,
            namespaceLabels: namespaceLabels(namespace))
    }
}
