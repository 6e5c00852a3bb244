// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshPolicy
import MeshStore
import Testing

@testable import MeshAgent

@Suite("What labels carry for policies")
struct PolicyLabelsTests {
    private static let ports = [
        NamedPort(name: "http", transport: .tcp, port: 8080),
        NamedPort(name: "dns", transport: .udp, port: 53),
        NamedPort(name: "dns", transport: .tcp, port: 53),
    ]

    @Test("a node's report says of an endpoint what its node needs, and pods can't make it up")
    func report() {
        let labels = LocalWorkload.reported(
            ["app": "db", "io.weft.ports": "http=TCP/1", "io.weft.policy-audit": "true"],
            namedPorts: Self.ports, isAudited: false)
        #expect(labels == ["app": "db", "io.weft.ports": "dns=TCP/53,dns=UDP/53,http=TCP/8080"])
        let workload = LocalWorkload(reported: labels)
        #expect(workload.labels == ["app": "db"] && !workload.isAudited)
        #expect(workload.namedPorts == Self.ports.sorted())
        let audited = LocalWorkload.reported([:], namedPorts: [], isAudited: true)
        #expect(LocalWorkload(reported: audited).isAudited)
    }

    @Test("a pod full of labels still says its ports")
    func full() {
        let many = Labels(uniqueKeysWithValues: (0..<80).map { ("l\($0)", "v") })
        let labels = LocalWorkload.reported(many, namedPorts: Self.ports, isAudited: true)
        #expect(labels.count == RecordLimit.labels)
        #expect(LocalWorkload(reported: labels).namedPorts.count == 3)
    }

    @Test("an identity carries the ports, whatever its labels are filtered to, and never the audit")
    func identity() throws {
        let selection = try IdentityLabels(include: ["app"], exclude: ["*"])
        let record = endpoint(
            "db", on: "a", "10.1.0.1",
            labels: LocalWorkload.reported(
                ["app": "db", "tier": "x"], namedPorts: Self.ports, isAudited: true))
        let labels = selection.labels(of: record, cluster: ClusterName(rawValue: "north")!)
        #expect(
            Set(labels.keys) == [
                "app", "io.weft.ports", "io.weft.cluster", IdentityLabels.namespace,
            ])
        let principal = Principal(identity: labels, cluster: ClusterName(rawValue: "south")!) {
            ["name": $0]
        }
        // The cluster is the number's, whatever the labels say.
        #expect(principal.cluster.rawValue == "south" && principal.namespace == "default")
        #expect(principal.labels == ["app": "db"] && principal.namedPorts == Self.ports.sorted())
        #expect(
            principal.namespaceLabels == [
                "name": "default", "kubernetes.io/metadata.name": "default",
            ])
    }

    @Test(
        "ports that no label can carry are left out, not cut in two",
        arguments: ["", "x", "a=TCP/x", "a=TCP/70000", "a=ICMP/1", "=/", "a=TCP/1=2"])
    func wrong(_ text: String) { #expect(NamedPort.list(text).isEmpty) }

    @Test("more ports than a label's value holds")
    func many() {
        let ports = (0..<100).map {
            NamedPort(name: "port-number-\($0)", transport: .tcp, port: UInt16($0 + 1))
        }
        let text = NamedPort.text(ports)
        #expect(text.utf8.count <= RecordLimit.text)
        let read = NamedPort.list(text)
        #expect(read.count > 30 && Set(read).isSubset(of: ports))
    }
}
