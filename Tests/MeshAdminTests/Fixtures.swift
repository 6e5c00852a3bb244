// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import MeshModel
import Synchronization

/// An agent that says what it was told to say and remembers what it was asked to do.
final class ScriptedAgent: AdminProvider {
    struct Asked: Sendable {
        var attached: [AttachRequest] = []
        var detached: [ObjectName] = []
        var drains: [Bool] = []
        var joining: [String] = []
        var keyRotations: [RotationRequest] = []
        var denials: [DenyRequest] = []
        var allowances: [AllowRequest] = []
        var departures: [DepartureRequest] = []
        var rotations = 0
        var containers: [ContainerRequest] = []
        var detachedContainers: [ContainerKey] = []
        var checks: [ContainerCheck] = []
        var garbage: [ContainerGarbage] = []
    }

    struct Failure: Error, CustomStringConvertible {
        var description: String { "the table is on fire" }
    }

    let hub = FlowHub<Flow>()
    let flowReaders = Mutex(0)
    let asked = Mutex(Asked())
    /// What the page is told instead of the fixtures.
    let page = Mutex<PageFixture?>(nil)
    /// Keeps ``drops()`` from ever answering.
    private let never = AsyncStream<Void>.makeStream()

    func status() async throws -> AgentStatus { page.withLock { $0?.agent } ?? .fixture }
    func configurationStatus() async throws -> ConfigurationStatus { .fixture }
    func clusters() async throws -> [ClusterStatus] { page.withLock { $0?.clusters } ?? [.fixture] }
    func nodes() async throws -> [NodeStatus] { [.fixture] }
    func why(cluster: String, node: String?) async throws -> HealthStory {
        if let story = page.withLock({ $0?.story(of: cluster) }) { return story }
        guard cluster == "beta" else {
            throw AdminFault(.notFound, "there is no cluster \(cluster)", hint: "look twice")
        }
        return HealthStory(
            subject: [cluster, node].compactMap(\.self).joined(separator: "/"), verdict: .suspect,
            sinceSeconds: 2, weight: 0, membership: nil, paths: [],
            events: [.init(secondsAgo: 2, subject: "beta", text: "relay a hears nothing")])
    }
    func services() async throws -> [ServiceStatus] { page.withLock { $0?.services } ?? [.fixture] }
    func traffic() async throws -> [TrafficCount]? { page.withLock { $0?.traffic } }
    func news(after position: PageNews.Position?) async throws -> PageNews {
        (page.withLock { $0 } ?? PageFixture()).news(after: position)
    }
    func endpoints(ofThisNode: Bool) async throws -> [EndpointStatus] {
        ofThisNode ? [.fixture] : [.fixture, .distant]
    }
    func identities() async throws -> [IdentityStatus] { [.fixture] }
    func maps() async throws -> [MapUsage] { [.fixture] }
    func kernelServices() async throws -> [KernelService] { [.fixture] }
    func metrics() async throws -> [MetricFamily] { [.fixture] }

    /// Hangs until the request is given up.
    func drops() async throws -> [DropCount] {
        if let drops = page.withLock({ $0?.drops }) { return drops }
        for await _ in never.stream {}
        throw CancellationError()
    }

    func connections() async throws -> [ConnectionEntry] { throw Failure() }

    func flows(_ question: FlowQuestion) async throws -> AsyncStream<FlowLine> {
        let reader = FlowFixtureReader(hub, question) { [self] change in
            flowReaders.withLock { $0 += change }
        }
        return AsyncStream { await reader.next() }
    }

    func attach(_ request: AttachRequest) async throws -> EndpointStatus {
        asked.withLock { $0.attached.append(request) }
        return .fixture
    }

    func detach(_ endpoint: ObjectName) async throws {
        guard endpoint.name != "ghost" else {
            throw AdminFault(.notFound, "there is no endpoint \(endpoint)", hint: "look twice")
        }
        asked.withLock { $0.detached.append(endpoint) }
    }

    func drain(_ draining: Bool) async throws {
        asked.withLock { $0.drains.append(draining) }
    }

    func attach(_ request: ContainerRequest) async throws -> ContainerInterface {
        guard request.name != "ghost" else {
            throw AdminFault(.notFound, "there is no namespace \(request.namespacePath)")
        }
        asked.withLock { $0.containers.append(request) }
        return .fixture
    }

    func detach(_ key: ContainerKey) async throws {
        asked.withLock { $0.detachedContainers.append(key) }
    }

