// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshSimulation

@testable import MeshLease

/// What is wrong on purpose, to see whether the simulation notices.
enum PlantedBug: CaseIterable {
    /// The holder counts from the answer's arrival instead of from before it asked.
    case countsFromAnswer
    /// The candidate doesn't wait.
    case isImpatient
    /// The candidate believes its clock when that has jumped ahead.
    case trustsJumps
    /// The store forgets to compare versions.
    case storeIsUnconditional
    /// The holder believes until a timer tells it otherwise, and timers come late after a pause.
    case believesUntilTold
}

/// Keepers with clocks of their own and one store, with a network between them.
struct LeaseWorld {
    enum Node: Hashable {
        case world
        case store
        case keeper(Int)
    }

    enum Event {
        case timer
        case request(from: Int, life: Int, LeaseCall)
        case answer(life: Int, id: UInt64, LeaseAnswer)
        case push(LeaseState?)
        case fault
    }

    /// A clock that runs at its own rate, 1 being right, and may jump ahead.
    struct Clock {
        var rate: Double
        var ahead: Duration

        func reading(at real: Instant) -> Instant {
            Instant.zero + .nanoseconds(Int64(Double(real.nanoseconds) * rate)) + ahead
        }

        /// First real instant at which the clock shows `local`.
        func real(_ local: Instant) -> Instant {
            guard local.nanoseconds < UInt64(Int64.max) else { return local }
            let shown = max((local - Instant.zero - ahead).nanoseconds, 0)
            return Instant(nanoseconds: UInt64(Double(shown) / rate) + 1)
        }
    }

    struct Member {
        var keeper: LeaseKeeper
        var clock: Clock
        var life = 0
        var isAlive = true
        var timerAt: Instant?
        /// The highest numbers it saw, as its disk keeps them.
        var disk = LeaseRecord.initial
    }

    var simulation: Simulation<Node, Event>
    var store = MemoryStore()
    var members: [Member]
    let bug: PlantedBug?
    var tellsChanges: Bool
    var isDeleted = false
    /// Calls that reached the store.
    var requests = 0
    private(set) var violations: [String] = []
    private(set) var acquisitions: [(member: Int, time: Instant, token: UInt64)] = []
    private(set) var epochs: Set<UInt32> = []
    private var reserved: UInt32 = 0

    var now: Instant { simulation.now }

    /// - Parameter drift: how wrong a clock may run, as a share.
    init(seed: UInt64, members count: Int, drift: Double, tellsChanges: Bool, bug: PlantedBug?) {
        self.bug = bug
        self.tellsChanges = tellsChanges
        simulation = Simulation(
            seed: seed, start: .zero + .seconds(100),
            network: Network { _, _ in
                Link(latency: .milliseconds(1), jitter: .milliseconds(9))
            })
        store.isUnconditional = bug == .storeIsUnconditional
        members = []
        for index in 0..<count {
            let rate = 1 + drift * (2 * simulation.generator.unit() - 1)
            let ahead = simulation.generator.duration(below: .seconds(1000))
            members.append(
                Member(
                    keeper: LeaseKeeper(
                        holder: LeaseHolder(node: "n\(index)", instance: 1),
                        parameters: .contended),
                    clock: Clock(rate: rate, ahead: ahead)))
        }
        for index in members.indices { schedule(index) }
    }

    // MARK: Running

    mutating func run(until end: Instant, onFault: (inout LeaseWorld) -> Void = { _ in }) {
        while let (node, event) = simulation.next(until: end) {
            switch (node, event) {
            case (.store, .request(let member, let life, let call)): serve(call, of: member, life)
            case (.keeper(let index), .answer(let life, let id, let answer)):
                if life == members[index].life { receive(answer, to: id, at: index) }
            case (.keeper(let index), .timer):
                members[index].timerAt = nil
                act(index) { $0.step(at: $1, using: &$2) }
            case (.keeper(let index), .push(let state)):
                act(index) { $0.observe(state, at: $1, using: &$2) }
            case (.world, .fault): onFault(&self)
            default: break
            }
            check()
        }
        check()
    }

    mutating func run(for duration: Duration) { run(until: now + duration) }

    private mutating func serve(_ call: LeaseCall, of member: Int, _ life: Int) {
        requests += 1
        let former = store.state
        let answer = store.answer(call.request)
        simulation.send(
            .answer(life: life, id: call.id, answer), from: .store, to: .keeper(member))
        guard tellsChanges, former != store.state else { return }
        for index in members.indices {
            simulation.send(.push(store.state), from: .store, to: .keeper(index))
        }
    }

