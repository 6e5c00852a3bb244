// SPDX-License-Identifier: Apache-2.0

import APIServerDouble
import Foundation
import MeshKubernetes
import MeshModel
import Synchronization
import Testing

@testable import MeshAgent
@testable import MeshTrust

@Suite("A node with a service account's token")
struct AttestationTests {
    private let home: AttestationFixture

    init() throws { home = try AttestationFixture() }

    @Test("has its first certificate for it, audited, and another one when it asks again")
    func joins() async throws {
        var state = AttestationFixture.cluster()
        state.admit(AttestationFixture.user(), token: "secret-2")
        try await withServer(state) { server, client in
            let desk = home.desk(client)
            try await home.withHome(desk) { address, _ in
                let unreachable = ClusterAddress(address: Address("127.0.0.1")!, port: 1)!
                let credentials = try await home.join(token: "secret-2", at: unreachable, address)
                #expect("\(credentials.identity)" == "east/n2")
                let folder = "\(home.folder.path)/n2/trust"
                let kept = try NodeCredentials.load(mesh: "weft.test", from: folder)
                _ = try PeerVerifier(store: TrustStore([home.authority.bundle])).verify(
                    presented: kept.chainDER(), now: Date())
                #expect(
                    try String(contentsOf: URL(filePath: "\(folder)/ca.pem"), encoding: .utf8)
                        == home.authority.bundle.pem())
                try await home.join(token: "secret-2", at: address)
            }
            #expect(await desk.outcomes == [.issued: 2])
            #expect(server.counters.requests == ["other": 2], "one review each")
        }
        let records = try home.records
        #expect(records.map(\.decision) == [.granted, .granted])
        #expect(records[0].subject == "spiffe://east.weft.test/node/n2")
        #expect(records[0].actor == "stranger:127.0.0.1")
        #expect(!home.log.text.contains("secret-2"))
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let node: String
        let outcome: AttestationOutcome
        let sentence: String
        /// Nil: one that the server doesn't know.
        let user: DoubleUser?
        var change: @Sendable (inout DoubleState) -> Void = { _ in }
        var testDescription: String { name }

        init(
            _ name: String, node: String = "n2", _ outcome: AttestationOutcome,
            _ sentence: String, _ user: DoubleUser?,
            change: @escaping @Sendable (inout DoubleState) -> Void = { _ in }
        ) {
            self.name = name
            self.node = node
            self.outcome = outcome
            self.sentence = sentence
            self.user = user
            self.change = change
        }

        static let expired: DoubleUser = {
            var user = AttestationFixture.user()
            user.hasExpired = true
            return user
        }()

