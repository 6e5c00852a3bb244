// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

@testable import MeshPolicy

@Suite("CiliumNetworkPolicy, what meshes use of it")
struct CiliumPolicyTests {
    private static let ping = PolicyTraffic(protocolNumber: PolicyTraffic.icmp, port: 8)

    /// Sections of a policy for all pods of a namespace, and whether a web pod's TCP 80 gets in.
    @Test(
        "an empty rule means nobody, ports alone everyone, and denial beats everything",
        arguments: [
            ("ingress: []", true), ("ingress: [{}]", false),
            ("ingress: [{fromEndpoints: []}]", false),
            ("ingress: [{fromEndpoints: [{}]}]", true), ("ingressDeny: [{}]", false),
            ("ingress: [{toPorts: [{ports: [{port: \"80\"}]}]}]", true),
            ("ingress: [{toPorts: [{ports: [{port: \"80\", protocol: UDP}]}]}]", false),
            ("ingress: [{toPorts: [{ports: [{port: \"70\", endPort: 90, protocol: ANY}]}]}]", true),
            ("ingress: [{toPorts: [{ports: [{port: \"0\", protocol: TCP}]}]}]", true),
            ("ingress: [{fromEntities: [all]}]\ningressDeny: [{fromEndpoints: [{}]}]", false),
            ("ingressDeny: [{fromEndpoints: [{matchLabels: {app: other}}]}]", false),
            (
                "ingressDeny: [{fromEndpoints: [{matchLabels: {app: other}}]}]\n"
                    + "enableDefaultDeny: {ingress: false}", true
            ),
            ("enableDefaultDeny: {ingress: true}", false),
            ("egress: [{}]", true), ("ingress: [{fromEntities: [cluster]}]", true),
            ("ingress: [{fromEntities: [world, none]}]", false),
        ])
    func rules(_ sections: String, allowed: Bool) throws {
        let fixture = try PolicyFixture(ciliumPolicy("endpointSelector: {}\n\(sections)"))
        #expect(try fixture.allows(.ingress, db, web, tcp80) == allowed)
    }

    @Test("its denials beat what other policies of the tier accept")
    func denials() throws {
        let deny = ciliumPolicy(
            "endpointSelector: {}\ningressDeny: [{fromEndpoints: [{matchLabels: {app: web}}]}]")
        let fixture = try PolicyFixture(networkPolicy("podSelector: {}\ningress: [{}]") + deny)
        let decision = try fixture.decide(.ingress, db, web, tcp80)
        #expect("\(decision)" == "denied: CiliumNetworkPolicy shop/mesh, spec.ingressDeny[0]")
        #expect(try fixture.allows(.ingress, db, .pod(["app": "batch"]), tcp80))
    }

    /// A selector, and which it means of: shop east, pay east (of team blue), shop west.
    @Test(
        "selectors mean the policy's namespace unless they name another, and clusters by label",
        arguments: [
            ("{}", "ynn"), ("{matchLabels: {\"k8s:io.kubernetes.pod.namespace\": pay}}", "nyn"),
            ("{matchLabels: {\"k8s:io.cilium.k8s.namespace.labels.team\": blue}}", "nyn"),
            ("{matchLabels: {\"k8s:io.cilium.k8s.policy.cluster\": west}}", "nny"),
            ("{matchExpressions: [{key: io.cilium.k8s.policy.cluster, operator: Exists}]}", "yny"),
            ("{matchLabels: {\"any:app\": web}}", "ynn"),
            ("{matchLabels: {\"reserved:host\": \"\"}}", "nnn"),
        ])
    func selectors(_ selector: String, expected: String) throws {
        let fixture = try PolicyFixture(
            ciliumPolicy("endpointSelector: {}\ningress: [{fromEndpoints: [\(selector)]}]"))
        let peers: [PolicyPeer] = [
            web, .pod(["app": "web"], in: "pay", team: "blue"), .pod(["app": "web"], of: "west"),
        ]
        let answers = try peers.map { try fixture.allows(.ingress, db, $0, tcp80) ? "y" : "n" }
        #expect(answers.joined() == expected)
    }

    @Test("a cluster-wide policy selects in all namespaces, and its empty selector every endpoint")
    func clusterwide() throws {
        let fixture = try PolicyFixture(
            ciliumPolicy(
                "endpointSelector: {matchLabels: {app: db}}\ningress: [{fromEndpoints: [{}]}]",
                clusterwide: true))
        let subject = Principal.pod(["app": "db"], in: "pay")
        #expect(try fixture.allows(.ingress, subject, web, tcp80))
        #expect(try !fixture.allows(.ingress, subject, .world, at: "192.0.2.1", tcp80))
        #expect(try !fixture.allows(.ingress, subject, .remoteNode, tcp80))
    }

    @Test("address blocks mean the world only, entities by family if they say")
    func blocks() throws {
        let fixture = try PolicyFixture(
            ciliumPolicy(
                """
                endpointSelector: {}
                egress:
                - toCIDRSet: [{cidr: 10.0.0.0/8, except: [10.1.0.0/16]}]
                - toCIDR: [192.0.2.1]
                - toEntities: [world-ipv6]
                """))
        func allows(_ peer: PolicyPeer, _ address: String) throws -> Bool {
            try fixture.allows(.egress, db, peer, at: address, tcp80)
        }
        #expect(try allows(.world, "10.2.0.1"))
        #expect(try !allows(.world, "10.1.0.1"))
        #expect(try allows(.world, "192.0.2.1"))
        #expect(try !allows(.world, "192.0.2.2"))
        #expect(try allows(.world, "2001:db8::1"))
        #expect(try !allows(web, "10.2.0.1"))
        #expect(try !allows(.remoteNode, "10.2.0.1"))
    }

    @Test("entity cluster means this cluster's endpoints and the nodes of every cluster")
    func clusterEntity() throws {
        let fixture = try PolicyFixture(
            ciliumPolicy("endpointSelector: {}\ningress: [{fromEntities: [cluster]}]"))
        #expect(try fixture.allows(.ingress, db, .remoteNode, tcp80))
        #expect(try fixture.allows(.ingress, db, .health, tcp80))
        #expect(try fixture.allows(.ingress, db, .initializing, tcp80))
        #expect(try !fixture.allows(.ingress, db, .pod(of: "west"), tcp80))
        #expect(try !fixture.allows(.ingress, db, .world, at: "192.0.2.1", tcp80))
    }

    @Test("ICMP rules mean types of a family, and no ports")
    func icmp() throws {
        let fixture = try PolicyFixture(
            ciliumPolicy(
                """
                endpointSelector: {}
                ingress: [{icmps: [{fields: [{type: EchoRequest}, {family: IPv6, type: 128}]}]}]
                """))
        #expect(try fixture.allows(.ingress, db, web, Self.ping))
        #expect(
            try fixture.allows(
                .ingress, db, web, PolicyTraffic(protocolNumber: PolicyTraffic.icmpv6, port: 128)))
        #expect(
            try !fixture.allows(
                .ingress, db, web, PolicyTraffic(protocolNumber: PolicyTraffic.icmp, port: 0)))
        #expect(try !fixture.allows(.ingress, db, web, PolicyTraffic(.tcp, 8)))
    }
}