    private mutating func receive(_ answer: LeaseAnswer, to id: UInt64, at index: Int) {
        act(index) { $0.receive(answer, to: id, at: $1, using: &$2) }
        let local = members[index].clock.reading(at: now)
        guard bug == .countsFromAnswer, case .swap(.swapped) = answer,
            case .holding(let token, _) = members[index].keeper.phase
        else { return }
        members[index].keeper.phase = .holding(token: token, until: local + .seconds(2))
        schedule(index)
    }

    mutating func act(
        _ index: Int,
        _ body: (inout LeaseKeeper, Instant, inout SeededGenerator) -> [LeaseEffect]
    ) {
        guard members[index].isAlive else { return }
        if bug == .isImpatient { members[index].keeper.watched = .seconds(3) }
        let local = members[index].clock.reading(at: now)
        if bug == .trustsJumps, let last = members[index].keeper.lastStep {
            let unseen = local - last - LeaseParameters.contended.watchedAtOnce
            members[index].keeper.watched += max(unseen, .zero)
        }
        let effects = body(&members[index].keeper, local, &simulation.generator)
        for effect in effects { perform(effect, of: index) }
        schedule(index)
    }

    private mutating func perform(_ effect: LeaseEffect, of index: Int) {
        switch effect {
        case .call(let call):
            simulation.send(
                .request(from: index, life: members[index].life, call), from: .keeper(index),
                to: .store)
        case .acquired(let tenure):
            if !isDeleted, let last = acquisitions.last, last.token >= tenure.token {
                violations.append("token \(tenure.token) after \(last.token)")
            }
            acquisitions.append((index, now, tenure.token))
            // Everybody's disk is asked, as a new publisher asks every node it reaches.
            let epoch = members.map(\.disk.epoch).reduce(tenure.epoch, max) + 1
            request(index) { keeper, local, generator throws(LeaseRefusal) in
                try keeper.open(epoch: epoch, at: local, using: &generator)
            }
            request(index) { keeper, local, generator throws(LeaseRefusal) in
                try keeper.reserve(1024, at: local, using: &generator)
            }
        case .opened(let epoch):
            if !epochs.insert(epoch).inserted { violations.append("epoch \(epoch) opened twice") }
            if !believes(index) { violations.append("epoch opened without the lease") }
            members[index].disk.epoch = epoch
        case .reserved(let range):
            if !isDeleted, range.lowerBound < reserved {
                violations.append("identities from \(range.lowerBound) reserved twice")
            }
            reserved = max(reserved, range.upperBound)
        case .lost, .failed: break
        case .observed(let record):
            if let record {
                members[index].disk.token = max(members[index].disk.token, record.token)
                members[index].disk.epoch = max(members[index].disk.epoch, record.epoch)
                members[index].disk.identities = max(
                    members[index].disk.identities, record.identities)
            }
        }
    }

    private mutating func request(
        _ index: Int,
        _ body: (inout LeaseKeeper, Instant, inout SeededGenerator) throws(LeaseRefusal)
            -> [LeaseEffect]
    ) {
        act(index) { keeper, local, generator in
            do { return try body(&keeper, local, &generator) } catch { return [] }
        }
    }

    private mutating func schedule(_ index: Int) {
        let member = members[index]
        let wake = max(member.clock.real(member.keeper.wake), now)
        guard member.isAlive, member.timerAt.map({ wake < $0 }) ?? true,
            wake < now + .seconds(3600)
        else { return }
        members[index].timerAt = wake
        simulation.schedule(.timer, for: .keeper(index), at: wake)
    }

    // MARK: What must hold

    func believes(_ index: Int) -> Bool {
        let member = members[index]
        guard member.isAlive else { return false }
        if bug == .believesUntilTold, case .holding = member.keeper.phase { return true }
        return member.keeper.tenure(at: member.clock.reading(at: now)) != nil
    }

    var believers: [Int] { members.indices.filter { believes($0) } }

    /// A belief begins only with an event, and so this look after each of them misses none.
    private mutating func check() {
        let believers = believers
        if believers.count > 1 { violations.append("members \(believers) believe at \(now)") }
    }

    // MARK: Faults

    mutating func kill(_ index: Int) {
        members[index].isAlive = false
        members[index].life += 1
        simulation.kill(.keeper(index))
    }

    mutating func revive(_ index: Int) {
        guard !members[index].isAlive else { return }
        simulation.revive(.keeper(index))
        let member = members[index]
        members[index].isAlive = true
        members[index].timerAt = nil
        members[index].keeper = LeaseKeeper(
            holder: LeaseHolder(node: "n\(index)", instance: UInt64(member.life) + 1),
            parameters: .contended, floor: member.disk)
        schedule(index)
    }

    mutating func release(_ index: Int) { act(index) { $0.release(at: $1, using: &$2) } }

    mutating func delete() {
        isDeleted = true
        store.delete()
    }
}
