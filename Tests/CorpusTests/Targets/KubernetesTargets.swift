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
    """
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: db, namespace: shop}
    spec:
      podSelector: {matchLabels: {app: db}}
      ingress:
      - from:
        - podSelector: {matchExpressions: [{key: app, operator: In, values: [web, batch]}]}
          namespaceSelector: {}
        - ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.128/25]}
        ports: [{port: pg}, {protocol: UDP, port: 6000, endPort: 6010}]
    ---
    apiVersion: policy.networking.k8s.io/v1alpha2
    kind: ClusterNetworkPolicy
    metadata: {name: guard}
    spec:
      tier: Admin
      priority: 7
      subject: {namespaces: {}}
      egress:
      - action: Pass
        to: [{networks: ["2001:db8::/32"]}]
        protocols: [{tcp: {destinationPort: {range: {start: 1, end: 9}}}}]
    ---
    apiVersion: cilium.io/v2
    kind: CiliumNetworkPolicy
    metadata: {name: mesh}
    spec:
      endpointSelector: {}
      ingressDeny: [{fromEndpoints: [{matchLabels: {"k8s:io.cilium.k8s.policy.cluster": b}}]}]
      ingress: [{fromEntities: [world], toPorts: [{ports: [{port: "80", endPort: 90}]}]}]
      egress: [{icmps: [{fields: [{family: IPv6, type: 128}]}]}]
    """,
]
