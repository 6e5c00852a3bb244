// SPDX-License-Identifier: Apache-2.0

import MeshModel
import OrderedCollections

extension Membership {
    // MARK: Suspecting

    mutating func accuse(
        _ slot: Int, _ incarnation: UInt32, by names: [String], isGossip: Bool = true,
        at moment: Moment, into effects: inout MembershipEffects
    ) {
        guard let member = members[slot] else { return }
        // Once each: nobody confirms itself.
        let known = OrderedSet(names.filter { slots[$0] != nil && $0 != member.name }).elements
        guard !known.isEmpty else { return }
        if isNews(member, .suspect, incarnation) {
            move(
                slot, to: .suspect, incarnation, accusers: known, at: moment, into: &effects)
            spread(slot, isGossip: isGossip, before: member.state)
            if !known.contains(own) { hasten(slot) }
        } else if member.state == .suspect, incarnation == member.incarnation {
            let more = known.filter { !member.accusers.contains($0) }
                .prefix(MembershipParameters.Limit.accusers - member.accusers.count)
            guard !more.isEmpty else { return }
            members[slot]?.accusers += more
            // Confirmations travel as far as the accusation (Lifeguard §IV.B).
            queue.add(slot)
            time(slot)
        }
    }

    /// Some of those who hear of a suspicion probe the suspect next: it hears of it, or they confirm.
    private mutating func hasten(_ slot: Int) {
        let share = 2 * parameters.confirmations
        guard parameters.refinements.contains(.earlyVerdicts),
            dice.roll(below: max(census.present, 1)) < share
        else { return }
        rotation.hasten(slot)
    }

    /// Sets the end of a suspicion by what confirms it now, or the first of its last calls.
    mutating func time(_ slot: Int) {
        guard let member = members[slot] else { return }
        let calls = parameters.refinements.contains(.lastCalls) ? parameters.lastCalls : 0
        setTimer(
            slot,
            at: member.suspectedAt + suspicionTimeout(member) - parameters.interval * calls)
    }

    private func suspicionTimeout(_ member: Member) -> Duration {
        let (deniers, speakers) = witnesses.count(of: member.name, at: ownTime.time)
        let confirmations =
            flaws.contains(.confirmationsIgnored) ? 0 : member.accusers.count - 1 + deniers
        // All that live but the first accuser, whoever that is.
        return parameters.suspicionTimeout(
            members: census.present, confirmations: confirmations,
            possible: census[.alive] - 1 + speakers)
    }

    mutating func expireTimers(at moment: Moment, into effects: inout MembershipEffects) {
        while !isLeaving, let slot = popTimer(at: moment.time) {
            expire(slot, at: moment, into: &effects)
        }
    }

    /// A suspect's time is over, or gossip to a dead one.
    private mutating func expire(
        _ slot: Int, at moment: Moment, into effects: inout MembershipEffects
    ) {
        guard let member = members[slot] else { return }
        guard member.state == .suspect else {
            audience.remove(slot)
            return
        }
        let end = member.suspectedAt + suspicionTimeout(member)
        if end > moment.time {
            if parameters.refinements.contains(.lastCalls), !flaws.contains(.nobodyIsCalled) {
                sequence &+= 1
                ping(slot, sequence, into: &effects)
            }
            setTimer(slot, at: min(end, moment.time + parameters.interval))
        } else if isIsolated || moment.time < trustedAt
            || witnesses.areHearing(member.name, at: moment.time)
        {
            setTimer(slot, at: moment.time + parameters.interval)
        } else {
            move(
                slot, to: .dead, member.incarnation, accusers: member.accusers, at: moment,
                into: &effects)
            queue.add(slot)
        }
    }

    /// Whether anybody at all is heard. Only witnesses tell one's own isolation from others' death.
    mutating func noteIsolation(at moment: Moment, into effects: inout MembershipEffects) {
        let isHeard = lastHeard.map { moment.time - $0 <= parameters.testimonyLifetime } ?? false
        let isCutOff =
            !witnesses.isEmpty && !isHeard && !witnesses.isAnyPresent(at: moment.time)
            && !flaws.contains(.isolationIgnored)
        if isCutOff != isIsolated {
            effects.events.append(.isolated(isCutOff))
            isIsolated = isCutOff
        }
        guard isCutOff else { return }
        trustedAt =
            moment.time + parameters.suspicionMinimum(members: census.present)
    }
}
