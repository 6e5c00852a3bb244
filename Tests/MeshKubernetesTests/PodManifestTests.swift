// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshPolicy
import Testing

@testable import MeshKubernetes

@Suite("A pod's manifest")
struct PodManifestTests {
    private func pod(_ yaml: String) throws -> PodManifest {
        let file = ManifestFile(bytes: Array(yaml.utf8))
        try #require(file.faults.isEmpty, "\(file.faults)")
        guard case .pod(_, let pod) = try #require(file.objects.values.first).content else {
            throw DecodingFault.invalid("no pod")
        }
        return pod
    }

    @Test("names ports of its containers and of those beside them for all its life")
    func ports() throws {
        let pod = try pod(
            """
            apiVersion: v1
            kind: Pod
            metadata: {name: a, labels: {app: db}, annotations: {weft.io/policy-audit: "true"}}
            spec:
              containers:
              - ports: [{name: http, containerPort: 8080}, {containerPort: 9090}]
              - ports: [{name: dns, containerPort: 53, protocol: UDP}]
              initContainers:
              - ports: [{name: never, containerPort: 1}]
              - restartPolicy: Always
                ports: [{name: mesh, containerPort: 15000}]
            """)
        #expect(
            pod.namedPorts == [
                NamedPort(name: "dns", transport: .udp, port: 53),
                NamedPort(name: "http", transport: .tcp, port: 8080),
                NamedPort(name: "mesh", transport: .tcp, port: 15000),
            ])
        #expect(pod.labels == ["app": "db"] && pod.isAudited)
    }

    @Test(
        "with a wrong port or annotation is refused with the place",
        arguments: [
            (
                "spec: {containers: [{ports: [{name: http, containerPort: 70000}]}]}",
                "spec.containers[0].ports[0].containerPort is 70000; must be 1...65535"
            ),
            (
                "spec: {containers: [{ports: [{name: http, containerPort: 1, protocol: ICMP}]}]}",
                "spec.containers[0].ports[0].protocol is \"ICMP\"; must be TCP, UDP or SCTP"
            ),
            (
                "spec: {containers: [{ports: [{name: a-name-that-is-too-long, containerPort: 1}]}]}",
                "spec.containers[0].ports[0].name is \"a-name-that-is-too-long\"; must be 1 to 15 of a-z, 0-9 and -"
            ),
        ])
    func wrong(_ spec: String, _ message: String) {
        let file = ManifestFile(
            bytes: Array("{apiVersion: v1, kind: Pod, metadata: {name: a}}\n".utf8).dropLast(2)
                + Array(", \(spec)}\n".utf8))
        #expect(file.faults.map(\.message) == [message])
    }

    @Test("whose audit annotation is neither true nor false is refused")
    func audit() {
        let file = ManifestFile(
            bytes: Array(
                """
                apiVersion: v1
                kind: Namespace
                metadata: {name: a, annotations: {weft.io/policy-audit: "yes"}}
                """.utf8))
        #expect(
            file.faults.map(\.message) == [
                "metadata.annotations[weft.io/policy-audit] is \"yes\"; must be \"true\" or \"false\""
            ])
    }
}
