// SPDX-License-Identifier: Apache-2.0

import Logging
import MeshDatapath
import MeshModel
import MeshReachability
import MeshStore
import MeshTransport
import ServiceLifecycle

/// The shell around ``BackendHealth``: reads the kernel's evidence, puts quarantines into the tables
/// and probes. Neither heartbeats nor state wait for it.
actor BackendHealthService: Service {
    /// Tries connections; as many outcomes as requests, in their order.
    typealias Prober = @Sendable ([ProbeRequest]) async -> [ProbeOutcome]

    /// What happened since the start, by the metric's label.
    struct Counts: Sendable {
        var quarantined: [BackendFailure: UInt64] = [:]
        var released: [QuarantineEnd: UInt64] = [:]
        var probes: [ProbeOutcome: UInt64] = [:]
        /// Backends that a bound kept out of quarantine.
        var spared: UInt64 = 0
    }

    /// Of the table of frontends.
    private struct Version: Equatable {
        let revision: UInt64
        let isComplete: Bool
    }

    /// What many backends' silence speaks against; one reader. The newest are kept.
    nonisolated let suspicions: AsyncStream<Suspicion>

    private let store: MeshStore
    private let datapath: any Datapath
    private let parameters: BackendHealthParameters
    private nonisolated let prober: Prober
    private let log: Logger
    private let continuation: AsyncStream<Suspicion>.Continuation
    private var core: BackendHealth
    private var generator = SystemRandomNumberGenerator()
    private var topology: (of: Set<BackendKey>, at: Version, is: BackendTopology)?
    private var isFailing = false
    private(set) var counts = Counts()

    init(
        own: NodeID, store: MeshStore, datapath: any Datapath,
        parameters: BackendHealthParameters = .default, log: Logger, prober: @escaping Prober
    ) {
        self.store = store
        self.datapath = datapath
        self.parameters = parameters
        self.prober = prober
        self.log = log
        core = BackendHealth(own: own, parameters: parameters)
        (suspicions, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(64))
    }

    func run() async throws {
        restore(at: .monotonicNow)
        await withDiscardingTaskGroup { group in
            for await _ in AsyncTimer(every: parameters.pollInterval).cancelOnGracefulShutdown() {
                let probes = step(at: .monotonicNow)
                guard !probes.isEmpty else { continue }
                group.addTask {
                    let outcomes = await self.prober(probes)
                    await self.finish(probes, outcomes, at: .monotonicNow)
                }
            }
        }
        continuation.finish()
    }

    /// What the agent before this one had left out stays out until probes say better.
    func restore(at now: Instant) {
        let served = Set(
            datapath.services().flatMap { service in
                service.slices.flatMap(\.backends).map {
                    BackendKey(
                        address: $0.address, port: $0.port, transport: service.key.transport)
                }
            })
        guard !served.isEmpty else { return }
        do throws(DatapathError) {
            let restored = core.restore(
                try datapath.evidence(), isServed: served.contains, at: now, using: &generator)
            let rows = restored.map(QuarantineRow.init)
            store.write { $0.quarantine(rows) }
        } catch {
            log.warning("Quarantines can't be restored", metadata: ["error": "\(error)"])
        }
    }

    /// What is suspected at present.
    var standing: [Suspicion] { core.suspicions }

    /// One look at the evidence.
    ///
    /// - Returns: probes to make.
    func step(at now: Instant) -> [ProbeRequest] {
        observe(at: now)
        let concerned = core.concerned
        guard !concerned.isEmpty || !core.suspicions.isEmpty else { return [] }
        var effects = BackendHealthEffects()
        core.judge(
            topology(of: concerned), isLive: isLive, at: now, using: &generator, into: &effects)
        perform(effects)
        return effects.probes
    }

    private func observe(at now: Instant) {
        do throws(DatapathError) {
            try datapath.forgetEvidence(against: core.observe(datapath.evidence(), at: now))
            isFailing = false
        } catch {
            if !isFailing {
                log.warning(
                    "Evidence against backends can't be read", metadata: ["error": "\(error)"])
            }
            isFailing = true
        }
    }

    private func isLive(_ node: NodeID) -> Bool {
        datapath.clusterWord(node.cluster).weight > 0 && datapath.nodeWord(node).weight > 0
    }

    /// Made anew only if the services or the question changed.
    private func topology(of backends: Set<BackendKey>) -> BackendTopology {
        let frontends = store.snapshot().frontends
        let version = Version(revision: frontends.revision, isComplete: frontends.isComplete)
        if let topology, topology.of == backends, topology.at == version { return topology.is }
        let fresh = BackendTopology(
            of: backends, in: frontends.unorderedRows, isComplete: frontends.isComplete)
        topology = (backends, version, fresh)
        return fresh
    }

    /// Takes in what came of probes.
    func finish(_ requests: [ProbeRequest], _ outcomes: [ProbeOutcome], at now: Instant) {
        var effects = BackendHealthEffects()
        for (request, outcome) in zip(requests, outcomes) {
            counts.probes[outcome, default: 0] += 1
            log.debug(
                "A backend in quarantine was probed",
                metadata: ["backend": "\(request.backend)", "outcome": "\(outcome)"])
            core.finish(request.backend, outcome, at: now, using: &generator, into: &effects)
        }
        perform(effects)
    }

    private func perform(_ effects: BackendHealthEffects) {
        let rows = effects.quarantined.map(QuarantineRow.init)
        let released = Set(effects.released.map(\.quarantine.backend))
        if !rows.isEmpty || !released.isEmpty {
            store.write { tables in
                tables.release(released)
                tables.quarantine(rows)
            }
        }
        for quarantine in effects.quarantined {
            counts.quarantined[quarantine.failure, default: 0] += 1
            log.notice(
                "A backend gets no new flows",
                metadata: [
                    "backend": "\(quarantine.backend)", "node": "\(quarantine.node)",
                    "reason": "\(quarantine.reason)", "relapses": "\(quarantine.relapses)",
                ])
        }
        for (quarantine, end) in effects.released {
            counts.released[end, default: 0] += 1
            log.notice(
                "A backend gets new flows again",
                metadata: ["backend": "\(quarantine.backend)", "reason": "\(end)"])
        }
        for backend in effects.spared {
            counts.spared += 1
            log.warning(
                "A failing backend keeps its flows: its service can't do without it",
                metadata: ["backend": "\(backend)"])
        }
        for suspicion in effects.suspicions {
            log.warning(
                suspicion.isRaised
                    ? "Most backends of one place are silent" : "A place is no longer suspected",
                metadata: [
                    "place": "\(suspicion.subject)",
                    "silent": "\(suspicion.silent)/\(suspicion.known)",
                ])
            continuation.yield(suspicion)
        }
    }
}

extension QuarantineRow {
    fileprivate init(_ quarantine: Quarantine) {
        self.init(
            backend: quarantine.backend, since: quarantine.since, reason: quarantine.reason)
    }
}

extension Quarantine {
    /// For an operator.
    var reason: String {
        let events =
            switch failure {
            case .silent: "failures, the last one silence,"
            case .refused: "failures, the last one a refusal,"
            case .unreachable: "failures, the last one an unreachable error,"
            }
        return "\(failures) \(events) on \(openings) connections without an answer"
    }
}
