// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshLab
import MeshModel

/// Manifests as benchmarks write them.
enum ManifestText {
    /// Numbers of service addresses start here; a lab's own services have lower ones.
    private static let firstService: UInt64 = 256

    /// Global services `s1`…, each with one backend on the cluster's first node if it is to have one.
    static func services(
        _ count: Int, in cluster: LabPlan.Cluster, hasBackends: Bool
    ) throws -> String {
        let base = try first(cluster.serviceCIDRs)
        let backend = try first(cluster.nodes[0].podPrefixes).advanced(by: 100)
        var text = ""
        for number in 1...count {
            let address = base.advanced(by: firstService + UInt64(number))
            text += """
                ---
                apiVersion: v1
                kind: Service
                metadata: {name: s\(number), annotations: {service.cilium.io/global: "true"}}
                spec:
                  clusterIP: \(address)
                  ports: [{port: 80, targetPort: 8080}]

                """
            if hasBackends {
                text += "---\n"
                text += slice(
                    "s\(number)", of: "s\(number)", [backend], node: cluster.nodes[0].name)
            }
        }
        return text
    }

    /// An EndpointSlice with these endpoints, all ready.
    static func slice(
        _ name: String, of service: String, _ addresses: [Address], node: String
    ) -> String {
        """
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata: {name: \(name), labels: {kubernetes.io/service-name: \(service)}}
        addressType: IPv4
        ports: [{port: 8080}]
        endpoints:

        """ + addresses.map { "- {addresses: [\($0)], nodeName: \(node)}\n" }.joined()
    }

    static func first(_ prefixes: [String]) throws -> Address {
        guard let prefix = prefixes.lazy.compactMap({ Prefix($0) }).first(where: \.isIPv4) else {
            throw LabError(.failed, "\(prefixes) has no IPv4 prefix")
        }
        return prefix.address
    }
}