    func check(_ request: ContainerCheck) async throws {
        asked.withLock { $0.checks.append(request) }
    }

    func collectGarbage(_ request: ContainerGarbage) async throws -> ContainerGarbageAnswer {
        asked.withLock { $0.garbage.append(request) }
        return ContainerGarbageAnswer(detached: [.fixture])
    }

    func readiness() async throws -> ContainerReadiness {
        ContainerReadiness(obstacles: ["not yet"], isLimited: false)
    }

    func makeToken(_ request: TokenRequest) async throws -> TokenAnswer {
        asked.withLock { $0.joining.append("token \(request.cluster ?? "")") }
        return TokenAnswer(
            target: "weft1-0@192.0.2.1:4792", subject: "west", expiresUnixSeconds: 7)
    }

    func join(_ request: JoinRequestBody) async throws -> JoinAnswer {
        asked.withLock { $0.joining.append("join \(request.target)") }
        return JoinAnswer(
            introducer: "west", clockSeconds: -2, isClockAlarming: false, isRepeated: false,
            members: ["west"], notes: [])
    }

    func leave(_ request: LeaveRequest) async throws -> LeaveAnswer {
        asked.withLock { $0.joining.append("leave \(request.force)") }
        return LeaveAnswer(awaited: ["west"])
    }

    func accept(cluster: String, _ request: AcceptRequest) async throws -> RosterAnswer {
        asked.withLock { $0.joining.append("accept \(cluster) \(request.root ?? "-")") }
        return RosterAnswer(events: [])
    }

    func forget(cluster: String) async throws -> RosterAnswer {
        throw AdminFault(.conflict, "no cluster '\(cluster)' is known here")
    }

    func introducers() async throws -> IntroducersStatus { .fixture }

    func setIntroducers(_ request: IntroducersRequest) async throws -> RosterAnswer {
        let names = request.names.map { $0.joined(separator: ",") } ?? "founder"
        asked.withLock { $0.joining.append("introducers \(names)") }
        return RosterAnswer(events: [])
    }

    func tokens() async throws -> [TokenStatus] { [.fixture] }

    func revoke(token id: String) async throws -> TokenStatus {
        asked.withLock { $0.joining.append("revoke \(id)") }
        return .fixture
    }

