// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability
import MeshSimulation

func clusterID(_ number: UInt16) -> ClusterID { ClusterID(rawValue: number)! }

/// Services, backends that answer, refuse or stay silent, clients that open connections as Linux
/// does, and the counters that the kernel would keep of them: what ``BackendHealth`` is shown every
/// poll interval.
struct BackendWorld {
    enum Condition {
        case answering
        case silent
        case refusing
        /// An ICMP error.
        case unreachable
    }

    private struct Opening {
        let backend: BackendKey
        var retries = 0
        var next: Instant
    }

    let parameters: BackendHealthParameters
    var health: BackendHealth
    var now = Instant(nanoseconds: 1_000_000_000_000)
    var conditions: [BackendKey: Condition] = [:]
    /// Nodes that liveness says are dead.
    var deadNodes: Set<NodeID> = []
    /// Whether some endpoint of this node can probe.
    var canProbe = true
    /// A policy at the backends' nodes keeps probes away.
    var deniesProbes = false
    /// Openings a second to each backend that is in use.
    var rate = 4.0
    private(set) var frontends: [ServiceFrontend] = []
    private(set) var evidence: [BackendKey: BackendEvidence] = [:]
    private(set) var quarantined: [BackendKey: Quarantine] = [:]
    private(set) var log: [(at: Instant, event: Event)] = []
    private var openings: [Opening] = []
    private var generator = SeededGenerator(seed: 7)
    private var due: [BackendKey: Instant] = [:]

    enum Event: Equatable {
        case quarantined(BackendKey)
        case released(BackendKey, QuarantineEnd)
        case spared(BackendKey)
        case suspicion(Suspicion.Subject, Bool)
        case probed(BackendKey, ProbeOutcome)
    }

    init(parameters: BackendHealthParameters = .default) {
        self.parameters = parameters
        health = BackendHealth(
            own: NodeID(cluster: clusterID(1), name: "a")!, parameters: parameters)
    }

    static func backend(
        _ cluster: UInt16, _ host: Int, port: UInt16 = 8080, _ transport: TransportProtocol = .tcp
    ) -> BackendKey {
        BackendKey(
            address: Address(ipv4: 0x0a00_0000 | UInt32(cluster) << 16 | UInt32(host)), port: port,
            transport: transport)
    }

    static func node(_ cluster: UInt16, _ name: String) -> NodeID {
        NodeID(cluster: clusterID(cluster), name: name)!
    }

    /// Adds a service; `places` says on which node each backend of which cluster is, hosts counted
    /// from `first`.
    @discardableResult
    mutating func addService(
        _ places: [(cluster: UInt16, nodes: [String])], first: Int = 1, port: UInt16 = 8080,
        _ transport: TransportProtocol = .tcp
    ) -> [BackendKey] {
        var keys: [BackendKey] = []
        let slices = places.map { place in
            let backends = place.nodes.enumerated().map { index, name in
                let key = Self.backend(place.cluster, first + index, port: port, transport)
                keys.append(key)
                return Backend(
                    address: key.address, port: port, node: Self.node(place.cluster, name))
            }
            return ClusterSlice(
                cluster: clusterID(place.cluster), tier: 0, weight: 255, backends: backends)
        }
        let number = UInt32(frontends.count + 1)
        frontends.append(
            ServiceFrontend(
                key: FrontendKey(
                    address: Address(ipv4: 0x0a60_0000 + number), port: 80, transport: transport),
                service: ObjectName(namespace: "shop", name: "s\(number)"), portName: "",
                isGlobal: true, sessionAffinitySeconds: 0, slices: slices))
        return keys
    }

    mutating func removeServices() { frontends = [] }

    /// Another process takes over: the kernel's counters and slices are all it finds.
    mutating func restart() {
        health = BackendHealth(own: BackendWorld.node(1, "a"), parameters: parameters)
        let out = quarantined
        let restored = health.restore(
            Array(evidence.values), isServed: { out[$0] == nil }, at: now, using: &generator)
        quarantined = Dictionary(uniqueKeysWithValues: restored.map { ($0.backend, $0) })
    }

    mutating func run(for duration: Duration) {
        let end = now + duration
        let step = Duration.milliseconds(50)
        var nextPoll = now
        while now < end {
            openAndRetry()
            if now >= nextPoll {
                poll()
                nextPoll = now + parameters.pollInterval
            }
            now = now + step
        }
    }

    func events(since instant: Instant = .zero) -> [Event] {
        log.filter { $0.at >= instant }.map(\.event)
    }