        static let all = [
            Case("forged", .notAuthenticated, "doesn't vouch", nil),
            Case("expired", .notAuthenticated, "has expired", expired),
            Case(
                "for another audience", .notAuthenticated, "another audience",
                AttestationFixture.user(audience: "vault")),
            Case(
                "of another service account", .otherAccount, "of the service account shop:weft",
                AttestationFixture.user("shop:weft")),
            Case(
                "of a user", .otherAccount, "of no service account",
                DoubleUser("weft-system:weft", audiences: ["weft"])),
            Case(
                "bound to no pod", .otherNode, "isn't bound to a pod",
                AttestationFixture.user(pod: nil)),
            Case(
                "of another node's pod", node: "n3", .otherNode, "runs on node 'n2', not on 'n3'",
                AttestationFixture.user()),
            Case(
                "of a pod that is gone", .notAuthenticated, "its pod is gone",
                AttestationFixture.user()
            ) { $0.remove(.pods, namespace: "weft-system", name: "weft-2") },
        ]
    }

    @Test("gets nothing for one that isn't its own and good", arguments: Case.all)
    func refused(_ given: Case) async throws {
        var state = AttestationFixture.cluster()
        if let user = given.user { state.admit(user, token: "secret-2") }
        given.change(&state)
        try await withServer(state) { _, client in
            let desk = home.desk(client)
            try await home.withHome(desk) { address, _ in
                let refusal = await #expect(throws: JoinRefusal.self) {
                    try await home.join(given.node, token: "secret-2", at: address)
                }
                guard case .notAttested(let reason) = refusal else {
                    Issue.record("\(String(describing: refusal))")
                    return
                }
                #expect(reason.contains(given.sentence))
                #expect(!reason.contains("secret-2"))
            }
            #expect(await desk.outcomes == [given.outcome: 1])
        }
        let records = try home.records
        #expect(records.map(\.decision) == [.refused])
        #expect(!"\(records)".contains("secret-2") && !home.log.text.contains("secret-2"))
    }

    @Test(
        "is told to ask again while the API server doesn't say whose it is",
        arguments: [
            DoubleFault.throttle(seconds: 30), .fail, .cut(afterBytes: 40), .hang,
            .canned(DoubleAnswer(body: Array("[]".utf8))),
        ])
    func unanswered(fault: DoubleFault) async throws {
        var state = AttestationFixture.cluster()
        state.admit(AttestationFixture.user(), token: "secret-2")
        try await withServer(state) { server, client in
            let desk = home.desk(
                client, patience: fault == .hang ? .milliseconds(100) : .seconds(5))
            try await home.withHome(desk) { address, _ in
                server.inject(fault)
                let refusal = await #expect(throws: JoinRefusal.self) {
                    try await home.join(token: "secret-2", at: address)
                }
                #expect(refusal.map { "\($0)".contains("it is tried again") } == true)
                #expect(await desk.outcomes == [.unanswered: 1])
                try await home.join(token: "secret-2", at: address)
                #expect(await desk.outcomes == [.unanswered: 1, .issued: 1])
            }
        }
    }

    @Test(
        "is looked up by its pod where the API server names no nodes, not by the pod's name alone")
    func olderServer() async throws {
        var state = AttestationFixture.cluster()
        state.namesNodesOfTokens = false
        state.admit(AttestationFixture.user(), token: "secret-2")
        try await withServer(state) { server, client in
            let desk = home.desk(client)
            try await home.withHome(desk) { address, _ in
                try await home.join(token: "secret-2", at: address)
                await #expect(throws: JoinRefusal.self) {
                    try await home.join("n3", token: "secret-2", at: address)
                }
                #expect(await desk.outcomes == [.issued: 1, .otherNode: 1])
                #expect(server.counters.requests["get"] == 2)
            }
        }
        // Between the review and the look another pod may take the name.
        let attestor = ServiceAccountAttestor(account: AttestationFixture.account) {
            request throws(KubernetesError) in
            guard request.method == .get else {
                return Array(
                    """
                    {"kind": "TokenReview", "status": {"authenticated": true, "audiences": ["weft"],
                    "user": {"username": "system:serviceaccount:weft-system:weft", "extra": {
                    "authentication.kubernetes.io/pod-name": ["weft-2"],
                    "authentication.kubernetes.io/pod-uid": ["former"]}}}}
                    """.utf8)
            }
            return Array(
                #"{"metadata": {"uid": "present"}, "spec": {"nodeName": "n2"}}"#.utf8)
        }
        await #expect(throws: AttestationFault.notAuthenticated) {
            try await attestor.attest(try #require(BearerToken("x")), as: "n2")
        }
    }

    @Test("isn't believed by a server that knows no audiences")
    func noAudiences() async throws {
        let attestor = ServiceAccountAttestor(account: AttestationFixture.account) {
            _ throws(KubernetesError) in
            Array(
                """
                {"kind": "TokenReview", "status": {"authenticated": true, "user": {
                "username": "system:serviceaccount:weft-system:weft", "extra": {
                "authentication.kubernetes.io/node-name": ["n2"]}}}}
                """.utf8)
        }
        await #expect(throws: AttestationFault.otherAudience) {
            try await attestor.attest(try #require(BearerToken("x")), as: "n2")
        }
    }

    @Test("gets nothing when it is denied, however good its token is")
    func denied() async throws {
        let entry = try DenyEntry(
            .identity(SPIFFEID(node: "n2", in: home.authority.trustDomain)), reason: "stolen",
            since: Date(), until: Date() + 3_600)
        try home.denials.update { try $0.denyLocally(entry) }
        var state = AttestationFixture.cluster()
        state.admit(AttestationFixture.user(), token: "secret-2")
        try await withServer(state) { _, client in
            let desk = home.desk(client)
            try await home.withHome(desk) { address, _ in
                let refusal = await #expect(throws: JoinRefusal.self) {
                    try await home.join(token: "secret-2", at: address)
                }
                #expect(refusal.map { "\($0)".contains("stolen") } == true)
            }
            #expect(await desk.outcomes == [.notIssued: 1])
        }
    }

    @Test("doesn't show it to who isn't its cluster's authority")
    func impostors() async throws {
        let elsewhere = try TemporaryFolder()
        let impostor = try CertificateAuthority.create(
            cluster: home.configuration.clusterName, mesh: "weft.test",
            in: "\(elsewhere.path)/authority")
        try await withServer(AttestationFixture.cluster()) { _, client in
            let desk = home.desk(client)
            // Another root under the same name; a node of the cluster that holds no authority.
            for (node, authority) in [("n1", impostor), ("n3", home.authority)] {
                try await home.withHome(desk, as: node, by: authority) { address, answers in
                    let error = await #expect(throws: (any Error).self) {
                        try await home.join(token: "secret-2", at: address)
                    }
                    #expect(error.map { "\($0)".contains("isn't who was meant") } == true)
                    #expect(answers.all.isEmpty, "\(node)")
                }
            }
        }
    }

    @Test("that tries too often is refused before anybody is asked")
    func throttled() async throws {
        try await withServer(AttestationFixture.cluster()) { server, client in
            let desk = home.desk(client)
            try await home.withHome(desk) { address, _ in
                for _ in 0...TryLimiter.triesPerSource {
                    await #expect(throws: JoinRefusal.self) {
                        try await home.join(token: "secret-2", at: address)
                    }
                }
            }
            #expect(
                await desk.outcomes
                    == [.notAuthenticated: UInt64(TryLimiter.triesPerSource), .tooMany: 1])
            #expect(server.counters.total == TryLimiter.triesPerSource)
        }
        #expect(try home.records.count == 1, "refusals of a node are recorded once a minute")
    }

    @Test("asks in a form that nobody can bend")
    func altered() async throws {
        let bundle = home.authority.bundle
        var joiner = AttestedJoiner(
            identity: PeerIdentity(domain: bundle.trustDomain, node: "n2")!, cluster: cluster(1),
            bundle: bundle, key: NodeKey())
        let channel = JoinChannel(serverCertificate: [1])
        let request = try joiner.request(
            token: try #require(BearerToken("t")), channel: channel,
            nonce: JoinExchange.nonce(), now: unixSeconds())
        func open(_ bytes: [UInt8]) throws -> NodeAttestation {
            var limiter = TryLimiter()
            return try NodeAttestation.open(
                bytes, channel: channel, source: Address("192.0.2.1")!, limiter: &limiter,
                clock: 0, now: unixSeconds())
        }
        #expect(try open(request).node == "n2")
        #expect(TokenSubject.Kind(ofRequest: request) == nil && NodeAttestation.isOne(request))
        for count in request.indices {
            #expect(throws: JoinRefusal.self) { try open(Array(request.prefix(count))) }
        }
        #expect(throws: JoinRefusal.self) { try open(request + [0]) }
        let large = AttestedRequest(
            clock: unixSeconds(), nonce: JoinExchange.nonce(), node: "n2",
            request: [UInt8](repeating: 0, count: JoinLimit.certificateRequestBytes + 1),
            token: BearerToken("t")!)
        #expect(throws: JoinRefusal.self) { try open(large.encoded) }
        // An answer to another request, over another connection.
        let answer = try open(request).response(
            chain: try home.service.certify(node: "n2", request: NodeKey().request()),
            bundle: bundle, now: unixSeconds(), signers: [home.authority.signer])
        #expect(throws: JoinRefusal.self, "for another key") {
            try joiner.receive(answer, now: unixSeconds(), verify: verifyMeshStatement)
        }
        var other = joiner
        _ = try other.request(
            token: try #require(BearerToken("t")), channel: JoinChannel(serverCertificate: [2]),
            nonce: JoinExchange.nonce(), now: unixSeconds())
        #expect(
            throws: JoinRefusal.untrusted("it answers another request")
        ) { try other.receive(answer, now: unixSeconds(), verify: verifyMeshStatement) }
    }

    @Test(
        "has no word of it in any description", arguments: ["eyJ.secret.sig", " eyJ.secret.sig\n"])
    func descriptions(text: String) throws {
        let token = try #require(BearerToken(text))
        #expect(token.exposed == "eyJ.secret.sig")
        var dumped = ""
        dump(token, to: &dumped)
        for said in ["\(token)", String(reflecting: token), dumped, "\([token])"] {
            #expect(!said.contains("secret"))
        }
        for wrong in ["", "a b", "a\r\nHost: b", String(repeating: "a", count: 16_385), "é"] {
            #expect(BearerToken(wrong) == nil)
        }
    }

    @Test("waits for roots, token and authority, and begins when all are there")
    func waits() async throws {
        var state = AttestationFixture.cluster()
        state.admit(AttestationFixture.user(), token: "secret-2")
        try await withServer(state) { _, client in
            let desk = home.desk(client)
            try await home.withHome(desk) { address, _ in
                let path = home.folder.path
                _ = try AttestationFixture.configuration(of: "n2", in: home.folder)
                let text = try String(
                    contentsOf: URL(filePath: "\(path)/n2.yaml"), encoding: .utf8)
                let file = try home.folder.write(
                    "n2.yaml", text.replacing("127.0.0.1:1\"", with: "\(address)\""))
                let configuration = try AgentConfiguration(file: file)
                let log = LogBook()
                let joining = try #require(AttestedJoining(configuration, nil, log.logger))
                let waiting = Task { try await joining.obtainFirst() }
                try await eventually { log.text.contains("n2.token isn't there yet") }
                _ = try home.folder.write("n2.token", "secret-2")
                try await waiting.value
                #expect(log.text.contains("The authority gave this node a certificate"))
                #expect(!log.text.contains("secret-2"))
                // One that is there is left alone.
                try await joining.obtainFirst()
                #expect(await desk.outcomes == [.issued: 1])
            }
        }
        #expect(AttestedJoining(home.configuration, nil, home.log.logger) == nil, "the home")
    }

    @Test("finds where to ask in a service's slices")
    func addresses() throws {
        #expect(
            EnrolmentAddresses.request(of: ObjectName(namespace: "w", name: "a")).target
                == "/apis/discovery.k8s.io/v1/namespaces/w/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Da"
        )
        let found = try EnrolmentAddresses.read(
            Array(
                """
                {"items": [{"ports": [{"name": "enrolment", "port": 4792}, {"port": 1}],
                "endpoints": [{"addresses": ["192.0.2.1"], "conditions": {"ready": false}},
                {"addresses": ["192.0.2.2", "192.0.2.1", "nonsense"]}]},
                {"ports": [{"port": 70000}], "endpoints": [{"addresses": ["192.0.2.9"]}]},
                {"ports": [{"port": 5}], "endpoints": [{"addresses": ["2001:db8::1"]}]}]}
                """.utf8))
        #expect(
            found.map(\.description) == ["192.0.2.1:4792", "192.0.2.2:4792", "[2001:db8::1]:5"])
        #expect(throws: KubernetesError.self) { try EnrolmentAddresses.read([1]) }
    }
}
