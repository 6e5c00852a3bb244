// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// The plan's objects as Kubernetes writes them. Every string is quoted, as JSON is YAML.
struct LabManifests {
    let plan: LabPlan

    /// File names and contents of everything in a cluster, as its API server has it.
    func files(of cluster: LabPlan.Cluster) -> [String: String] {
        var files: [String: String] = [:]
        for node in cluster.nodes {
            for (name, text) in self.files(of: node, in: cluster) {
                files["\(node.name)-\(name)"] = text
            }
        }
        return files
    }

    /// What there is of Weft's own in a cluster whose authority is no node.
    ///
    /// - Parameter pods: of the agents.
    func system(of cluster: LabPlan.Cluster, pods: [String]) -> String {
        let name = quote(LabAPIServer.authorityService)
        let namespace = quote(LabAccount.namespace)
        let addresses = cluster.authorityNodes.map {
            "  - {addresses: [\(quote($0.underlay))], nodeName: \(quote($0.name))}\n"
        }
        return join(
            [
                """
                apiVersion: v1
                kind: Namespace
                metadata: {name: \(namespace)}

                """,
                """
                apiVersion: v1
                kind: ConfigMap
                metadata: {name: weft-roots, namespace: \(namespace)}

                """,
                """
                apiVersion: v1
                kind: Service
                metadata: {name: \(name), namespace: \(namespace)}
                spec:
                  clusterIP: None
                  clusterIPs: [None]
                  ports: [{name: enrolment, protocol: TCP, port: \(LabConfigurations.enrolmentPort)}]

                """,
                """
                apiVersion: discovery.k8s.io/v1
                kind: EndpointSlice
                metadata:
                  name: \(name)
                  namespace: \(namespace)
                  labels: {"kubernetes.io/service-name": \(name)}
                addressType: IPv4
                ports: [{name: enrolment, protocol: TCP, port: \(LabConfigurations.enrolmentPort)}]
                endpoints:

                """ + addresses.joined(),
            ] + pods)
    }

    /// File names and contents of a node's manifests: its own pods, and on the first node of a
    /// cluster everything that is the cluster's.
    func files(of node: LabPlan.Node, in cluster: LabPlan.Cluster) -> [String: String] {
        var files = ["pods.yaml": join(pods(of: node, in: cluster))]
        files["node.yaml"] = object(node)
        if node == cluster.first {
            files["namespaces.yaml"] = join(namespaces(of: cluster))
            for service in plan.services where service.addresses[cluster.name] != nil {
                files["service-\(service.objectNamespace)-\(service.name).yaml"] = join(
                    [object(service, in: cluster)] + slices(of: service, in: cluster))
            }
        }
        return files.filter { !$0.value.isEmpty }
    }

    private func object(_ node: LabPlan.Node) -> String {
        let prefixes = node.podPrefixes.map(quote)
        return """
            apiVersion: v1
            kind: Node
            metadata:
              name: \(quote(node.name))
              labels: \(flow(["topology.kubernetes.io/zone": node.zone]))
            spec:
              podCIDR: \(prefixes.first ?? "null")
              podCIDRs: [\(prefixes.joined(separator: ", "))]
            status:
              addresses:
              - {type: InternalIP, address: \(quote(node.underlay))}

            """
    }

    private func pods(of node: LabPlan.Node, in cluster: LabPlan.Cluster) -> [String] {
        cluster.endpoints.filter { $0.node == node.name }.map { endpoint in
            """
            apiVersion: v1
            kind: Pod
            metadata:
              name: \(quote(endpoint.name))
              namespace: \(quote(endpoint.objectNamespace))
              labels: \(flow(endpoint.labels))
            spec:
              nodeName: \(quote(node.name))
            status:
              podIP: \(quote(endpoint.addresses.first ?? ""))

            """
        }
    }

    private func namespaces(of cluster: LabPlan.Cluster) -> [String] {
        let names = Set(
            cluster.endpoints.map(\.objectNamespace) + plan.services.map(\.objectNamespace))
        return names.sorted().map { name in
            """
            apiVersion: v1
            kind: Namespace
            metadata:
              name: \(quote(name))

            """
        }
    }

