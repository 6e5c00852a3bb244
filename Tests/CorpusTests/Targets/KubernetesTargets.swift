// SPDX-License-Identifier: Apache-2.0

@testable import MeshKubernetes

let kubernetesTargets: [FuzzTarget] = [
    FuzzTarget("manifest") {
        manifests.map { Array($0.utf8) }
    } check: { bytes in
        let (first, second) = (ManifestFile(bytes: bytes), ManifestFile(bytes: bytes))
        try demand(
            first.objects == second.objects && first.ignored == second.ignored
                && first.faults == second.faults, "read twice, and not alike")
        try demand(
            first.faults.count <= ManifestFile.maximumFaults, "\(first.faults.count) faults")
        try demand(
            first.objects.count <= ManifestFile.maximumDocuments,
            "\(first.objects.count) objects")
        for (key, object) in first.objects {
            try demand(object.key == key, "\(object.key) stands under \(key)")
        }
    }
]

private let manifests = [
    """
    apiVersion: v1
    kind: Service
    metadata:
      name: echo
      namespace: default
      annotations: {weft.io/global: "true", service.cilium.io/affinity: local}
    spec:
      clusterIPs: [10.96.0.7, "fd00::7"]
      sessionAffinity: ClientIP
      sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}
      ports:
      - {name: web, port: 80, protocol: TCP}
      - {name: dns, port: 53, protocol: UDP}
    ---
    apiVersion: discovery.k8s.io/v1
    kind: EndpointSlice
    metadata: {name: echo-1, labels: {kubernetes.io/service-name: echo}}
    addressType: IPv4
    ports: [{name: web, port: 8080}]
    endpoints:
    - addresses: [10.1.0.3]
      nodeName: node-1
      conditions: {ready: true, serving: true, terminating: false}
    """,
    """
    apiVersion: v1
    kind: List
    items:
    - {apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: &l {team: a}}}
    - {apiVersion: v1, kind: Pod, metadata: {name: web-0, namespace: shop, labels: *l}}
    - {apiVersion: v1, kind: Node, metadata: {name: node-1, labels: {zone: "1"}}}
    - {apiVersion: apps/v1, kind: Deployment, metadata: {name: web}}
    """,
    """
    {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "headless"},
     "spec": {"clusterIP": "None", "ports": []}}
    """,
]