    func rotationStatus() async throws -> RotationStatus { .fixture }
    func rotate(_ request: RotationRequest) async throws -> RotationAnswer {
        asked.withLock { $0.keyRotations.append(request) }
        return RotationAnswer(status: .fixture, broken: ["west"])
    }
    func spiffeBundle() async throws -> [UInt8] { Array(#"{"keys":[]}"#.utf8) }

    func policies() async throws -> [PolicyStatus] { [.fixture] }
    func policy(_ name: String) async throws -> PolicyMeaning {
        guard name == "NetworkPolicy/shop/db" else {
            throw AdminFault(.notFound, "there is no \(name)", hint: "look twice")
        }
        return PolicyMeaning(
            policy: "NetworkPolicy shop/db", sentences: ["selects nobody"], findings: [],
            endpointsHere: ["shop/db-0"])
    }
    func checkPolicies(_ manifest: [UInt8]) async throws -> PolicyCheckAnswer {
        PolicyCheckAnswer(problems: ["\(manifest.count) bytes"], policies: [])
    }
    func trace(
        from source: String, to destination: String, traffic: String
    ) async throws -> PolicyTraceAnswer {
        let decision = PolicyTraceAnswer.Decision(
            allows: true, reason: "allowed: no policy decides")
        return PolicyTraceAnswer(
            source: .init(name: source), destination: .init(name: destination), traffic: traffic,
            egress: decision, ingress: decision, allows: true, notes: [])
    }

    func story(of flow: WhyQuestion) async throws -> FlowStory {
        let walk = FlowWalk(
            scene: FlowScene(cluster: "east", node: "n1", clusters: [], nodes: []),
            source: FlowStory.End(kind: .other, name: flow.source),
            destination: FlowStory.End(kind: .other, name: flow.destination),
            traffic: flow.traffic ?? .icmp)
        return walk.story(traces: [], refused: [], at: 0)
    }

    func trustStatus() async throws -> TrustStatus { .fixture }
    func denials() async throws -> [DenialStatus] { [.fixture] }
    func deny(_ request: DenyRequest) async throws {
        asked.withLock { $0.denials.append(request) }
    }
    func allow(_ request: AllowRequest) async throws {
        asked.withLock { $0.allowances.append(request) }
    }
    func certify(_ request: CertifyRequest) async throws -> CertifyAnswer {
        CertifyAnswer(chain: [request.request], bundle: request.node)
    }

    func departure() async throws -> DepartureStatus {
        DepartureStatus(phase: .draining, open: ["it is a relay"], remainingSeconds: 12)
    }

    func depart(_ request: DepartureRequest) async throws -> DepartureStatus {
        asked.withLock { $0.departures.append(request) }
        return try await departure()
    }

    func gossipKeys() async throws -> [GossipKeyStatus] {
        [
            GossipKeyStatus(
                key: "0123456789abcdef", ageSeconds: 3, isNewest: true, users: 2, nodes: 2)
        ]
    }

    func rotateGossipKey() async throws -> [GossipKeyStatus] {
        asked.withLock { $0.rotations += 1 }
        return try await gossipKeys()
    }
}

extension ClusterReference {
    static let east = ClusterReference(name: "east", id: 1)
    static let west = ClusterReference(name: "west", id: 2)
}

extension TrustStatus {
    static let fixture = TrustStatus(
        certificates: [
            CertificateStatus(
                kind: .root, cluster: "east", name: "spiffe://east.mesh", keyIdentifier: "0a0b",
                serial: "01", notAfterUnixSeconds: 2_000_000_000, secondsLeft: 1e8,
                fractionLeft: 0.9)
        ], home: "n1", audit: AuditHead(sequence: 7, hash: "00ff"), denials: 1,
        rotation: .fixture)
}

extension ConfigurationStatus {
    static let fixture = ConfigurationStatus(
        file: "/etc/weft/weftd.yaml", problem: "line 3",
        settings: [
            SettingStatus(
                key: "ports.state", value: "4790", source: "$WEFT_PORTS_STATE", pending: "7",
                isLive: false)
        ])
}

extension IntroducersStatus {
    static let fixture = IntroducersStatus(
        names: ["east", "west"], founder: "west", areChosen: false)
}

extension TokenStatus {
    static let fixture = TokenStatus(
        id: "00000000000000ff", subject: "cluster 'west' (ID 2)", state: .reserved,
        holder: "0a0b0c0d0e0f0001", issuedUnixSeconds: 1_900_000_000,
        expiresUnixSeconds: 1_900_003_600)
}

extension RotationStatus {
    static let fixture = RotationStatus(
        kind: .root, phase: "published", sentence: "waiting for west", waitingFor: ["west"],
        laggards: [], obstacle: nil)
}

extension DenialStatus {
    static let fixture = DenialStatus(
        owner: "east", subject: "spiffe://east.mesh/node/n2", reason: "stolen",
        sinceUnixSeconds: 1_900_000_000, untilUnixSeconds: 2_000_000_000)
}

extension PolicyStatus {
    static let fixture = PolicyStatus(
        kind: "NetworkPolicy", namespace: "shop", name: "db", tier: "standard", priority: nil,
        rules: 2, endpointsHere: 1, state: .enforced)
}

extension AgentStatus {
    static let fixture = AgentStatus(
        version: "0.1.0", cluster: .east, node: "n1",
        health: HealthSummary(state: .degraded, reasons: ["1 manifest can't be read"]),
        uptimeSeconds: 192.5, memoryBytes: 50 << 20, isDraining: false,
        publisher: PublisherStatus(node: "n1", isLocal: true, isReachable: true),
        ledgers: [
            LedgerStatus(
                cluster: .west, epoch: 3, revision: 41, ageSeconds: 0.25, records: 7,
                quarantined: 0, refused: 0, isFrozen: false)
        ],
        peers: [.west],
        links: [
            LinkStatus(
                peer: "west/n1", state: .waiting, sinceSeconds: 2, lastError: "refused")
        ],
        manifestProblems: [
            ManifestProblem(file: "web.yaml", line: 7, message: "port 70000 is too high")
        ],
        ignoredKinds: [IgnoredKind(kind: "Deployment", objects: 2)],
        warnings: ["west is unreachable"])
}

extension ClusterStatus {
    static let fixture = ClusterStatus(
        name: "west", id: 2, isLocal: false, verdict: .suspect, sinceSeconds: 1.5, weight: 0,
        generation: 4,
        paths: [
            PathStatus(
                localRelay: "n1", remoteNode: "n2", state: .up, rttMilliseconds: 0.4,
                lastBeatSeconds: 0.1)
        ],
        epoch: 3, revision: 41, nodes: 2, services: 5, endpoints: 9,
        capacity: CapacityStatus(capacity: 8000, spare: 640, weightShare: 0.25))
}

extension NodeStatus {
    static let fixture = NodeStatus(
        cluster: .west, name: "n2", isLocal: false, isRelay: true, verdict: .up, sinceSeconds: 60,
        weight: 255, generation: 1, index: 3, outerAddresses: ["192.0.2.7"],
        podPrefixes: ["10.2.1.0/24", "fd00:2:1::/64"], endpoints: 4)
}

extension ServiceStatus {
    static let fixture = ServiceStatus(
        namespace: "shop", name: "web", portName: "", address: "10.96.0.7", port: 80,
        transport: "TCP", isGlobal: true, affinity: .local, sessionAffinitySeconds: 0,
        state: .error, reason: "the map of backends is full",
        slices: [
            SliceStatus(
                cluster: .west, tier: 1, weight: 100, isLive: true,
                backends: [
                    BackendStatus(address: "10.2.1.5", port: 8080, node: "n2", isLive: true)
                ])
        ])
}

extension EndpointStatus {
    static let fixture = EndpointStatus(
        namespace: "shop", name: "web-0", cluster: .east, node: "n1", isLocal: true,
        addresses: ["10.1.0.5", "fd00:1::5"], identity: 1 << 20 | 256, labels: ["app": "web"],
        interface: "weft0a1b2c", state: .done)
    static let distant = EndpointStatus(
        namespace: "shop", name: "web-1", cluster: .west, node: "n2", isLocal: false,
        addresses: ["10.2.1.5"], identity: 2 << 20 | 256, labels: ["app": "web"], interface: nil,
        state: .done)
}

extension IdentityStatus {
    static let fixture = IdentityStatus(
        identity: 1 << 20 | 256, cluster: .east, labels: ["app": "web"], endpoints: 3)
}

extension MapUsage {
    static let fixture = MapUsage(
        name: "weft_frontends", type: "hash", keyBytes: 20, valueBytes: 4, maximumEntries: 65_536,
        entries: 12)
}

extension KernelService {
    static let fixture = KernelService(
        address: "10.96.0.7", port: 80, transport: "TCP", slot: 1, list: 4, generation: 9,
        affinitySeconds: 0,
        slices: [
            KernelSlice(
                cluster: 2, tier: 0, weight: 100, clusterWeight: 255,
                backends: [
                    KernelBackend(address: "10.2.1.5", port: 8080, node: 3, nodeWeight: 255)
                ])
        ])
}

extension MetricFamily {
    static let fixture = MetricFamily(
        Metric(
            "weft_datapath_dropped_packets_total", .counter, .packets, "Packets dropped.",
            labels: [Metric.Label("reason", "Why.", values: ["policy_denied"])]),
        [Sample(3, "policy_denied")])
}

/// Reads a hub as an agent does, without names.
actor FlowFixtureReader {
    private let hub: FlowHub<Flow>
    private let question: FlowQuestion
    private let count: @Sendable (Int) -> Void
    private var position: UInt64?
    private var lines: ArraySlice<FlowLine> = []

    init(_ hub: FlowHub<Flow>, _ question: FlowQuestion, count: @escaping @Sendable (Int) -> Void) {
        self.hub = hub
        self.question = question
        self.count = count
        count(1)
    }

    deinit { count(-1) }

    func next() async -> FlowLine? {
        while lines.isEmpty {
            if position != nil {
                guard question.follow else { return nil }
                do { try await Task.sleep(for: .milliseconds(5)) } catch { return nil }
            }
            let news = hub.news(after: position)
            position = news.position
            lines = news.flows.filter(question.filter.matches).map(FlowLine.flow)[...]
            if news.lost > 0 {
                let loss = FlowLoss(node: "east/n1", stage: .reader, records: news.lost)
                lines.insert(.lost(loss), at: lines.startIndex)
            }
        }
        return lines.popFirst()
    }
}

extension Flow {
    static func fixture(_ number: Int64) -> Flow {
        Flow(
            timeUnixMilliseconds: number, type: .opened, verdict: .forwarded, transport: "TCP",
            source: FlowPeer(
                address: "10.1.0.5", port: 40_000, identity: 1 << 20 | 256, namespace: "shop",
                name: "web-0", cluster: "east"),
            destination: FlowPeer(address: "10.2.1.5", port: 8080, identity: 2 << 20 | 256),
            frontend: "10.96.0.7:80", packets: 0, bytes: 0)
    }
}
