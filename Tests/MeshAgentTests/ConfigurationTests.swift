// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshPolicy
import MeshTrust
import Testing

@testable import MeshAgent

/// A configuration that is right in every line; tests replace one.
let rightConfiguration = """
    mesh: example
    cluster: {name: north, id: 1}
    node: {name: a, zone: z1}
    publisher: b
    nodes:
      - {name: b, address: 192.0.2.2}
      - {name: a, address: 192.0.2.1}
    underlay: {address: 192.0.2.1, interface: eth0}
    podPrefixes: ["10.1.0.0/24", "fd00:1::/64"]
    paths:
      state: /var/lib/weft
      bpf: /sys/fs/bpf/weft
      cgroup: /sys/fs/cgroup
      run: /run/weft
      manifests: /etc/weft/manifests
      peers: /etc/weft/peers.d
      trust: /etc/weft/trust

    """

/// One line of a right file made wrong, and what the message must say.
struct WrongLine: Sendable, CustomTestStringConvertible {
    let line: String
    let wrong: String
    let says: [String]

    init(_ line: String, _ wrong: String, says: String...) {
        self.line = line
        self.wrong = wrong
        self.says = says
    }

    var testDescription: String { wrong.isEmpty ? "without \(line)" : wrong }
}

@Suite("The configuration file")
struct ConfigurationTests {
    private static func read(_ text: String) throws -> AgentConfiguration {
        let folder = try TemporaryFolder()
        return try AgentConfiguration(file: try folder.write("weft.yaml", text))
    }

    @Test("says what it says, and what it doesn't is the default")
    func right() throws {
        let configuration = try Self.read(rightConfiguration)
        #expect(configuration.clusterName.rawValue == "north")
        #expect(configuration.node == own && configuration.zone == "z1")
        #expect(configuration.members.map(\.name) == ["a", "b"], "sorted")
        #expect(!configuration.mayPublish && configuration.publisher.lease == .fixed)
        #expect(configuration.imports == .everything)
        #expect(configuration.policy == PolicySettings())
        #expect(configuration.identityLabels == .standard)
        #expect(configuration.podPrefixes == prefixes("10.1.0.0/24", "fd00:1::/64"))
        #expect(configuration.ports == AgentConfiguration.Ports())
        #expect(configuration.healthProfile == .default && configuration.flowEvents)
        #expect(configuration.capacityFile == nil, "its processors")
        #expect(configuration.metricsPort == nil && configuration.pagePort == 4793)
        #expect(configuration.paths.trust == "/etc/weft/trust")
    }

