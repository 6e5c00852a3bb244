// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

@testable import MeshPolicy

@Suite("Compiled policies")
struct CompiledPolicyTests {
    private static let environment = PolicyEnvironment(cluster: ClusterName(rawValue: "east")!)

    private static func identity(_ number: Int) -> Identity {
        Identity(rawValue: 1 << 20 | UInt32(256 + number))
    }

    @Test("neighbouring ports with one reason are one interval, and all traffic is in some")
    func merging() throws {
        let fixture = try PolicyFixture(
            networkPolicy(
                "podSelector: {}\ningress: [{ports: [{port: 80}, {port: 81}, {port: 82}]}]"))
        let compiled = try CompiledPolicy(fixture.book.set(for: db), in: fixture.book)
        let list = compiled.standardList(.ingress)
        #expect(
            list.intervals.map(\.start) == [
                0, PolicyTraffic(.tcp, 80).index, PolicyTraffic(.tcp, 83).index,
            ])
        #expect(list.intervals.map(\.allows) == [false, true, false])
        #expect(compiled.lists(.ingress).isEmpty)
        #expect(compiled.standardList(.egress).intervals.map(\.allows) == [true])
    }

    @Test("peers that no rule means need no list; those who differ share theirs with their like")
    func sharing() throws {
        let fixture = try PolicyFixture(
            networkPolicy(
                "podSelector: {}\ningress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]"))
        var compiled = try CompiledPolicy(fixture.book.set(for: db), in: fixture.book)
        for number in 0..<100 {
            let peer = PolicyPeer.pod(["app": number % 10 == 0 ? "web" : "batch", "n": "\(number)"])
            try compiled.insert(
                PeerKey(identity: Self.identity(number), prefix: nil),
                fixture.book.matches(of: peer, in: nil))
        }
        #expect(compiled.lists(.ingress).count == 10)
        #expect(Set(compiled.lists(.ingress).values).count == 1)
        #expect(compiled.lists(.egress).isEmpty)
        let stranger = PeerKey(identity: Self.identity(5000), prefix: nil)
        let decision = compiled.decision(.ingress, peer: stranger, isKnown: false, traffic: tcp80)
        #expect(!decision.allows && decision.dependsOnPeer)
    }

    @Test("endpoints share a set if the same policies select them and they name ports alike")
    func sets() throws {
        let fixture = try PolicyFixture(
            networkPolicy(
                "podSelector: {matchLabels: {app: db}}\ningress: [{ports: [{port: sql}]}]"))
        let named = [NamedPort(name: "sql", transport: .tcp, port: 1)]
        func set(_ labels: Labels, _ ports: [NamedPort] = []) -> PolicySet {
            fixture.book.set(for: .pod(labels, ports: ports))
        }
        #expect(set(["app": "db", "x": "1"]) == set(["app": "db", "x": "2"]))
        #expect(set(["app": "db"], named) != set(["app": "db"]))
        #expect(set(["app": "web"], named) == set(["app": "web"]))
        #expect(set(["app": "web"]).isEmpty)
    }

    @Test("what exceeds a limit is refused as a whole, with a sentence for the operator")
    func limits() throws {
        let policies = try (0..<10).map { number in
            Policy(
                name: PolicyName(kind: .networkPolicy, namespace: "shop", name: "\(number)"),
                tier: .standard,
                sections: [
                    PolicySection(
                        subject: EndpointSelector(), isolates: [.ingress],
                        ingress: [
                            PolicyRule(
                                path: "", action: .accept,
                                peers: [
                                    .network(
                                        PolicyNetwork(
                                            prefix: try #require(Prefix("10.\(number).0.0/16"))))
                                ],
                                ports: nil)
                        ])
                ])
        }
        for limit in [\PolicyLimits.policies, \.rules, \.matchers, \.prefixes] {
            var limits = PolicyLimits()
            limits[keyPath: limit] = 10
            #expect(throws: Never.self) {
                try PolicyBook(policies, environment: Self.environment, limits: limits)
            }
            limits[keyPath: limit] = 9
            let overflow = try #require(throws: PolicyOverflow.self) {
                try PolicyBook(policies, environment: Self.environment, limits: limits)
            }
            #expect("\(overflow)".hasPrefix("more than 9 "))
        }
    }

    @Test("a peer for whom there is no room changes nothing")
    func fullTable() throws {
        let yaml = networkPolicy("podSelector: {}\ningress: [{from: [{podSelector: {}}]}]")
        var limits = PolicyLimits()
        limits.peers = 2
        let book = try PolicyBook(
            PolicyFixture(yaml).book.policies, environment: Self.environment, limits: limits)
        var compiled = try CompiledPolicy(book.set(for: db), in: book)
        func insert(_ number: Int) throws {
            try compiled.insert(
                PeerKey(identity: Self.identity(number), prefix: nil),
                book.matches(of: web, in: nil))
        }
        try insert(1)
        try insert(2)
        try insert(2)
        #expect(throws: PolicyOverflow.self) { try insert(3) }
        #expect(compiled.lists(.ingress).count == 2)
        compiled.remove(PeerKey(identity: Self.identity(1), prefix: nil))
        try insert(3)
        limits.intervals = 1
        let small = try PolicyBook(book.policies, environment: Self.environment, limits: limits)
        var narrow = try CompiledPolicy(small.set(for: db), in: small)
        #expect(throws: Never.self) {
            try narrow.insert(
                PeerKey(identity: Self.identity(1), prefix: nil), small.matches(of: web, in: nil))
        }
    }

    @Test("ten thousand peers with rules of their own are found, and one more changes nothing else")
    func scale() throws {
        let count = 10_000
        let rules = (0..<count).map { number in
            PolicyRule(
                path: "spec.ingress[\(number)]", action: .accept,
                peers: [
                    .endpoints(
                        EndpointSelector([
                            SelectorRequirement(.label("app"), .isIn(["app-\(number)"]))
                        ]))
                ], ports: [.range(protocolNumber: 6, 80...UInt16(80 + number % 1000))])
        }
        let policy = Policy(
            name: PolicyName(kind: .networkPolicy, namespace: "shop", name: "wide"),
            tier: .standard,
            sections: [
                PolicySection(subject: EndpointSelector(), isolates: [.ingress], ingress: rules)
            ])
        let book = try PolicyBook([policy], environment: Self.environment)
        var found = try CompiledPolicy(book.set(for: db), in: book)
        for number in 0..<count {
            try found.insert(
                PeerKey(identity: Self.identity(number), prefix: nil),
                book.matches(of: .pod(["app": "app-\(number)"]), in: nil))
        }
        let former = found.lists(.ingress)
        #expect(former.count == count)
        let newcomer = PeerKey(identity: Self.identity(count), prefix: nil)
        try found.insert(newcomer, book.matches(of: .pod(["app": "app-7"]), in: nil))
        #expect(found.lists(.ingress).filter { $0.key != newcomer } == former)
        #expect(
            found.lists(.ingress)[newcomer]
                == former[PeerKey(identity: Self.identity(7), prefix: nil)])
        for number in [0, 7, 999, 9_999] {
            let key = PeerKey(identity: Self.identity(number), prefix: nil)
            let last = PolicyTraffic(.tcp, UInt16(80 + number % 1000))
            #expect(found.decision(.ingress, peer: key, isKnown: true, traffic: last).allows)
            #expect(
                !found.decision(
                    .ingress, peer: key, isKnown: true, traffic: PolicyTraffic(.tcp, last.port + 1)
                )
                .allows)
        }
    }
}
