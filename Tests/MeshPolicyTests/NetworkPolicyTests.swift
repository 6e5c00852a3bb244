// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes
import MeshModel
import Testing

@testable import MeshPolicy

@Suite("NetworkPolicy v1, point by point")
struct NetworkPolicyTests {
    @Test("1: it selects pods of its own namespace and cluster, and an empty selector all of them")
    func subjects() throws {
        let all = try PolicyFixture(networkPolicy("podSelector: {}"))
        #expect(try !all.allows(.ingress, db, web, tcp80))
        #expect(try !all.allows(.ingress, .pod(), web, tcp80))
        #expect(try all.allows(.ingress, .pod(in: "pay"), web, tcp80))
        #expect(try all.allows(.ingress, .pod(of: "west"), web, tcp80))
        let some = try PolicyFixture(networkPolicy("podSelector: {matchLabels: {app: db}}"))
        #expect(try !some.allows(.ingress, db, web, tcp80))
        #expect(try some.allows(.ingress, .pod(["app": "web"]), web, tcp80))
    }

    @Test("2: policies add up, in no order")
    func union() throws {
        let fixture = try PolicyFixture(
            networkPolicy("podSelector: {}\ningress: [{ports: [{port: 80}]}]")
                + policy(
                    "NetworkPolicy", "networking.k8s.io/v1", "namespace: shop, name: a",
                    "podSelector: {}\ningress: [{ports: [{port: 81}]}]"))
        #expect(try fixture.allows(.ingress, db, web, tcp80))
        #expect(try fixture.allows(.ingress, db, web, PolicyTraffic(.tcp, 81)))
        let decision = try fixture.decide(.ingress, db, web, PolicyTraffic(.tcp, 82))
        #expect(!decision.allows)
        #expect("\(decision)" == "denied: NetworkPolicy shop/a isolates it and no rule accepts")
    }

    /// What the policy says, and whether it isolates ingress and egress.
    @Test(
        "3, 4: a pod is isolated in the directions of the policies that select it",
        arguments: [
            ("podSelector: {}", true, false),
            ("podSelector: {}\negress: []", true, false),
            ("podSelector: {}\negress: [{ports: [{port: 9}]}]", true, true),
            ("podSelector: {}\npolicyTypes: [Egress]", false, true),
            (
                "podSelector: {}\npolicyTypes: [Egress]\ningress: [{ports: [{port: 9}]}]", false,
                true
            ),
            ("podSelector: {}\npolicyTypes: [Ingress, Egress]", true, true),
            ("podSelector: {}\npolicyTypes: []", true, false),
            (
                "podSelector: {matchLabels: {app: web}}\npolicyTypes: [Ingress, Egress]", false,
                false
            ),
        ])
    func isolation(_ spec: String, ingress: Bool, egress: Bool) throws {
        let fixture = try PolicyFixture(networkPolicy(spec))
        #expect(try fixture.allows(.ingress, db, web, tcp80) == !ingress)
        #expect(try fixture.allows(.egress, db, web, tcp80) == !egress)
    }