    /// A backend's node says that it denies somebody there, of whose openings it had been silent about
    /// some.
    mutating func deny(_ backend: BackendKey, retracting openings: UInt32, _ silences: UInt32) {
        evidence[backend]?.denied = now
        evidence[backend]?.retractedOpenings += openings
        evidence[backend]?.retracted += silences
    }

    func first(_ event: Event) -> Instant? { log.first { $0.event == event }?.at }

    // MARK: clients

    private mutating func openAndRetry() {
        let interval = Duration.nanoseconds(Int64(1e9 / rate))
        for (backend, _) in places where quarantined[backend] == nil {
            // Spread, so that backends don't fail in step.
            let spread = Duration.nanoseconds(interval.nanoseconds * Int64(due.count % 7) / 7)
            if due[backend, default: now + spread] <= now {
                open(backend)
                due[backend] = now + interval
            } else if due[backend] == nil {
                due[backend] = now + spread
            }
        }
        for index in openings.indices.reversed() where openings[index].next <= now {
            let backend = openings[index].backend
            if conditions[backend, default: .answering] != .silent {
                meet(backend)
                openings.remove(at: index)
                continue
            }
            note(backend, \.silent, isFirst: openings[index].retries == 0)
            openings[index].retries += 1
            openings[index].next = now + .seconds(1 << openings[index].retries)
        }
    }

    private mutating func open(_ backend: BackendKey) {
        guard conditions[backend, default: .answering] == .silent else { return meet(backend) }
        guard backend.transport == .tcp else { return }
        openings.append(Opening(backend: backend, next: now + .seconds(1)))
    }

    /// Something comes back.
    private mutating func meet(_ backend: BackendKey) {
        switch conditions[backend, default: .answering] {
        case .silent: break
        case .answering:
            if evidence[backend] != nil { note(backend, \.answered, isFirst: false) }
        case .refusing: note(backend, \.refused, isFirst: true)
        case .unreachable: note(backend, \.unreachable, isFirst: true)
        }
    }

    /// - Parameter isFirst: the opening didn't fail before.
    private mutating func note(
        _ backend: BackendKey, _ tally: WritableKeyPath<BackendEvidence, BackendEvidence.Tally>,
        isFirst: Bool
    ) {
        let node = places.first { $0.0 == backend }?.1
        var entry = evidence[backend] ?? BackendEvidence(backend: backend, node: node, interface: 5)
        entry[keyPath: tally].count += 1
        entry[keyPath: tally].last = now
        if isFirst { entry.failedOpenings += 1 }
        evidence[backend] = entry
    }

    private var places: [(BackendKey, NodeID)] {
        var seen: Set<BackendKey> = []
        return frontends.flatMap { frontend in
            frontend.slices.flatMap { slice in
                slice.backends.map { backend in
                    (
                        BackendKey(
                            address: backend.address, port: backend.port,
                            transport: frontend.key.transport), backend.node
                    )
                }
            }
        }.filter { seen.insert($0.0).inserted }
    }

    // MARK: the shell

    private mutating func poll() {
        for backend in health.observe(Array(evidence.values), at: now) { evidence[backend] = nil }
        var effects = BackendHealthEffects()
        let dead = deadNodes
        health.judge(
            BackendTopology(of: health.concerned, in: frontends), isLive: { !dead.contains($0) },
            at: now, using: &generator, into: &effects)
        perform(effects)
        let probes = effects.probes
        effects = BackendHealthEffects()
        for probe in probes {
            let outcome: ProbeOutcome =
                switch conditions[probe.backend, default: .answering] {
                case _ where !canProbe: .impossible
                case _ where deniesProbes: .denied
                case .answering: .answered
                case .silent: .silent
                case .refusing: .refused
                case .unreachable: .unreachable
                }
            // The kernel sees probes, too.
            if ![.impossible, .denied, .silent].contains(outcome) { meet(probe.backend) }
            log.append((now, .probed(probe.backend, outcome)))
            health.finish(
                probe.backend, outcome, at: now, using: &generator, into: &effects)
        }
        perform(effects)
    }

    private mutating func perform(_ effects: BackendHealthEffects) {
        for quarantine in effects.quarantined {
            quarantined[quarantine.backend] = quarantine
            log.append((now, .quarantined(quarantine.backend)))
        }
        for (quarantine, end) in effects.released {
            quarantined[quarantine.backend] = nil
            log.append((now, .released(quarantine.backend, end)))
        }
        for backend in effects.spared { log.append((now, .spared(backend))) }
        for suspicion in effects.suspicions {
            log.append((now, .suspicion(suspicion.subject, suspicion.isRaised)))
        }
    }
}
