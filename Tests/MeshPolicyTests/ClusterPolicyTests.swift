// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

@testable import MeshPolicy

@Suite("Admin and baseline policies")
struct ClusterPolicyTests {
    private static let everyone = "from: [{namespaces: {}}]"

    private static func rule(_ action: String, _ more: String = "") -> String {
        "ingress: [{action: \(action), \(everyone)\(more)}]"
    }

    /// Admin, standard and baseline policies, and what becomes of a connection.
    @Test(
        "the first tier that decides, decides; Pass leaves it to the next",
        arguments: [
            ("", "", "", true), ("Accept", "deny", "Deny", true),
            ("Deny", "allow", "Accept", false),
            ("Pass", "deny", "Accept", false), ("Pass", "allow", "Deny", true),
            ("Pass", "", "Deny", false), ("Pass", "", "Accept", true), ("Pass", "", "", true),
            ("", "deny", "Accept", false), ("", "", "Deny", false), ("", "allow", "Deny", true),
            ("", "", "Pass", true), ("Pass", "", "Pass", true),
        ])
    func tiers(_ admin: String, _ standard: String, _ baseline: String, allowed: Bool) throws {
        var yaml = ""
        if !admin.isEmpty { yaml += clusterPolicy("a", Self.rule(admin)) }
        if !standard.isEmpty {
            yaml += networkPolicy(
                "podSelector: {}\ningress: \(standard == "allow" ? "[{}]" : "[]")")
        }
        if !baseline.isEmpty { yaml += clusterPolicy("b", tier: "Baseline", Self.rule(baseline)) }
        #expect(try PolicyFixture(yaml).allows(.ingress, db, web, tcp80) == allowed)
    }

    @Test("in a tier lower priorities go first, then the order of the rules; Pass ends the tier")
    func order() throws {
        let yaml =
            clusterPolicy("late", priority: 20, Self.rule("Deny"))
            + clusterPolicy(
                "early", priority: 10,
                """
                ingress:
                - {name: first, action: Accept, \(Self.everyone), protocols: [{tcp: {destinationPort: {number: 80}}}]}
                - {action: Deny, \(Self.everyone), protocols: [{tcp: {destinationPort: {range: {start: 80, end: 81}}}}]}
                - {action: Pass, \(Self.everyone), protocols: [{tcp: {destinationPort: {number: 82}}}]}
                """)
        let fixture = try PolicyFixture(yaml)
        func decide(_ port: UInt16) throws -> String {
            "\(try fixture.decide(.ingress, db, web, PolicyTraffic(.tcp, port)))"
        }
        #expect(try decide(80) == "allowed: ClusterNetworkPolicy early, spec.ingress[0] (first)")
        #expect(try decide(81) == "denied: ClusterNetworkPolicy early, spec.ingress[1]")
        #expect(try decide(82) == "allowed: no policy decides")
        #expect(try decide(83) == "denied: ClusterNetworkPolicy late, spec.ingress[0]")
    }

    @Test("policies of equal priority are asked by name")
    func ties() throws {
        let yaml = clusterPolicy("b", Self.rule("Deny")) + clusterPolicy("a", Self.rule("Accept"))
        #expect(try PolicyFixture(yaml).allows(.ingress, db, web, tcp80))
    }

    @Test("they isolate nobody, and their rules mean endpoints or networks, never everyone")
    func noIsolation() throws {
        let fixture = try PolicyFixture(
            clusterPolicy(
                "a",
                """
                ingress: [{action: Deny, \(Self.everyone)}]
                egress: [{action: Deny, to: [{networks: [10.0.0.0/8]}]}]
                """))
        #expect(try fixture.allows(.ingress, db, .world, at: "192.0.2.1", tcp80))
        #expect(try fixture.allows(.ingress, db, .remoteNode, tcp80))
        // Pods of other clusters are meant if the setting, or the selector, says so.
        #expect(try fixture.allows(.ingress, db, .pod(of: "west"), tcp80))
        #expect(try !fixture.allows(.egress, db, web, at: "10.1.1.1", tcp80))
        #expect(try fixture.allows(.egress, db, .world, at: "192.0.2.1", tcp80))
    }

    @Test(
        "an unknown destination may have the name that a rule denies: nothing is allowed on trust")
    func unknownNames() throws {
        let fixture = try PolicyFixture(
            clusterPolicy(
                "a",
                "egress: [{action: Deny, to: [{namespaces: {}}], protocols: [{destinationNamedPort: sql}]}]"
            ), scope: .allClusters)
        let sql = [NamedPort(name: "sql", transport: .udp, port: 5432)]
        #expect(try !fixture.allows(.egress, db, .pod(ports: sql), PolicyTraffic(.udp, 5432)))
        #expect(try fixture.allows(.egress, db, .pod(ports: sql), PolicyTraffic(.tcp, 5432)))
        let unknown = try fixture.decide(.egress, db, .unknown, PolicyTraffic(.udp, 9))
        #expect(!unknown.allows && unknown.reason == .undetermined && unknown.dependsOnPeer)
        #expect(
            try fixture.allows(.egress, db, .unknown, PolicyTraffic(protocolNumber: 47, port: 0)))
    }

    @Test("AdminNetworkPolicy and its baseline are read as they were written for v1alpha1")
    func alpha1() throws {
        let version = "policy.networking.k8s.io/v1alpha1"
        let yaml =
            policy(
                "AdminNetworkPolicy", version, "name: a",
                """
                priority: 5
                subject: {pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: db}}}}
                ingress:
                - action: Allow
                  from: [{pods: {namespaceSelector: {matchLabels: {team: red}}, podSelector: {matchLabels: {app: web}}}}]
                  ports: [{portNumber: {protocol: TCP, port: 80}}, {portRange: {protocol: UDP, start: 5, end: 7}}, {namedPort: sql}]
                """)
            + policy(
                "BaselineAdminNetworkPolicy", version, "name: default",
                "subject: {namespaces: {}}\ningress: [{action: Deny, from: [{namespaces: {}}]}]")
        let fixture = try PolicyFixture(yaml)
        #expect(try fixture.allows(.ingress, db, web, tcp80))
        #expect(try fixture.allows(.ingress, db, web, PolicyTraffic(.udp, 7)))
        #expect(try !fixture.allows(.ingress, db, web, PolicyTraffic(.udp, 8)))
        #expect(try !fixture.allows(.ingress, db, .pod(["app": "web"], team: "blue"), tcp80))
        #expect(try !fixture.allows(.ingress, .pod(["app": "web"]), web, tcp80))
        let named = Principal.pod(
            ["app": "db"], ports: [NamedPort(name: "sql", transport: .sctp, port: 99)])
        #expect(try fixture.allows(.ingress, named, web, PolicyTraffic(.sctp, 99)))
        #expect(try !fixture.allows(.ingress, named, web, PolicyTraffic(.tcp, 99)))
    }
}