    private func object(_ service: LabPlan.Service, in cluster: LabPlan.Cluster) -> String {
        let addresses = service.addresses[cluster.name] ?? []
        var annotations = ["service.cilium.io/global": "\(service.isGlobal)"]
        if service.isGlobal { annotations["service.cilium.io/affinity"] = service.affinity }
        let ports = service.ports.map {
            "    - {name: \(quote($0.name)), protocol: \($0.transport), port: \($0.port), "
                + "targetPort: \($0.targetPort)}\n"
        }
        let affinity =
            service.sessionAffinitySeconds == 0
            ? ""
            : """
              sessionAffinity: ClientIP
              sessionAffinityConfig: {clientIP: {timeoutSeconds: \(service.sessionAffinitySeconds)}}

            """
        return """
            apiVersion: v1
            kind: Service
            metadata:
              name: \(quote(service.name))
              namespace: \(quote(service.objectNamespace))
              annotations: \(flow(annotations))
            spec:
              clusterIP: \(quote(addresses.first ?? "None"))
              clusterIPs: [\(addresses.map(quote).joined(separator: ", "))]
              selector: \(flow(service.selector))
              ports:

            """ + ports.joined() + affinity
    }

    /// One slice a family, as Kubernetes makes them.
    private func slices(
        of service: LabPlan.Service, in cluster: LabPlan.Cluster
    ) -> [String] {
        let members = cluster.endpoints.filter { endpoint in
            endpoint.objectNamespace == service.objectNamespace
                && service.selector.allSatisfy { endpoint.labels[$0.key] == $0.value }
        }
        return [true, false].compactMap { isIPv4 -> String? in
            let endpoints = members.compactMap { endpoint -> String? in
                guard
                    let address = endpoint.addresses.first(where: {
                        Address($0)?.isIPv4 == isIPv4
                    })
                else { return nil }
                return "  - {addresses: [\(quote(address))], nodeName: \(quote(endpoint.node)), "
                    + "conditions: {ready: true, serving: true, terminating: false}, "
                    + "targetRef: {kind: Pod, name: \(quote(endpoint.name))}}\n"
            }
            guard !endpoints.isEmpty else { return nil }
            let ports = service.ports.map {
                "  - {name: \(quote($0.name)), protocol: \($0.transport), port: \($0.targetPort)}\n"
            }
            let family = isIPv4 ? "IPv4" : "IPv6"
            return """
                apiVersion: discovery.k8s.io/v1
                kind: EndpointSlice
                metadata:
                  name: \(quote("\(service.name)-\(family.lowercased())"))
                  namespace: \(quote(service.objectNamespace))
                  labels: \(flow(["kubernetes.io/service-name": service.name]))
                addressType: \(family)
                ports:

                """ + ports.joined() + "endpoints:\n" + endpoints.joined()
        }
    }

    private func join(_ documents: [String]) -> String { documents.joined(separator: "---\n") }
}

/// The agent's pod of a node, in its host's network.
struct LabPod {
    let node: LabPlan.Node
    let uid: String

    static func name(on node: LabPlan.Node) -> String { "weft-\(node.name)" }

    var manifest: String {
        """
        apiVersion: v1
        kind: Pod
        metadata:
          name: \(quote(Self.name(on: node)))
          namespace: \(quote(LabAccount.namespace))
          uid: \(quote(uid))
        spec:
          nodeName: \(quote(node.name))
          hostNetwork: true
          serviceAccountName: \(quote(LabAccount.agent.name))
        status: {podIP: \(quote(node.underlay))}

        """
    }
}

/// A JSON string, which is a YAML string whatever it holds.
func quote(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": result += "\\\""
        case "\\": result += "\\\\"
        case "\n": result += "\\n"
        case _ where scalar.value < 0x20:
            let digits = String(scalar.value, radix: 16)
            result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result + "\""
}

/// `{"a": "b"}` with sorted keys.
private func flow(_ map: [String: String]) -> String {
    let pairs = map.sorted { $0.key < $1.key }.map { "\(quote($0.key)): \(quote($0.value))" }
    return "{\(pairs.joined(separator: ", "))}"
}
