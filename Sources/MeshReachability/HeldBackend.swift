// SPDX-License-Identifier: Apache-2.0

public import MeshModel
import OrderedCollections

/// A backend in quarantine, and the probes that may bring it back.
struct HeldBackend: Sendable {
    let quarantine: Quarantine
    let interface: UInt32
    /// Nil while a probe is under way, and for what can't be probed.
    var nextProbe: Instant?
    private var interval: Duration
    private var successes = 0
    /// When it returns untried.
    private var unprobedUntil: Instant?

    init(
        _ quarantine: Quarantine, interface: UInt32, _ parameters: BackendHealthParameters,
        using generator: inout some RandomNumberGenerator
    ) {
        self.quarantine = quarantine
        self.interface = interface
        interval = parameters.probeInterval
        if quarantine.backend.transport == .tcp {
            nextProbe =
                quarantine.since
                + parameters.jittered(
                    doubled(parameters.hold, quarantine.relapses, parameters.holdMaximum),
                    using: &generator)
        } else {
            waitUntried(at: quarantine.since, parameters)
        }
    }

    private mutating func waitUntried(at now: Instant, _ parameters: BackendHealthParameters) {
        guard unprobedUntil == nil else { return }
        unprobedUntil =
            now
            + doubled(
                parameters.unprobedHold, quarantine.relapses, parameters.unprobedHoldMaximum)
    }

    var isBeingProbed: Bool { nextProbe == nil && quarantine.backend.transport == .tcp }

    func isExpired(at now: Instant) -> Bool { unprobedUntil.map { $0 <= now } ?? false }

    /// - Returns: whether the backend may return.
    mutating func finish(
        _ outcome: ProbeOutcome, at now: Instant, _ parameters: BackendHealthParameters,
        using generator: inout some RandomNumberGenerator
    ) -> Bool {
        // Nobody will ever answer an endpoint that isn't allowed.
        if outcome == .impossible || outcome == .denied {
            waitUntried(at: now, parameters)
        } else {
            unprobedUntil = nil
        }
        guard outcome != .answered else {
            successes += 1
            nextProbe = now + parameters.probeConfirmation
            return successes >= parameters.probesUntilReturn
        }
        successes = 0
        nextProbe = now + parameters.jittered(interval, using: &generator)
        interval = min(interval * 2, parameters.probeIntervalMaximum)
        return false
    }
}

/// `base` × 2^`times`, bounded.
private func doubled(_ base: Duration, _ times: Int, _ maximum: Duration) -> Duration {
    min(base * (1 << min(times, 20)), maximum)
}

extension BackendHealthParameters {
    fileprivate func jittered(
        _ duration: Duration, using generator: inout some RandomNumberGenerator
    ) -> Duration {
        let reach = Int64(Double(duration.nanoseconds) * probeJitter)
        guard reach > 0 else { return duration }
        return duration + .nanoseconds(Int64.random(in: -reach...reach, using: &generator))
    }
}

extension BackendHealth {
    /// Takes in what came of a probe.
    public mutating func finish(
        _ backend: BackendKey, _ outcome: ProbeOutcome, at now: Instant,
        using generator: inout some RandomNumberGenerator, into effects: inout BackendHealthEffects
    ) {
        guard var holding = held[backend], holding.isBeingProbed else { return }
        if [.answered, .refused, .denied].contains(outcome) {
            signs[holding.quarantine.node] = now
        }
        let returns = holding.finish(outcome, at: now, parameters, using: &generator)
        held[backend] = holding
        if returns { release(backend, .answered, at: now, into: &effects) }
    }

    mutating func probeWhatIsDue(
        isLive: (NodeID) -> Bool, at now: Instant,
        using generator: inout some RandomNumberGenerator, into effects: inout BackendHealthEffects
    ) {
        for (backend, holding) in Array(held) where holding.isExpired(at: now) {
            release(backend, .expired, at: now, into: &effects)
        }
        let due = held.filter { $0.value.nextProbe.map { $0 <= now } ?? false }
            .sorted { ($0.value.nextProbe ?? .zero) < ($1.value.nextProbe ?? .zero) }
        var room = parameters.probesMaximum - held.values.count { $0.isBeingProbed }
        for (backend, holding) in due where room > 0 && isLive(holding.quarantine.node) {
            held[backend]?.nextProbe = nil
            effects.probes.append(
                ProbeRequest(backend: backend, interface: holding.interface))
            room -= 1
        }
    }
}