    @Test(
        "5: missing and empty lists of peers and ports mean all, a missing list of rules none",
        arguments: [
            ("ingress: []", false), ("ingress: [{}]", true), ("ingress: [{from: []}]", true),
            ("ingress: [{ports: []}]", true), ("ingress: [{from: [], ports: []}]", true),
            ("ingress:", false),
        ])
    func emptiness(_ ingress: String, allowed: Bool) throws {
        let fixture = try PolicyFixture(networkPolicy("podSelector: {}\n\(ingress)"))
        for traffic in [tcp80, PolicyTraffic(protocolNumber: 47, port: 0)] {
            #expect(try fixture.allows(.ingress, db, web, traffic) == allowed)
            #expect(
                try fixture.allows(.ingress, db, .world, at: "192.0.2.1", traffic) == allowed)
        }
    }

    /// A peer, and which of four pods it means: web in shop, web in pay, batch in shop, and batch in
    /// pay, whose namespace is team blue's.
    @Test(
        "6: selectors of one peer must both match, peers are alternatives",
        arguments: [
            ("[{podSelector: {matchLabels: {app: web}}}]", "yn nn"),
            ("[{podSelector: {}}]", "yn yn"),
            ("[{namespaceSelector: {matchLabels: {team: blue}}}]", "ny ny"),
            ("[{namespaceSelector: {}}]", "yy yy"),
            (
                "[{namespaceSelector: {matchLabels: {team: blue}}, podSelector: {matchLabels: "
                    + "{app: web}}}]", "ny nn"
            ),
            (
                "[{namespaceSelector: {matchLabels: {team: blue}}}, {podSelector: {matchLabels: "
                    + "{app: web}}}]", "yy ny"
            ),
            ("[{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: pay}}}]", "ny ny"),
            (
                "[{podSelector: {matchExpressions: [{key: app, operator: In, values: [web]}]}}]",
                "yn nn"
            ),
            (
                "[{podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [web]}]}}]",
                "nn yn"
            ),
            (
                "[{podSelector: {matchExpressions: [{key: x, operator: NotIn, values: [web]}]}}]",
                "yn yn"
            ),
            ("[{podSelector: {matchExpressions: [{key: app, operator: Exists}]}}]", "yn yn"),
            ("[{podSelector: {matchExpressions: [{key: app, operator: DoesNotExist}]}}]", "nn nn"),
        ])
    func peers(_ from: String, expected: String) throws {
        let fixture = try PolicyFixture(
            networkPolicy("podSelector: {}\ningress: [{from: \(from)}]"))
        let answers = try ["web", "batch"].map { app in
            try ["shop", "pay"].map { namespace in
                let peer = PolicyPeer.pod(
                    ["app": app], in: namespace, team: namespace == "pay" ? "blue" : "red")
                return try fixture.allows(.ingress, db, peer, tcp80) ? "y" : "n"
            }.joined()
        }
        #expect(answers.joined(separator: " ") == expected)
        #expect(try !fixture.allows(.ingress, db, .world, at: "192.0.2.1", tcp80))
    }

    /// Blocks, an address, and whether it is meant.
    @Test(
        "7: blocks hold for pods too, without their exceptions, unless another block has them",
        arguments: [
            ("[{ipBlock: {cidr: 10.0.0.0/8}}]", "10.1.2.3", true),
            ("[{ipBlock: {cidr: 10.0.0.0/8}}]", "11.1.2.3", false),
            ("[{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]", "10.1.2.3", false),
            ("[{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]", "10.2.2.3", true),
            (
                "[{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}, {ipBlock: {cidr: "
                    + "10.1.2.0/24}}]", "10.1.2.3", true
            ),
            ("[{ipBlock: {cidr: 0.0.0.0/0}}]", "10.1.2.3", true),
            ("[{ipBlock: {cidr: 0.0.0.0/0}}]", "fd00::1", false),
            ("[{ipBlock: {cidr: \"::/0\"}}]", "10.1.2.3", false),
            ("[{ipBlock: {cidr: \"::/0\"}}]", "fd00::1", true),
            ("[{ipBlock: {cidr: 10.1.2.3/32}}]", "10.1.2.3", true),
        ])
    func blocks(_ from: String, address: String, allowed: Bool) throws {
        let fixture = try PolicyFixture(
            networkPolicy("podSelector: {}\ningress: [{from: \(from)}]"))
        for peer in [web, .world, .remoteNode, .pod(of: "west")] {
            #expect(try fixture.allows(.ingress, db, peer, at: address, tcp80) == allowed)
        }
    }

    /// A port, and the traffic of six kinds that it means: TCP 80, 81, 90, UDP 80, SCTP 80, ICMP 8.
    @Test(
        "8: ports are numbers, ranges, names or whole protocols, TCP if it isn't said",
        arguments: [
            ("[{port: 80}]", "ynn nnn"), ("[{protocol: UDP, port: 80}]", "nnn ynn"),
            ("[{protocol: SCTP, port: 80}]", "nnn nyn"), ("[{port: 80, endPort: 89}]", "yyn nnn"),
            ("[{port: 80, endPort: 80}]", "ynn nnn"), ("[{}]", "yyy nnn"),
            ("[{protocol: UDP}]", "nnn ynn"), ("[{port: http}]", "nyn nnn"),
            ("[{port: http, protocol: UDP}]", "nnn ynn"), ("[{port: other}]", "nnn nnn"),
            ("[{port: 80}, {port: 90}]", "yny nnn"),
        ])
    func ports(_ ports: String, expected: String) throws {
        let fixture = try PolicyFixture(
            networkPolicy(
                """
                podSelector: {}
                policyTypes: [Ingress, Egress]
                ingress: [{ports: \(ports)}]
                egress: [{ports: \(ports)}]
                """))
        let names = [
            NamedPort(name: "http", transport: .tcp, port: 81),
            NamedPort(name: "http", transport: .udp, port: 80),
        ]
        let kinds = [
            tcp80, PolicyTraffic(.tcp, 81), PolicyTraffic(.tcp, 90), PolicyTraffic(.udp, 80),
            PolicyTraffic(.sctp, 80), PolicyTraffic(protocolNumber: PolicyTraffic.icmp, port: 8),
        ]
        // Names are the destination's, on whichever side the policy stands.
        let ingress = try kinds.map {
            try fixture.allows(.ingress, .pod(ports: names), web, $0) ? "y" : "n"
        }
        let egress = try kinds.map {
            try fixture.allows(.egress, db, .pod(ports: names), $0) ? "y" : "n"
        }
        let expectation = expected.filter { $0 != " " }
        #expect(ingress.joined() == expectation)
        #expect(egress.joined() == expectation)
        // The world names no ports.
        let isMeant = !ports.contains("http") && ingress[1] == "y"
        #expect(try fixture.allows(.egress, db, .world, PolicyTraffic(.tcp, 81)) == isMeant)
    }

    @Test("9: both sides must allow, each by the policies of its own cluster")
    func bothSides() throws {
        let sending = try PolicyFixture(
            networkPolicy("podSelector: {}\npolicyTypes: [Egress]\negress: [{ports: [{port: 80}]}]")
        )
        let receiving = try PolicyFixture(
            networkPolicy("podSelector: {}\ningress: [{ports: [{port: 81}]}]"))
        func trace(_ source: PolicyBook?, _ destination: PolicyBook?, _ port: UInt16) -> [Bool] {
            let trace = PolicyTrace(
                from: FlowEnd(.endpoint(db), at: Address("10.0.0.1")), governedBy: source,
                to: FlowEnd(.endpoint(.pod(["app": "web"])), at: Address("10.0.0.2")),
                governedBy: destination, traffic: PolicyTraffic(.tcp, port))
            return [trace.egress.allows, trace.ingress.allows, trace.allows]
        }
        #expect(trace(sending.book, receiving.book, 80) == [true, false, false])
        #expect(trace(sending.book, receiving.book, 81) == [false, true, false])
        #expect(trace(nil, receiving.book, 81) == [true, true, true])
        #expect(trace(sending.book, nil, 80) == [true, true, true])
    }

    @Test("10: an endpoint's own node always reaches it, and it reaches itself")
    func ownNode() throws {
        let fixture = try PolicyFixture(
            networkPolicy("podSelector: {}\npolicyTypes: [Ingress, Egress]"))
        #expect(try fixture.decide(.ingress, db, .host, tcp80).reason == .ownNode)
        #expect(try !fixture.allows(.egress, db, .host, tcp80))
        #expect(try !fixture.allows(.ingress, db, .remoteNode, tcp80))
        let itself = FlowEnd(.endpoint(db), at: Address("10.0.0.1"))
        let twin = FlowEnd(.endpoint(db), at: Address("10.0.0.2"))
        func allows(_ destination: FlowEnd) -> Bool {
            PolicyTrace(
                from: itself, governedBy: fixture.book, to: destination, governedBy: fixture.book,
                traffic: tcp80
            ).allows
        }
        #expect(allows(itself))
        #expect(!allows(twin))
    }

    @Test("11: a peer of whom nothing is known gets what everybody gets, and no more")
    func unknown() throws {
        let fixture = try PolicyFixture(
            networkPolicy(
                """
                podSelector: {}
                ingress: [{ports: [{port: 80}]}, {from: [{podSelector: {}}], ports: [{port: 81}]}]
                """))
        #expect(try fixture.decide(.ingress, db, .unknown, tcp80).allows)
        let possible = try fixture.decide(.ingress, db, .unknown, PolicyTraffic(.tcp, 81))
        #expect(!possible.allows && possible.dependsOnPeer)
        let impossible = try fixture.decide(.ingress, db, .unknown, PolicyTraffic(.tcp, 82))
        #expect(!impossible.allows && !impossible.dependsOnPeer)
    }

    @Test("an API server's list, as it was recorded, reads as the policy that it holds")
    func recorded() throws {
        let text = #"""
            {"kind":"NetworkPolicyList","apiVersion":"networking.k8s.io/v1","metadata":{"resourceVersion":"255"},
            "items":[{"metadata":{"name":"db-from-web","namespace":"shop","uid":"48705276-95c6-4e24-a30c-7ab8b992bb99",
            "resourceVersion":"244","generation":1,"creationTimestamp":"2026-11-22T12:32:14Z","managedFields":[{"manager":"weftd",
            "operation":"Update","apiVersion":"networking.k8s.io/v1","time":"2026-11-22T12:32:14Z","fieldsType":"FieldsV1",
            "fieldsV1":{"f:spec":{"f:egress":{},"f:ingress":{},"f:podSelector":{},"f:policyTypes":{}}}}]},
            "spec":{"podSelector":{"matchLabels":{"app":"db"}},"ingress":[{"ports":[{"protocol":"TCP","port":"pg"},
            {"protocol":"TCP","port":6000,"endPort":6010}],"from":[{"podSelector":{"matchExpressions":[{"key":"app",
            "operator":"In","values":["web","batch"]}]}},{"podSelector":{},"namespaceSelector":{"matchLabels":{"team":"pay"}}},
            {"ipBlock":{"cidr":"192.0.2.0/24","except":["192.0.2.128/25"]}}]}],"egress":[{}],"policyTypes":["Ingress","Egress"]}}]}
            """#
        let fixture = try PolicyFixture(text)
        let subject = Principal.pod(
            ["app": "db"], ports: [NamedPort(name: "pg", transport: .tcp, port: 5432)])
        let pg = PolicyTraffic(.tcp, 5432)
        #expect(try fixture.allows(.ingress, subject, web, pg))
        #expect(try fixture.allows(.ingress, subject, web, PolicyTraffic(.tcp, 6010)))
        #expect(try !fixture.allows(.ingress, subject, web, PolicyTraffic(.tcp, 6011)))
        #expect(try fixture.allows(.ingress, subject, .pod(in: "x", team: "pay"), pg))
        #expect(try fixture.allows(.ingress, subject, .world, at: "192.0.2.1", pg))
        #expect(try !fixture.allows(.ingress, subject, .world, at: "192.0.2.200", pg))
        #expect(try fixture.allows(.egress, subject, .world, at: "192.0.2.200", pg))
    }
}
