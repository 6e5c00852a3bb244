// SPDX-License-Identifier: Apache-2.0

import MeshModel

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
    },
    FuzzTarget("watch") {
        watches.map { Array($0.utf8) }
    } check: { bytes in
        let whole = watchEvents(bytes, pieces: bytes.count + 1)
        try demand(whole == watchEvents(bytes, pieces: 3), "pieces make other events")
        for case .bookmark(let version, _) in whole {
            try demand(!version.isEmpty && version.utf8.count <= 128, "version \(version)")
        }
        if let value = try? JSONValue(bytes) {
            try demand((try? JSONValue(value.bytes)) == value, "written and read back, not alike")
        }
        if let page = try? ObjectPage(bytes) {
            try demand(page.objects.allSatisfy { !$0.name.name.isEmpty }, "a nameless object")
        }
    },
    FuzzTarget("kubeconfig") {
        [Array(kubeconfig.utf8)]
    } check: { bytes in
        var message = ""
        do throws(KubernetesError) {
            _ = try Kubeconfig(bytes: bytes, folder: "/")
        } catch {
            message = error.message
        }
        try demand(!message.contains("s3cret"), "a secret in \(message)")
    },
]

/// Until something can't be read.
private func watchEvents(_ bytes: [UInt8], pieces: Int) -> [WatchEvent] {
    var decoder = WatchDecoder()
    var events: [WatchEvent] = []
    for byte in stride(from: 0, to: bytes.count, by: pieces) {
        let found = decoder.decode(bytes[byte..<min(byte + pieces, bytes.count)])
        events += found.events
        guard found.fault == nil else { break }
    }
    return events
}

private let watches = [
    """
    {"type":"ADDED","object":{"kind":"Pod","metadata":{"name":"a","namespace":"b",\
    "resourceVersion":"7","annotations":{"x":"\\ud83e\\uddf5"}},"spec":{"n":[1,2.5e3,null]}}}
    {"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9","annotations":\
    {"k8s.io/initial-events-end":"true"}}}}
    {"type":"ERROR","object":{"kind":"Status","reason":"Expired","code":410}}

    """,
    """
    {"kind":"PodList","metadata":{"resourceVersion":"7","continue":"eyJ2"},"items":[{"metadata":\
    {"name":"a","namespace":"b","resourceVersion":"3"}}]}
    """,
]

private let kubeconfig = """
    current-context: c
    contexts: [{name: c, context: {cluster: a, user: b}}]
    clusters: [{name: a, cluster: {server: "https://h:1", tls-server-name: k}}]
    users: [{name: b, user: {token: s3cret, client-key-data: S0VZ}}]
    """

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
