// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

@testable import MeshKubernetes

private func problems(_ yaml: String) -> [String] {
    ManifestFile(bytes: Array(yaml.utf8)).faults.map { "\($0.line): \($0.message)" }
}

private func serviceRecord(_ yaml: String) throws -> ServiceRecord {
    let file = ManifestFile(bytes: Array(yaml.utf8))
    try #require(file.faults.isEmpty, "\(file.faults)")
    let object = try #require(file.objects.values.first)
    guard case .record(_, let encoded) = object.content else {
        throw Unexpected(description: "kind")
    }
    return try ServiceRecord(encoded: encoded)
}

@Suite("A manifest")
struct ManifestParsingTests {
    @Test("of a Service yields addresses, ports, affinity and how clusters share it")
    func fullService() throws {
        let record = try serviceRecord(
            """
            # A comment, a field nobody knows and both families.
            apiVersion: v1
            kind: Service
            metadata:
              name: echo
              namespace: shop
              annotations:
                service.cilium.io/global: "true"
                service.cilium.io/affinity: local
                weft.io/affinity: remote
                kubectl.kubernetes.io/last-applied-configuration: '{"a": "*b"}'
            spec:
              clusterIP: 10.96.0.1
              clusterIPs: [10.96.0.1, "fd00:96::1"]
              futureField: {nobody: knows}
              sessionAffinity: ClientIP
              sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}
              ports:
              - {name: http, port: 80, targetPort: web}
              - name: dns
                port: 53
                protocol: UDP
              - {name: dns-tcp, port: 53, protocol: TCP}
            """)
        #expect(record.object == ObjectName(namespace: "shop", name: "echo"))
        #expect(record.addresses.map(\.description) == ["10.96.0.1", "fd00:96::1"])
        #expect(
            record.ports == [
                ServicePort(name: "http", transport: .tcp, port: 80),
                ServicePort(name: "dns", transport: .udp, port: 53),
                ServicePort(name: "dns-tcp", transport: .tcp, port: 53),
            ])
        #expect(record.isGlobal && record.isShared && record.affinity == .remote)
        #expect(record.sessionAffinitySeconds == 60)
    }

    @Test(
        "of a headless Service, its slice and its export yields what other clusters are told of it")
    func exportedService() throws {
        let yaml =
            service(
                ip: "None", ports: "[{name: http, port: 80, appProtocol: kubernetes.io/h2c}]",
                more: "ipFamilies: [IPv6, IPv4]")
            + slice(
                ports: "[{name: http, port: 8080, appProtocol: http}]",
                "{addresses: [10.1.0.1], hostname: echo-0}")
                + """
                ---
                apiVersion: multicluster.x-k8s.io/v1beta1
                kind: ServiceExport
                metadata: {name: echo, creationTimestamp: "2026-11-22T12:32:16Z"}
                spec:
                  exportedLabels: {tier: front}
                  exportedAnnotations: {example.com/a: b c}
                """
        let found = try changes(yaml, cluster: 1).map(\.content)
        for case .service(let record) in found {
            #expect(record.headlessFamilies == [.ipv6, .ipv4] && record.families.count == 2)
            #expect(record.ports.map(\.application) == ["kubernetes.io/h2c"])
            #expect(record.exportedAt == 1_795_350_736)
            #expect(record.exportedMetadata.labels == ["tier": "front"])
            #expect(record.exportedMetadata.annotations == ["example.com/a": "b c"])
        }
        for case .slice(let record) in found {
            #expect(record.ports.map(\.application) == ["http"])
            #expect(record.endpoints.map(\.hostname) == ["echo-0"])
        }
        #expect(found.count == 2)
        let eldest = yaml.replacing("2026-11-22T12:32:16Z", with: "1970-01-01T00:00:00Z")
        let exports = try changes(eldest, cluster: 1).map(\.content).compactMap { content in
            if case .service(let record) = content { record.exportedAt } else { nil }
        }
        #expect(exports == [1])
    }

    @Test(
        "of a Service is global and shared as its annotations say, ours before the incumbent's",
        arguments: [
            ("{}", false, false),
            (#"{service.cilium.io/global: "true"}"#, true, true),
            (
                #"{service.cilium.io/global: "true", service.cilium.io/shared: "false"}"#, true,
                false
            ),
            (#"{service.cilium.io/shared: "true"}"#, false, false),
            (#"{weft.io/global: "true", service.cilium.io/global: "false"}"#, true, true),
            (#"{weft.io/global: "false", service.cilium.io/global: "true"}"#, false, false),
            (#"{weft.io/shared: "false", service.cilium.io/global: 'true'}"#, true, false),
        ])
    func sharing(annotations: String, isGlobal: Bool, isShared: Bool) throws {
        let record = try serviceRecord(service(annotations: annotations))
        #expect(record.isGlobal == isGlobal && record.isShared == isShared)
    }

    @Test("of a headless Service has no address, of an ExternalName one no record")
    func addressless() throws {
        #expect(try serviceRecord(service(ip: "None", ports: "[]")).addresses == [])
        let external = ManifestFile(
            bytes: Array(
                """
                {apiVersion: v1, kind: Service, metadata: {name: a},
                 spec: {type: ExternalName, externalName: example.com}}
                """.utf8))
        #expect(external.objects.isEmpty && external.ignored == ["v1 Service": 1])
    }

    @Test("of a Service without a time-out keeps a client three hours")
    func defaultTimeout() throws {
        #expect(
            try serviceRecord(service(more: "sessionAffinity: ClientIP")).sessionAffinitySeconds
                == 10_800)
    }

    @Test(
        "of a slice reads conditions as Kubernetes defines them",
        arguments: [
            ("{}", true, true, false),
            ("null", true, true, false),
            ("{ready: null}", true, true, false),
            ("{ready: false}", false, false, false),
            ("{ready: true, serving: false}", true, false, false),
            ("{ready: false, serving: true, terminating: true}", false, true, true),
            ("{terminating: true}", true, true, true),
        ])
    func conditions(text: String, ready: Bool, serving: Bool, terminating: Bool) throws {
        let file = ManifestFile(bytes: Array(slice(endpoint("10.1.0.1", text)).utf8))
        guard case .record(_, let encoded) = try #require(file.objects.values.first).content
        else { throw Unexpected(description: "kind") }
        let endpoint = try #require(try SliceRecord(encoded: encoded).endpoints.first)
        #expect(endpoint.isReady == ready)
        #expect(endpoint.isServing == serving)
        #expect(endpoint.isTerminating == terminating)
    }

    @Test("may be JSON, with tabs")
    func json() throws {
        let record = try serviceRecord(
            """
            {
            \t"apiVersion": "v1", "kind": "Service",
            \t"metadata": {"name": "echo", "annotations": {"a\\/b": "\\u00e9"}},
            \t"spec": {"clusterIP": "10.96.0.1", "ports": [{"port": 80}]}
            }
            """)
        #expect(record.ports == [ServicePort(name: "", transport: .tcp, port: 80)])
    }

    @Test("may be a list, and hold empty documents and kinds of others")
    func list() {
        let file = ManifestFile(
            bytes: Array(
                """
                ---
                # nothing
                ---
                apiVersion: v1
                kind: List
                items:
                - {apiVersion: v1, kind: Namespace, metadata: {name: shop}}
                - {apiVersion: apps/v1, kind: Deployment, metadata: {name: a}}
                - {apiVersion: v1, kind: Pod, metadata: {name: a, labels: {app: echo}}}
                ---
                {apiVersion: serving.knative.dev/v1, kind: Service, metadata: {name: other}}
                ---
                {apiVersion: apps/v1, kind: Deployment, metadata: {name: b}}
                ---
                {apiVersion: v1, kind: Node, metadata: {name: n1, labels: {zone: "1"}}}
                ...
                """.utf8))
        #expect(file.faults == [])
        #expect(
            file.objects.keys.sorted().map(\.description) == [
                "Namespace shop", "Node n1", "Pod default/a",
            ])
        #expect(
            file.ignored == ["apps/v1 Deployment": 2, "serving.knative.dev/v1 Service": 1])
    }

    @Test("of a pod has the UID that runtimes are told, also of one that its node has from a file")
    func uid() throws {
        let file = ManifestFile(
            bytes: Array(
                """
                {apiVersion: v1, kind: Pod, metadata: {name: a, uid: 0-1}}
                ---
                apiVersion: v1
                kind: Pod
                metadata: {name: b, uid: 0-2, annotations: {kubernetes.io/config.mirror: 7f}}
                """.utf8))
        #expect(file.faults == [])
        let uids = file.objects.values.compactMap { object -> String? in
            if case .pod(_, let pod) = object.content { pod.uid } else { nil }
        }
        #expect(uids.sorted() == ["0-1", "7f"])
    }

    @Test("may use a few aliases")
    func aliases() throws {
        let file = ManifestFile(
            bytes: Array(
                """
                {apiVersion: v1, kind: Pod, metadata: {name: a, labels: &l {app: echo}}}
                ---
                {apiVersion: v1, kind: Pod, metadata: {name: b, labels: *l}}
                """.utf8))
        #expect(file.faults == [])
        let pods = file.objects.values.map(\.content)
        #expect(
            pods.contains(
                .pod(
                    ObjectName(namespace: "default", name: "b"),
                    PodManifest(labels: ["app": "echo"]))))
    }
}

