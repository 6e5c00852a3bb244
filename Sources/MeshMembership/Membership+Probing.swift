// SPDX-License-Identifier: Apache-2.0

import HeapModule
import MeshModel

extension Membership {
    // MARK: When

    /// In own time.
    var wake: Instant? {
        guard let nextProbe else { return nil }
        var wake: [Instant] = []
        let settledAt = ownTime.settledAt
        if let probe {
            wake.append(max(probe.due(early: isEarly), settledAt))
        } else if !isLeaving {
            wake.append(nextProbe)
        }
        if let timer = timers.min?.time, !isLeaving { wake.append(max(timer, settledAt)) }
        if let errand = errands.nextWake { wake.append(max(errand, settledAt)) }
        if !queue.isEmpty && !audience.isEmpty || !tellings.isEmpty { wake.append(nextGossip) }
        if let nextSync, !isLeaving { wake.append(nextSync) }
        return wake.min()
    }

    mutating func run(at moment: Moment, into effects: inout MembershipEffects) {
        let time = moment.time
        guard let nextProbe else { return }
        noteIsolation(at: moment, into: &effects)
        if time >= ownTime.settledAt {
            stepProbe(at: moment, into: &effects)
            expireTimers(at: moment, into: &effects)
            deny(at: time, into: &effects)
        }
        if probe == nil, time >= nextProbe, !isLeaving { startProbe(at: moment, into: &effects) }
        if let nextSync, time >= nextSync, !isLeaving { sync(at: time, into: &effects) }
        if time >= nextGossip { gossip(at: time, into: &effects) }
    }

    // MARK: Asking

    private var isEarly: Bool { parameters.refinements.contains(.earlyVerdicts) }
    private var factor: Int { flaws.contains(.scoreIgnored) ? 1 : awareness.factor }

    private var ackTimeout: Duration {
        let measured = roundTrips.slowest * parameters.ackTimeoutRoundTrips
        let timeout = max(parameters.ackTimeout, min(measured, parameters.interval / 2))
        return parameters.refinements.contains(.scaledTimeouts) ? timeout * factor : timeout
    }

    private mutating func startProbe(at moment: Moment, into effects: inout MembershipEffects) {
        let period = parameters.interval * factor
        // Keep the pace, but don't catch up.
        let planned = (nextProbe ?? moment.time) + period
        nextProbe = planned > moment.time ? planned : moment.time + period
        pingTheDead(period, at: moment, into: &effects)
        guard let slot = nextTarget() else {
            // Nobody to be slow with.
            adjustHealth(by: -1, into: &effects)
            return
        }
        sequence &+= 1
        probe = Probe(
            slot: slot, sequence: sequence, sentAt: moment.time, timeout: ackTimeout,
            end: moment.time + period)
        counters.probes += 1
        ping(slot, sequence, into: &effects)
    }

    private mutating func nextTarget() -> Int? {
        let members = members
        return rotation.next(&dice) { members[$0]?.isGone == false }
    }

    /// A ping to one that is suspect or dead says so: it can refute with its ack.
    mutating func ping(_ slot: Int, _ sequence: UInt32, into effects: inout MembershipEffects) {
        let isAccused = members[slot].map { $0.state >= .suspect } ?? false
        let isTold = isAccused && parameters.refinements.contains(.buddies)
        send(.ping(sequence), to: slot, with: isTold ? [slot] : [], into: &effects)
    }

    /// Each of the dead gets so many pings per second from all the living together.
    private mutating func pingTheDead(
        _ period: Duration, at moment: Moment, into effects: inout MembershipEffects
    ) {
        guard !dead.isEmpty, !flaws.contains(.deadAreShunned) else { return }
        let share = Double(dead.count) / Double(max(census.present, 1))
        revivalCredit = min(
            revivalCredit + parameters.revivalPingsPerSecond * period.seconds * share, 1)
        guard revivalCredit >= 1, let slot = dead.random(&dice) else { return }
        revivalCredit -= 1
        sequence &+= 1
        ping(slot, sequence, into: &effects)
    }

    // MARK: Judging

