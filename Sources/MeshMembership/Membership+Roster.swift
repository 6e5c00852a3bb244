// SPDX-License-Identifier: Apache-2.0

import HeapModule
import MeshModel

/// How many members are in each state, oneself included.
struct Census: Sendable {
    private var counts = [Int](repeating: 0, count: MemberState.allCases.count)

    subscript(state: MemberState) -> Int {
        get { counts[Int(state.rawValue)] }
        set { counts[Int(state.rawValue)] = newValue }
    }

    mutating func move(from before: MemberState, to after: MemberState) {
        self[before] -= 1
        self[after] += 1
    }

    /// N: neither dead nor left.
    var present: Int { self[.unknown] + self[.alive] + self[.suspect] }
}

extension Membership {
    static func isUsable(_ name: String) -> Bool {
        (1...MembershipParameters.Limit.name).contains(name.utf8.count)
    }

    func isPresent(_ slot: Int) -> Bool { members[slot].map { !$0.isGone } ?? false }

    /// Up to `count` of those who get gossip, by chance.
    mutating func choose(_ count: Int, where isWanted: (Member) -> Bool) -> [Int] {
        let members = members
        return audience.random(count, &dice) { members[$0].map(isWanted) ?? false }
    }

    mutating func add(_ name: String, at moment: Moment) {
        let slot = freeSlots.popLast() ?? members.count
        if slot == members.count { members.append(nil) }
        members[slot] = Member(name, at: moment)
        slots[name] = slot
        census[.unknown] += 1
        audience.insert(slot)
        rotation.insert(slot, &dice)
    }

    mutating func remove(_ slot: Int) {
        guard let member = members[slot] else { return }
        census[member.state] -= 1
        slots.removeValue(forKey: member.name)
        members[slot] = nil
        freeSlots.append(slot)
        audience.remove(slot)
        dead.remove(slot)
        rotation.remove(slot)
        queue.remove(slot)
        tellings.removeAll { $0.slot == slot }
        if probe?.slot == slot { probe = nil }
    }

    /// Takes over a state that isn't lower than the one held, with all that follows from it.
    mutating func move(
        _ slot: Int, to state: MemberState, _ incarnation: UInt32, accusers: [String] = [],
        at moment: Moment, into effects: inout MembershipEffects
    ) {
        guard var member = members[slot] else { return }
        let before = member.state
        member.state = state
        member.incarnation = incarnation
        member.accusers = accusers
        member.timer = 0
        if state != before { member.since = moment.now }
        if state == .suspect { member.suspectedAt = moment.time }
        members[slot] = member
        place(slot, state)
        if state == .suspect { time(slot) }
        if state == .dead { setTimer(slot, at: moment.time + parameters.gossipToTheDead) }
        guard state != before else { return }
        census.move(from: before, to: state)
        if state == .dead { counters.deaths += 1 }
        if before == .dead, state < .dead { counters.revivals += 1 }
        effects.events.append(
            .changed(
                MemberChange(
                    name: member.name, from: before, to: state, incarnation: incarnation,
                    accusers: accusers,
                    deniers: accusers.isEmpty
                        ? 0 : witnesses.count(of: member.name, at: moment.time).deniers)))
    }

    private mutating func place(_ slot: Int, _ state: MemberState) {
        switch state {
        case .unknown, .alive, .suspect:
            audience.insert(slot)
            dead.remove(slot)
            rotation.insert(slot, &dice)
        case .dead:
            if flaws.contains(.deadAreShunned) { audience.remove(slot) }
            dead.insert(slot)
        case .left:
            audience.remove(slot)
            dead.remove(slot)
        }
    }

    // MARK: Timers

    mutating func setTimer(_ slot: Int, at time: Instant) {
        timerSerial += 1
        members[slot]?.timer = timerSerial
        timers.insert(Timer(time: time, slot: slot, serial: timerSerial))
        // Void ones leave when their time comes; many may gather before.
        guard timers.count > 4 * members.count + 64 else { return }
        timers = Heap(timers.unordered.filter { isValid($0) })
    }

    var timerCount: Int { timers.count }

    func isValid(_ timer: Timer) -> Bool { members[timer.slot]?.timer == timer.serial }

    /// The slot whose timer is the next due, if it is due.
    mutating func popTimer(at time: Instant) -> Int? {
        while let first = timers.min {
            let isVoid = !isValid(first)
            guard isVoid || first.time <= time else { return nil }
            timers.removeMin()
            if !isVoid { return first.slot }
        }
        return nil
    }
}