    @Test("may ask for a charter of its own, and says who decides about trust")
    func charter() throws {
        let configuration = try Self.read(
            rightConfiguration
                + "ports: {enrolment: 7}\ncharter: {podPrefixes: [10.1.0.0/16], "
                + "namespaces: ['*', '!kube-*'], quota: {services: 7}}\n")
        #expect(configuration.home == "b" && !configuration.isHome)
        #expect(configuration.ports.enrolment == 7)
        let charter = try #require(configuration.charter)
        #expect(charter.podPrefixes == prefixes("10.1.0.0/16"))
        #expect(charter.namespaces == ["!kube-*", "*"] && charter.quota.services == 7)
        #expect(throws: ConfigurationError.self) {
            try Self.read(rightConfiguration + "charter: {podPrefixes: []}\n")
        }
        #expect(throws: ConfigurationError.self) {
            try Self.read(rightConfiguration + "ports: {enrolment: 4790}\n")
        }
    }

    @Test("may name ports, profile and metrics")
    func options() throws {
        let configuration = try Self.read(
            rightConfiguration
                + "ports: {state: 1, vxlan: 2}\nhealth: {profile: fast}\nflowEvents: false\n"
                + "metricsPort: 9100\ncapacity: {file: /run/gpu-slots}\n"
                + "metrics: {compatibility: cilium}\n"
                + "policy: {scope: allClusters, denied: reject, openFlows: keep}\n")
        #expect(configuration.ports == AgentConfiguration.Ports(state: 1, health: 4791, vxlan: 2))
        #expect(configuration.healthProfile == .fast && !configuration.flowEvents)
        #expect(configuration.metricsPort == 9100)
        #expect(try Self.read(rightConfiguration + "pagePort: 9\n").pagePort == 9)
        #expect(try Self.read(rightConfiguration + "pagePort: 0\n").pagePort == nil)
        #expect(throws: ConfigurationError.self) {
            try Self.read(rightConfiguration + "metricsPort: 4793\n")
        }
        #expect(configuration.metrics.compatibility == .cilium)
        #expect(configuration.capacityFile == "/run/gpu-slots")
        #expect(
            configuration.policy
                == PolicySettings(scope: .allClusters, denied: .reject, openFlows: .keep))
    }

    @Test("may name an API server for objects, and for the publisher's lease")
    func kubernetes() throws {
        #expect(try Self.read(rightConfiguration).kubernetes == nil)
        let inside = try Self.read(
            rightConfiguration.replacing(
                "publisher: b", with: "publisher: {candidates: [b, a], lease: kubernetes}")
                + "kubernetes: {inCluster: true, nodeName: ip-10-0-0-1}\n")
        #expect(inside.publisher.lease == .kubernetes)
        #expect(
            inside.kubernetes
                == KubernetesSettings(
                    source: .inCluster(folder: nil), server: nil, nodeName: "ip-10-0-0-1"))
        let elsewhere = try Self.read(
            rightConfiguration + "kubernetes: {inCluster: true, serviceAccountFolder: /sa}\n")
        #expect(elsewhere.kubernetes?.source == .inCluster(folder: "/sa"))
        let outside = try Self.read(
            rightConfiguration
                + "kubernetes: {kubeconfig: /etc/k.conf, apiServer: 'https://192.0.2.1:6443'}\n")
        #expect(
            outside.kubernetes
                == KubernetesSettings(
                    source: .kubeconfig(path: "/etc/k.conf"), server: "https://192.0.2.1:6443",
                    nodeName: "a"))
        for wrong in [
            "{}", "{inCluster: false}", "{inCluster: true, kubeconfig: /k}", "{kubeconfig: k}",
            "{inCluster: true, apiServer: '192.0.2.1'}", "{inCluster: true, nodeName: 'a b'}",
            "{inCluster: true, serviceAccountFolder: sa}",
            "{kubeconfig: /k, serviceAccountFolder: /sa}",
        ] {
            let error = try #require(
                #expect(throws: ConfigurationError.self, "\(wrong)") {
                    try Self.read(rightConfiguration + "kubernetes: \(wrong)\n")
                })
            #expect(error.message.hasPrefix("kubernetes"))
        }
        #expect(throws: ConfigurationError.self, "a lease needs a server to be in") {
            try Self.read(
                rightConfiguration.replacing(
                    "publisher: b", with: "publisher: {candidates: [b, a], lease: kubernetes}"))
        }
    }

    @Test(
        "with a wrong line is refused: file, field and what is wrong",
        arguments: [
            WrongLine("mesh: example", "mesh: Ex_ample", says: "mesh", "Ex_ample"),
            WrongLine("mesh: example", "", says: "mesh is missing"),
            WrongLine("id: 1}", "id: 0}", says: "cluster.id", "0", "1 to 4095"),
            WrongLine("id: 1}", "id: 4096}", says: "cluster.id", "4096"),
            WrongLine("id: 1}", "id: -1}", says: "cluster.id", "-1"),
            WrongLine("id: 1}", "id: one}", says: "cluster.id"),
            WrongLine("{name: north, id: 1}", "{name: north}", says: "cluster.id is missing"),
            WrongLine("name: north", "name: North", says: "cluster.name", "North"),
            WrongLine(
                "name: north", "name: n123456789012345678901234567890xx", says: "cluster.name"),
            WrongLine("node: {name: a", "node: {name: 'a b'", says: "node.name", "a b"),
            WrongLine("node: {name: a", "node: {name: c", says: "nodes", "'c'", "add it"),
            WrongLine("publisher: b", "publisher: c", says: "publisher", "'c'", "nodes"),
            WrongLine("name: b, address: 192.0.2.2", "name: a, address: 192.0.2.2", says: "twice"),
            WrongLine("name: b, address: 192.0.2.2", "name: b, address: 192.0.2.1", says: "twice"),
            WrongLine(
                "address: 192.0.2.2}", "address: 192.0.2.256}", says: "nodes", "192.0.2.256"),
            WrongLine(
                "underlay: {address: 192.0.2.1", "underlay: {address: host",
                says: "underlay.address", "host"),
            WrongLine("10.1.0.0/24", "10.1.0.0/33", says: "podPrefixes", "10.1.0.0/33"),
            WrongLine(
                "\"fd00:1::/64\"", "10.1.0.128/25", says: "podPrefixes", "10.1.0.128/25",
                "overlaps", "10.1.0.0/24"),
            WrongLine("state: /var/lib/weft", "state: weft", says: "paths.state", "weft", "/"),
            WrongLine("trust: /etc/weft/trust", "trust: ''", says: "paths.trust"),
            WrongLine("trust: /etc/weft/trust", "", says: "paths.trust is missing"),
            WrongLine("mesh: example", "mesh: [", says: "not YAML", "3:1"),
            WrongLine("mesh: example", "ports: {state: 70000}\nmesh: x", says: "ports.state"),
            WrongLine("mesh: example", "ports: {state: 0}\nmesh: x", says: "ports.state", "0"),
            WrongLine(
                "mesh: example", "ports: {health: 4791, vxlan: 4791}\nmesh: x", says: "ports.vxlan",
                "4791"),
            WrongLine(
                "mesh: example", "capacity: {file: x}\nmesh: x", says: "capacity.file", "'x'"),
            WrongLine(
                "mesh: example", "metrics: {compatibility: calico}\nmesh: x",
                says: "metrics.compatibility: 'calico' must be none or cilium"),
            WrongLine("mesh: example", "capacity: {}\nmesh: x", says: "capacity.file is missing"),
            WrongLine(
                "mesh: example", "policy: {denied: refuse}\nmesh: x", says: "policy.denied",
                "'refuse'", "drop or reject"),
            WrongLine("publisher: b", "publisher: {lease: etcd}", says: "candidates or authority"),
            WrongLine(
                "publisher: b", "publisher: {candidates: [b], authority: c}",
                says: "candidates or authority"),
            WrongLine(
                "publisher: b", "publisher: {authority: b, lease: kubernetes}",
                says: "'b' must be a DNS name that no node has"),
            WrongLine(
                "publisher: b", "publisher: {authority: c}", says: "needs publisher.lease"),
            WrongLine(
                "publisher: b", "publisher: {authority: c, lease: kubernetes}",
                says: "kubernetes is missing"),
            WrongLine(
                "publisher: b",
                "kubernetes: {inCluster: true}\npublisher: {authority: c, lease: kubernetes}",
                says: "charter.podPrefixes is missing"),
            WrongLine(
                "mesh: example", "join: {token: /t}\nmesh: x", says: "join", "belong together"),
            WrongLine(
                "mesh: example", "join: {token: t, bundle: /b}\nmesh: x", says: "join.token", "'t'"),
            WrongLine(
                "mesh: example", "join: {token: /t, bundle: /b}\nmesh: x",
                says: "join", "where the authority is"),
            WrongLine(
                "mesh: example", "join: {token: /t, bundle: /b, addresses: [home:1]}\nmesh: x",
                says: "join.addresses", "'home:1'"),
            WrongLine(
                "mesh: example", "join: {token: /t, bundle: /b, service: a}\nmesh: x",
                says: "join.service", "namespace/name"),
            WrongLine(
                "mesh: example", "join: {token: /t, bundle: /b, service: a/b}\nmesh: x",
                says: "kubernetes is missing; join.service"),
            WrongLine(
                "mesh: example", "join: {serviceAccount: weft}\nmesh: x",
                says: "join.serviceAccount", "namespace:name"),
            WrongLine(
                "mesh: example", "join: {serviceAccount: 'a:b'}\nmesh: x",
                says: "kubernetes is missing; join.serviceAccount"),
        ])
    func wrong(line: WrongLine) throws {
        let text = rightConfiguration.replacing(line.line, with: line.wrong)
        try #require(text != rightConfiguration)
        let error = #expect(throws: ConfigurationError.self) { try Self.read(text) }
        let message = try #require(error).description
        #expect(message.contains("weft.yaml:"))
        for part in line.says { #expect(message.contains(part), "\(message)") }
    }

    @Test(
        "that is empty, a list or not there is refused with its name", arguments: ["", "[]", "x"])
    func noMap(text: String) throws {
        let error = try #require(#expect(throws: ConfigurationError.self) { try Self.read(text) })
        #expect(error.description.contains("weft.yaml:"))
        #expect(!error.message.hasPrefix(":") && !error.message.isEmpty, "\(error)")
    }

    @Test("that is not there, or too large, says so")
    func unreadable() throws {
        let missing = #expect(throws: ConfigurationError.self) {
            try AgentConfiguration(file: "/nonexistent/weft.yaml")
        }
        #expect(missing?.description.hasPrefix("/nonexistent/weft.yaml: can't be read") == true)
        let large = rightConfiguration + String(repeating: "# filling\n", count: 110_000)
        let error = #expect(throws: ConfigurationError.self) { try Self.read(large) }
        #expect(error?.description.contains("is larger than 1048576 bytes") == true)
    }
}
