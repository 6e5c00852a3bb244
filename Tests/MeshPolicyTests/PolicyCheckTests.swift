// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

@testable import MeshPolicy

@Suite("What a policy will mean")
struct PolicyCheckTests {
    private static let known: [Principal] = [
        .pod(["app": "db"], ports: [NamedPort(name: "sql", transport: .tcp, port: 5432)]),
        .pod(["app": "web"]), .pod(["app": "web"], of: "west"), .pod(["app": "far"], of: "west"),
    ]

    private static let all = "from: [{namespaces: {}}]"

    /// A manifest, and the problems of its first policy by path.
    @Test(
        "what its author may not have meant is found",
        arguments: [
            (networkPolicy("podSelector: {matchLabels: {app: none}}"), ["selectsNothing "]),
            (networkPolicy("podSelector: {}\ningress: [{}]"), ["allowsEverything spec.ingress[0]"]),
            (
                networkPolicy(
                    "podSelector: {}\npolicyTypes: [Egress]\ningress: [{ports: [{port: 1}]}]"),
                ["unusedRules spec.ingress[0]"]
            ),
            (
                networkPolicy(
                    "podSelector: {}\ningress: [{from: [{podSelector: {matchLabels: {app: nobody}}}]}]"
                ), ["nobodyMeant spec.ingress[0]"]
            ),
            (
                networkPolicy(
                    "podSelector: {}\ningress: [{from: [{podSelector: {matchLabels: {app: far}}}]}]"
                ), ["otherClustersOnly spec.ingress[0]"]
            ),
            (
                networkPolicy(
                    "podSelector: {}\ningress: [{from: [{podSelector: {matchLabels: {app: far, io.weft.cluster: west}}}]}]"
                ), []
            ),
            (
                networkPolicy(
                    "podSelector: {matchLabels: {app: db}}\ningress: [{ports: [{port: sql}]}]"), []
            ),
            (
                networkPolicy(
                    "podSelector: {matchLabels: {app: db}}\ningress: [{ports: [{port: http}]}]"),
                ["nobodyNamesPort spec.ingress[0]"]
            ),
            (
                networkPolicy(
                    "podSelector: {}\negress: [{to: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: sql}]}]"
                ), ["nobodyNamesPort spec.egress[0]"]
            ),
            (
                networkPolicy(
                    "podSelector: {}\ningress: [{ports: [{port: 80, endPort: 90}]}, {from: [{podSelector: {}}], ports: [{port: 85}]}]"
                ), ["shadowed spec.ingress[1]"]
            ),
            (
                networkPolicy(
                    "podSelector: {}\ningress: [{from: [{ipBlock: {cidr: 10.1.0.0/16}}]}, {from: [{ipBlock: {cidr: 10.0.0.0/8}}]}]"
                ), ["shadowed spec.ingress[0]"]
            ),
            (
                networkPolicy(
                    "podSelector: {}\ningress: [{ports: [{port: 80}]}, {ports: [{port: 81}]}]"), []
            ),
            (
                clusterPolicy(
                    "a",
                    "ingress: [{action: Deny, \(all)}, {action: Accept, \(all), protocols: [{tcp: {destinationPort: {number: 1}}}]}]"
                ), ["shadowed spec.ingress[1]"]
            ),
            (
                clusterPolicy(
                    "a",
                    "ingress: [{action: Accept, \(all), protocols: [{tcp: {destinationPort: {number: 1}}}]}, {action: Deny, \(all)}]"
                ), []
            ),
            (
                clusterPolicy("a", "ingress: []") + clusterPolicy("b", "ingress: []"),
                ["samePriority "]
            ),
            (
                ciliumPolicy(
                    "endpointSelector: {}\ningress: [{fromEntities: [world]}]\ningressDeny: [{fromEntities: [all]}]"
                ), ["shadowed spec.ingress[0]"]
            ),
        ])
    func findings(_ yaml: String, expected: [String]) throws {
        let book = try PolicyFixture(yaml).book
        let check = book.check(book.policies[0], principals: Self.known)
        #expect(check.findings.map { "\($0.problem.rawValue) \($0.path)" } == expected)
    }

    @Test("under the scope of all clusters it says whom a selector means elsewhere")
    func scope() throws {
        let book = try PolicyFixture(
            networkPolicy(
                "podSelector: {}\ningress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]"),
            scope: .allClusters
        ).book
        let check = book.check(book.policies[0], principals: Self.known)
        #expect(
            check.findings.map(\.description) == [
                "spec.ingress[0] means endpoints where the namespace's name is shop and the label app is "
                    + "web of clusters west too; ask for io.weft.cluster to say which"
            ])
    }

    @Test("labels that identities don't carry are named")
    func carried() throws {
        let book = try PolicyFixture(
            networkPolicy(
                "podSelector: {matchExpressions: [{key: job-name, operator: DoesNotExist}]}")
        ).book
        let check = book.check(
            book.policies[0], principals: Self.known, isCarried: { $0 != "job-name" })
        #expect(check.findings.map(\.problem) == [.labelNotCarried])
    }

    @Test("it is told in sentences, a section or a rule each")
    func sentences() throws {
        let book = try PolicyFixture(
            networkPolicy(
                """
                podSelector: {matchLabels: {app: db}}
                ingress: [{from: [{podSelector: {matchLabels: {app: web}}}, {ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}], ports: [{port: 80, endPort: 90}, {port: sql}]}]
                egress: [{}]
                """)
        ).book
        #expect(
            book.check(book.policies[0], principals: Self.known).sentences == [
                "selects endpoints where the namespace's name is shop and the label app is db of cluster "
                    + "east: 1 identity now; denies them all ingress and egress that no rule accepts",
                "spec.ingress[0] accepts TCP 80-90, and TCP ports named sql from endpoints where the "
                    + "namespace's name is shop and the label app is web, or whoever has an address in "
                    + "10.0.0.0/8 but not in 10.1.0.0/16",
                "spec.egress[0] accepts everything to everyone",
            ])
    }
}