    private mutating func stepProbe(at moment: Moment, into effects: inout MembershipEffects) {
        guard let current = probe, current.due(early: isEarly) <= moment.time else { return }
        guard current.isIndirect || current.end <= moment.time else {
            askHelpers(into: &effects)
            return
        }
        probe = nil
        fail(current, at: moment, into: &effects)
    }

    private mutating func askHelpers(into effects: inout MembershipEffects) {
        guard var current = probe, let target = members[current.slot]?.name else { return }
        let helpers = choose(parameters.helpers) { $0.state == .alive && $0.name != target }
        current.isIndirect = true
        current.helpers = helpers.compactMap { members[$0]?.name }
        probe = current
        // One lost datagram is weather.
        ping(current.slot, current.sequence, into: &effects)
        for helper in helpers {
            send(.pingRequest(current.sequence, target: target), to: helper, into: &effects)
        }
    }

    private mutating func fail(
        _ failed: Probe, at moment: Moment, into effects: inout MembershipEffects
    ) {
        guard let member = members[failed.slot], !member.isGone else { return }
        counters.probesFailed += 1
        let isKnown = member.state != .unknown
        if isKnown {
            // A helper that doesn't even say no is one I can't hear.
            let usesNacks = parameters.refinements.contains(.nacks) && !failed.helpers.isEmpty
            adjustHealth(
                by: usesNacks ? failed.helpers.count - failed.deniers.count : 1, into: &effects)
        }
        guard isKnown || mayAccuseUnknown(member, at: moment) else { return }
        guard moment.time >= trustedAt, !isIsolated else {
            counters.accusationsWithheld += 1
            return
        }
        counters.accusations += 1
        accuse(failed.slot, member.incarnation, by: [own], at: moment, into: &effects)
    }

    /// Whether silence of a member never heard means anything: it had its time to start, and
    /// somebody else is there whom I hear.
    private func mayAccuseUnknown(_ member: Member, at moment: Moment) -> Bool {
        moment.time - member.addedAt >= parameters.unknownGrace
            && (census[.alive] > 1 || witnesses.isAnyPresent(at: moment.time))
    }

    mutating func adjustHealth(by delta: Int, into effects: inout MembershipEffects) {
        let before = awareness.factor
        awareness.add(delta)
        guard awareness.factor != before else { return }
        effects.events.append(.healthChanged(from: before, to: awareness.factor))
    }

    // MARK: Answers

    mutating func acknowledge(
        _ number: UInt32, from slot: Int, at moment: Moment, into effects: inout MembershipEffects
    ) {
        guard let name = members[slot]?.name else { return }
        if let current = probe, current.sequence == number,
            current.slot == slot || current.helpers.contains(name)
        {
            if current.slot == slot { roundTrips.add(moment.time - current.sentAt) }
            probe = nil
            adjustHealth(by: -1, into: &effects)
        } else if let errand = errands.acknowledge(number, from: name),
            let asker = slots[errand.asker]
        {
            send(.ack(errand.askedAs), to: asker, into: &effects)
        }
    }

    mutating func countNack(_ number: UInt32, from slot: Int) {
        guard let name = members[slot]?.name, probe?.sequence == number,
            probe?.helpers.contains(name) == true, probe?.deniers.contains(name) == false
        else { return }
        probe?.deniers.append(name)
    }

    // MARK: Helping

    mutating func help(
        _ asker: Int, _ number: UInt32, target: String, at time: Instant,
        into effects: inout MembershipEffects
    ) {
        guard let askerName = members[asker]?.name, let slot = slots[target], slot != Self.me else {
            counters.strangers += 1
            return
        }
        sequence &+= 1
        let errand = Errands.Errand(
            asker: askerName, askedAs: number, target: target,
            nackAt: time + parameters.ackTimeout * parameters.nackShare,
            endsAt: time + parameters.interval)
        guard errands.add(errand, as: sequence) else {
            counters.errandsRefused += 1
            return
        }
        ping(slot, sequence, into: &effects)
    }

    private mutating func deny(at time: Instant, into effects: inout MembershipEffects) {
        for errand in errands.due(at: time) {
            guard parameters.refinements.contains(.nacks), let asker = slots[errand.asker]
            else { continue }
            send(.nack(errand.askedAs), to: asker, into: &effects)
        }
    }
}
