// SPDX-License-Identifier: Apache-2.0

public import MeshModel
import OrderedCollections

/// Judges single backends by how this node's openings fare at them.
///
/// - A backend that fails while nothing there answers is quarantined: services leave it out.
/// - Most backends of a node silent at once speak against the node, over several nodes against the
///   cluster. That is reported, and left to those who judge nodes and clusters.
/// - Never a service's last live backend, and at most a share of those in a cluster.
/// - Probes, or time where nothing can be probed, bring a backend back; who relapses waits longer.
///
/// The shell calls ``observe(_:at:)`` with the kernel's counters every
/// ``BackendHealthParameters/pollInterval``, then ``judge(_:isLive:at:using:into:)`` with what
/// ``concerned`` names.
public struct BackendHealth: Sendable {
    let own: NodeID
    let parameters: BackendHealthParameters
    /// The last reading of every entry that the kernel has.
    private var readings: [BackendKey: BackendEvidence] = [:]
    /// What the kernel had counted before this process started is no news.
    private var isPrimed = false
    var episodes: OrderedDictionary<BackendKey, BackendEpisode> = [:]
    var held: OrderedDictionary<BackendKey, HeldBackend> = [:]
    /// Backends that came back lately.
    private var returned: OrderedDictionary<BackendKey, (at: Instant, times: Int)> = [:]
    /// When something on a node, or its datapath, last sent a packet of its own to an opening.
    var signs: [NodeID: Instant] = [:]
    var suspected: OrderedDictionary<Suspicion.Subject, Suspicion> = [:]

    public init(own: NodeID, parameters: BackendHealthParameters = .default) {
        self.own = own
        self.parameters = parameters
    }

    /// Goes on with what an earlier process had in quarantine. Services of which the kernel holds
    /// nothing may be among it; they are released as soon as all services are known.
    ///
    /// - Parameters:
    ///   - evidence: all that the kernel has. Probes answer for what is out of date in it.
    ///   - isServed: whether the kernel gives new flows to a backend.
    /// - Returns: what is in quarantine now.
    public mutating func restore(
        _ evidence: [BackendEvidence], isServed: (BackendKey) -> Bool, at now: Instant,
        using generator: inout some RandomNumberGenerator
    ) -> [Quarantine] {
        let failing = evidence.filter {
            $0.lastFailure > $0.answered.last && !isServed($0.backend)
        }
        for reading in failing.sorted(by: { $0.backend < $1.backend })
            .prefix(parameters.quarantineMaximum)
        {
            guard let node = reading.node else { continue }
            let quarantine = Quarantine(
                backend: reading.backend, node: node, since: now,
                failure: reading.lastKind,
                failures: Int(reading.silent.count &+ reading.refused.count)
                    + Int(reading.unreachable.count),
                openings: Int(reading.failedOpenings), relapses: 0)
            held[reading.backend] = HeldBackend(
                quarantine, interface: reading.interface, parameters, using: &generator)
        }
        return quarantines
    }

    public var quarantines: [Quarantine] { held.values.map(\.quarantine) }
    /// Those that are raised.
    public var suspicions: [Suspicion] { Array(suspected.values) }

    /// Takes in what the kernel has counted.
    ///
    /// - Returns: backends that the kernel needs no counters of any more.
    public mutating func observe(
        _ evidence: [BackendEvidence], at now: Instant
    ) -> [BackendKey] {
        var outdated: [BackendKey] = []
        var present: [BackendKey: BackendEvidence] = [:]
        for reading in evidence.sorted(by: { $0.backend < $1.backend }) {
            let backend = reading.backend
            if now - reading.lastFailure > parameters.evidenceLifetime, held[backend] == nil {
                outdated.append(backend)
                continue
            }
            present[backend] = reading
            guard isPrimed else { continue }
            let before = readings[backend]
            guard before != reading else { continue }
            noteSign(reading, since: before)
            // Clients' old connections and probes: no news of one that is in quarantine.
            guard held[backend] == nil else { continue }
            episodes[backend] = .following(episodes[backend], before, reading)
        }
        readings = present
        isPrimed = true
        episodes.removeAll { now - $0.value.last > parameters.window }
        returned.removeAll { now - $0.value.at > parameters.forgiveness }
        signs = signs.filter { now - $0.value <= parameters.window }
        return outdated
    }

    private mutating func noteSign(_ reading: BackendEvidence, since before: BackendEvidence?) {
        guard let node = reading.node, reading.lastSign > before?.lastSign ?? .zero else { return }
        signs[node] = max(signs[node] ?? .zero, reading.lastSign)
    }

    /// Backends whose services ``judge(_:isLive:at:using:into:)`` must know: as a rule none, but all
    /// that fail as soon as there is something to judge.
    public var concerned: Set<BackendKey> {
        guard !held.isEmpty || episodes.values.contains(where: { $0.suffices(parameters) })
        else { return [] }
        return Set(held.keys).union(episodes.keys)
    }

    /// Draws the conclusions.
    ///
    /// - Parameters:
    ///   - topology: of ``concerned``.
    ///   - isLive: whether a node takes new flows, its cluster included.
    public mutating func judge(
        _ topology: BackendTopology, isLive: (NodeID) -> Bool, at now: Instant,
        using generator: inout some RandomNumberGenerator, into effects: inout BackendHealthEffects
    ) {
        releaseUnneeded(topology, isLive: isLive, at: now, into: &effects)
        suspectGroups(topology, into: &effects)
        let suspects = episodes.filter {
            $0.value.suffices(parameters) && topology.node(of: $0.key).map(isLive) == true
        }.map(\.key)
        for backend in suspects.sorted(by: { isEarlier($0, $1) }) {
            guard let node = topology.node(of: backend), let episode = episodes[backend],
                !isLeftToOthers(node, at: now)
            else { continue }
            if mayQuarantine(backend, topology, isLive) {
                quarantine(backend, episode, on: node, at: now, using: &generator, into: &effects)
            } else if !episode.isSpared {
                episodes[backend]?.isSpared = true
                effects.spared.append(backend)
            }
        }
        probeWhatIsDue(isLive: isLive, at: now, using: &generator, into: &effects)
    }

    private func isEarlier(_ left: BackendKey, _ right: BackendKey) -> Bool {
        let (first, second) = (episodes[left]?.first, episodes[right]?.first)
        return first == second ? left < right : (first ?? .zero) < (second ?? .zero)
    }

    private mutating func quarantine(
        _ backend: BackendKey, _ episode: BackendEpisode, on node: NodeID, at now: Instant,
        using generator: inout some RandomNumberGenerator, into effects: inout BackendHealthEffects
    ) {
        let relapses = returned.removeValue(forKey: backend).map(\.times) ?? 0
        let quarantine = Quarantine(
            backend: backend, node: node, since: now, failure: episode.lastFailure,
            failures: episode.failures, openings: episode.openings, relapses: relapses)
        held[backend] = HeldBackend(
            quarantine, interface: episode.interface, parameters, using: &generator)
        episodes[backend] = nil
        effects.quarantined.append(quarantine)
    }

    mutating func release(
        _ backend: BackendKey, _ end: QuarantineEnd, at now: Instant,
        into effects: inout BackendHealthEffects
    ) {
        guard let quarantine = held.removeValue(forKey: backend)?.quarantine else { return }
        if end == .answered || end == .expired {
            returned[backend] = (now, quarantine.relapses + 1)
        }
        effects.released.append((quarantine, end))
    }
}
