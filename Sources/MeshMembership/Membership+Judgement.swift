// SPDX-License-Identifier: Apache-2.0

import MeshModel

extension Membership {
    // MARK: Hearing

    mutating func handle(
        _ datagram: Datagram, from sender: Int, at moment: Moment,
        into effects: inout MembershipEffects
    ) {
        lastHeard = moment.time
        if isIsolated { noteIsolation(at: moment, into: &effects) }
        hear(sender, datagram, at: moment, into: &effects)
        let isTable = if case .table = datagram.message { true } else { false }
        for statement in datagram.statements {
            merge(statement, from: sender, isTable: isTable, at: moment, into: &effects)
        }
        // After the statements: an ack already contradicts what the ping said.
        switch datagram.message {
        case .ping(let number):
            send(.ack(number), to: sender, with: reminder(of: sender), into: &effects)
            return
        case .pingRequest(let number, let target):
            help(sender, number, target: target, at: moment.time, into: &effects)
        case .ack(let number):
            acknowledge(number, from: sender, at: moment, into: &effects)
        case .nack(let number):
            countNack(number, from: sender)
        case .gossip:
            break
        case .digest(let digest):
            compare(digest, with: sender)
        case .table(let wantsAnswer):
            if wantsAnswer { tell(sender, wantsAnswer: false) }
        }
        remind(sender, at: moment.time, into: &effects)
    }

    /// The sender itself says that it lives, in that incarnation.
    private mutating func hear(
        _ slot: Int, _ datagram: Datagram, at moment: Moment,
        into effects: inout MembershipEffects
    ) {
        guard let member = members[slot] else { return }
        members[slot]?.heardAt = moment.now
        members[slot]?.isBehind = datagram.incarnation < member.incarnation
        members[slot]?.workload = datagram.workload
        rejoice(slot, datagram.incarnation, isGossip: false, at: moment, into: &effects)
    }

    /// What the sender should know of itself and apparently doesn't; nothing if all is well.
    private func reminder(of slot: Int) -> [Int] {
        guard parameters.refinements.contains(.buddies), let member = members[slot],
            member.state >= .suspect || member.isBehind
        else { return [] }
        return [slot]
    }

    private mutating func remind(
        _ slot: Int, at time: Instant, into effects: inout MembershipEffects
    ) {
        let reminder = reminder(of: slot)
        guard !reminder.isEmpty, !flaws.contains(.deadAreShunned) else { return }
        if let last = members[slot]?.remindedAt, time - last < parameters.interval { return }
        members[slot]?.remindedAt = time
        send(.gossip, to: slot, with: reminder, into: &effects)
    }

    // MARK: Being told

    private mutating func merge(
        _ statement: Statement, from sender: Int, isTable: Bool, at moment: Moment,
        into effects: inout MembershipEffects
    ) {
        guard let slot = slots[statement.name] else {
            counters.strangers += 1
            return
        }
        guard slot != Self.me else {
            hearOfMyself(statement, at: moment, into: &effects)
            return
        }
        let isSerious =
            !parameters.refinements.contains(.credibility) || isPresent(sender)
        switch statement.state {
        case .unknown: break
        case .alive:
            rejoice(
                slot, statement.incarnation, isGossip: !isTable, at: moment, into: &effects)
        case .left:
            bury(slot, statement, isGossip: !isTable, at: moment, into: &effects)
        case .suspect where isSerious:
            accuse(
                slot, statement.incarnation, by: statement.accusers, isGossip: !isTable,
                at: moment, into: &effects)
        case .dead where isSerious:
            if isTable, flaws.contains(.tablesKill) {
                bury(slot, statement, isGossip: false, at: moment, into: &effects)
            } else if isTable {
                let teller = members[sender].map { [$0.name] } ?? []
                accuse(
                    slot, statement.incarnation, by: teller, isGossip: false, at: moment,
                    into: &effects)
            } else {
                hearOfDeath(slot, statement, at: moment, into: &effects)
            }
        case .suspect, .dead: break
        }
    }