@Suite("A wrong manifest is reported with its line and what to do:")
struct ManifestProblemTests {
    @Test("one field", arguments: WrongManifest.all)
    func field(wrong: WrongManifest) {
        #expect(problems(wrong.yaml) == [wrong.problem])
    }

    @Test("several objects, each on its own")
    func several() {
        let yaml = service("a", ip: "x") + service("b") + service("c", ip: "y")
        #expect(
            problems(yaml) == [
                "8: spec.clusterIP is \"x\", which is no IP address",
                "28: spec.clusterIP is \"y\", which is no IP address",
            ])
    }

    @Test("an object twice in a file")
    func twice() {
        #expect(
            problems(service() + service()) == [
                "12: Service default/echo is declared twice, first in line 2; remove one"
            ])
    }

    @Test(
        "no YAML at all",
        arguments: [
            ("a: b\n c: d", 2), ("a: [b\n\n", 3), ("a: *b", 1), ("\u{1}", 1), ("a: b\na: c", 1),
            ("a: {\n  b: c\n", 3), ("%YAML 9.9\n---\na", 1), ("---\n\tb: c", 2),
        ])
    func syntax(yaml: String, line: Int) {
        let found = problems(yaml)
        #expect(found.count == 1)
        #expect(found.first?.hasPrefix("\(line): ") == true, "\(found)")
    }

    @Test("bytes that are no UTF-8")
    func encoding() {
        #expect(ManifestFile(bytes: [0xff, 0xfe]).faults.map(\.line) == [0])
    }

    @Test("a file or a list that is too long")
    func size() {
        let large = [UInt8](repeating: UInt8(ascii: "#"), count: ManifestFile.maximumBytes + 1)
        #expect(
            ManifestFile(bytes: large).faults.map(\.message) == [
                "the file is larger than 4 MiB; split it"
            ])
        let many = String(repeating: "---\n{apiVersion: a, kind: b}\n", count: 10_001)
        #expect(
            problems(many).map { $0.split(separator: ":")[1] } == [
                " has more than 10000 objects; split the file"
            ])
    }

    @Test("an alias bomb, before it explodes, also as a key")
    func bomb() {
        var lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
        for level in 1...9 {
            let former = Array(repeating: "*a\(level - 1)", count: 9).joined(separator: ", ")
            lines.append("a\(level): &a\(level) [\(former)]")
        }
        lines.append("? *a9\n: x")
        #expect(
            problems(lines.joined(separator: "\n")).map { $0.prefix(24) } == [
                "3: too many YAML aliases"
            ])
    }

    @Test(
        "a file nested too deeply",
        arguments: ["[", "{a: ", "- ", "? ", "- [", "!!seq [", "&a ["])
    func nesting(opener: String) {
        #expect(!problems(String(repeating: opener, count: 100_000)).isEmpty)
    }
}