    func isNews(_ member: Member, _ state: MemberState, _ incarnation: UInt32) -> Bool {
        (incarnation, state) > (member.incarnation, member.state)
    }

    /// What one hears of a member never heard goes no further, unless it is gossip: others know.
    mutating func spread(_ slot: Int, isGossip: Bool, before: MemberState) {
        if isGossip || before != .unknown { queue.add(slot) }
    }

    private mutating func rejoice(
        _ slot: Int, _ incarnation: UInt32, isGossip: Bool, at moment: Moment,
        into effects: inout MembershipEffects
    ) {
        guard let member = members[slot] else { return }
        let isFlawed =
            flaws.contains(.deadReturn) && member.state == .dead
            && incarnation == member.incarnation
        guard isNews(member, .alive, incarnation) || isFlawed else { return }
        move(slot, to: .alive, incarnation, at: moment, into: &effects)
        spread(slot, isGossip: isGossip, before: member.state)
    }

    private mutating func bury(
        _ slot: Int, _ statement: Statement, isGossip: Bool, at moment: Moment,
        into effects: inout MembershipEffects
    ) {
        guard let member = members[slot], isNews(member, statement.state, statement.incarnation)
        else { return }
        move(
            slot, to: statement.state, statement.incarnation, accusers: statement.accusers,
            at: moment, into: &effects)
        spread(slot, isGossip: isGossip, before: member.state)
    }

    private mutating func hearOfDeath(
        _ slot: Int, _ statement: Statement, at moment: Moment,
        into effects: inout MembershipEffects
    ) {
        guard let member = members[slot], isNews(member, .dead, statement.incarnation) else {
            return
        }
        guard isCredible(statement, of: member, at: moment) else {
            counters.deathsDoubted += 1
            accuse(
                slot, statement.incarnation, by: statement.accusers, at: moment, into: &effects)
            return
        }
        bury(slot, statement, isGossip: true, at: moment, into: &effects)
    }

    /// Two stand behind it, where there are two; and no suspicion is as short as the time since the
    /// dead one itself was heard.
    private func isCredible(_ statement: Statement, of member: Member, at moment: Moment) -> Bool {
        guard parameters.refinements.contains(.credibility) else { return true }
        if witnesses.areHearing(member.name, at: moment.time) { return false }
        if let heardAt = member.heardAt,
            moment.now - heardAt < parameters.suspicionMinimum(members: census.present)
        {
            return false
        }
        var accusers = Set(statement.accusers)
        if member.state == .suspect, member.incarnation == statement.incarnation {
            accusers.formUnion(member.accusers)
        }
        return accusers.count >= 2
    }

    private mutating func hearOfMyself(
        _ statement: Statement, at moment: Moment, into effects: inout MembershipEffects
    ) {
        guard let me = members[Self.me], !isLeaving, !flaws.contains(.noRefutation),
            isNews(me, statement.state, statement.incarnation)
        else { return }
        // The last one can't be contradicted; it takes 4 billion accusations to get there.
        let above = statement.incarnation.addingReportingOverflow(1)
        members[Self.me]?.incarnation = above.overflow ? .max : above.partialValue
        queue.add(Self.me)
        // Of an earlier life: nobody doubts this one.
        guard statement.state == .suspect || statement.state == .dead else { return }
        counters.refutations += 1
        effects.events.append(
            .refuted(incarnation: incarnation, accusers: statement.accusers))
        adjustHealth(by: 1, into: &effects)
        guard parameters.refinements.contains(.buddies) else { return }
        // Who accused will be the first to judge.
        for accuser in statement.accusers {
            guard let slot = slots[accuser], slot != Self.me else { continue }
            send(.gossip, to: slot, with: [Self.me], into: &effects)
        }
    }
}
