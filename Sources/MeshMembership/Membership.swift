// SPDX-License-Identifier: Apache-2.0

import HeapModule
public import MeshModel

/// Which nodes of the own cluster are alive: SWIM with Lifeguard over an authoritative roster.
///
/// A value without clock, socket or log. The shell hands in every opened datagram with its
/// authenticated sender, then calls ``tick(at:into:)`` if ``nextWake`` has come, and performs the
/// effects. It stamps `now` from one monotonic clock, as late as it can: lateness is measured.
/// ``receive(_:from:at:into:)`` judges nobody, so that a shell that first reads all that waits gives
/// every answer its chance.
///
/// - The roster says who there is, this core only whether they live. A name outside of it is
///   ignored.
/// - What is held of a member is a pair of incarnation and state that only rises. Only the member
///   itself raises its incarnation, to contradict what is said of it.
/// - Unknown is not dead; see ``MemberState/unknown``.
/// - Time during which this process was held up is held against nobody. With witnesses outside the
///   cluster configured, neither is time during which it hears neither them nor any member. Without
///   them a member cut off from all others can't tell that from their death: it takes the longest
///   suspicion, and its verdict is believed by nobody else until they confirm it.
///
/// Idle, a member sends one ping and one ack per period, 18 bytes each: 180 B/s at 200 ms, whatever
/// the size of the roster, and a 22-byte digest per ``MembershipParameters/syncInterval``.
///
/// - Complexity: a call is `O(1)` in the size of the roster but for ``configure(roster:witnesses:at:into:)``,
///   comparing tables and, once per traversal, the shuffle. Memory is `O(roster)`, some 300 bytes a
///   member.
public struct Membership: Sendable {
    /// Oneself in `members`.
    static let me = 0

    public let own: String
    let parameters: MembershipParameters
    var flaws: Flaws = [] {
        didSet { ownTime = OwnTime(parameters, flaws: flaws) }
    }
    var dice: Dice
    var ownTime: OwnTime
    public internal(set) var counters = MembershipCounters()

    // Who there is; a free slot is nil.
    var members: [Member?] = []
    var slots: [String: Int] = [:]
    var freeSlots: [Int] = []
    var census = Census()
    /// Who gets gossip: all but those gone, and these for a while.
    var audience = SlotSet()
    var dead = SlotSet()
    var rotation = Rotation()
    var timers = Heap<Timer>()
    var timerSerial: UInt64 = 0

    // Oneself.
    public internal(set) var isLeaving = false
    var awareness: Awareness
    var witnesses: Witnesses
    var lastHeard: Instant?
    public internal(set) var isIsolated = false
    /// In own time: nobody is accused until then, for this member has just been isolated.
    var trustedAt = Instant.zero

    // What is under way.
    var sequence: UInt32 = 0
    var probe: Probe?
    var nextProbe: Instant?
    var revivalCredit = 0.0
    var errands = Errands()
    var roundTrips = RoundTrips()
    var queue = GossipQueue()
    var nextGossip = Instant.zero
    var tellings: [Telling] = []
    var nextSync: Instant?
    var syncs = 0

    /// When ``tick(at:into:)`` wants to be called; nil before the first roster.
    public private(set) var nextWake: Instant?

    /// - Parameters:
    ///   - own: the name of this node.
    ///   - incarnation: best above that of its last life, but it needn't be: it learns that and
    ///     goes above.
    ///   - seed: of the order in which others are asked; another one in each process.
    public init(
        own: String, incarnation: UInt32 = 1, parameters: MembershipParameters = .default,
        seed: UInt64
    ) {
        self.own = own
        self.parameters = parameters
        dice = Dice(seed: seed)
        ownTime = OwnTime(parameters, flaws: [])
        awareness = Awareness(maximum: parameters.awarenessMaximum)
        witnesses = Witnesses(parameters)
        var me = Member(own, at: Moment(now: .zero, time: .zero))
        me.state = .alive
        me.incarnation = incarnation
        members.append(me)
        slots[own] = Self.me
        census[.alive] = 1
    }

    // MARK: What the shell calls

    /// Replaces the names that count, and the relays of other clusters whose testimony does, of which
    /// the first 32 are taken. Who stays keeps all that is held of it.
    public mutating func configure(
        roster: some Sequence<String>, witnesses: [NodeID] = [], at now: Instant,
        into effects: inout MembershipEffects
    ) {
        let moment = enter(at: now, into: &effects)
        let names = Set(roster)
        for slot in members.indices.dropFirst() {
            if let member = members[slot], !names.contains(member.name) { remove(slot) }
        }
        // Sorted: the order of a set differs in every process.
        for name in names.sorted() where slots[name] == nil && Self.isUsable(name) {
            add(name, at: moment)
        }
        self.witnesses.configure(witnesses)
        if nextProbe == nil { begin(at: moment) }
        finish(moment)
    }

    /// Takes the plaintext of a datagram whose sender the transport has authenticated, once.
    public mutating func receive(
        _ bytes: [UInt8], from name: String, at now: Instant,
        into effects: inout MembershipEffects
    ) {
        let moment = enter(at: now, into: &effects)
        defer { finish(moment) }
        guard let sender = slots[name], sender != Self.me else {
            counters.unknownSenders += 1
            effects.events.append(.rejected(from: name, .unknownSender))
            return
        }
        guard let datagram = decode(bytes, from: name, into: &effects) else { return }
        handle(datagram, from: sender, at: moment, into: &effects)
    }

    /// Sends what is due, and judges who didn't answer in time.
    public mutating func tick(at now: Instant, into effects: inout MembershipEffects) {
        let moment = enter(at: now, into: &effects)
        run(at: moment, into: &effects)
        finish(moment)
    }

    /// Tells the others that this node goes. It may stop once ``hasToldAll``; the rest, if any, will
    /// find it dead.
    public mutating func leave(at now: Instant, into effects: inout MembershipEffects) {
        let moment = enter(at: now, into: &effects)
        defer { finish(moment) }
        guard !isLeaving else { return }
        isLeaving = true
        probe = nil
        members[Self.me]?.state = .left
        members[Self.me]?.since = moment.now
        census.move(from: .alive, to: .left)
        for slot in choose(parameters.farewells, where: { !$0.isGone }) {
            send(.gossip, to: slot, with: [Self.me], into: &effects)
        }
        queue.add(Self.me)
        run(at: moment, into: &effects)
    }

    /// Whether what this member had to say has been told often enough.
    public var hasToldAll: Bool { queue.isEmpty || audience.isEmpty }

    /// What a relay of another cluster says of the heartbeats it gets from members, this one included.
    /// It may hold back a death or hasten one; it never suffices for one.
    ///
    /// - Parameter words: names, and whether their beats arrive with fresh echoes. Takes the place of all
    ///   that this witness said before: of whom it says nothing now, it no longer knows anything.
    public mutating func testify(
        _ words: [String: Bool], by witness: NodeID, at now: Instant,
        into effects: inout MembershipEffects
    ) {
        let moment = enter(at: now, into: &effects)
        defer { finish(moment) }
        let known = words.filter { slots[$0.key] != nil }
        guard witnesses.testify(known, by: witness, at: moment.time) else {
            counters.strangeTestimonies += UInt64(words.count)
            return
        }
        counters.strangeTestimonies += UInt64(words.count - known.count)
        noteIsolation(at: moment, into: &effects)
        for name in known.keys.sorted() where known[name] == false {
            if let slot = slots[name], members[slot]?.state == .suspect { time(slot) }
        }
    }

    // MARK: What it knows

    /// This member's own; others' are in their ``MemberStatus``.
    public var incarnation: UInt32 { members[Self.me]?.incarnation ?? 0 }

    /// The factor on this member's own interval and timeout, 1...8.
    public var health: Int { awareness.factor }

    /// This member's own, told with every datagram; nil: not known.
    public var workload: Workload? {
        get { members[Self.me]?.workload }
        set { members[Self.me]?.workload = newValue }
    }

    /// Of all that live, this one included, but for those named; whoever doesn't say counts like the
    /// mean of the others. `O(n)`.
    public func totalWorkload(without leaving: Set<String> = []) -> Workload? {
        var sum = WorkloadSum()
        var count = 0
        for case let member? in members where member.isLiving && !leaving.contains(member.name) {
            count += 1
            if let workload = member.workload { sum.add(workload) }
        }
        return sum.scaled(to: count)
    }

    public func status(of name: String) -> MemberStatus? {
        slots[name].flatMap { members[$0]?.status }
    }

    /// Oneself included, sorted by name. `O(n log n)`.
    public var statuses: [MemberStatus] {
        members.compactMap { $0?.status }.sorted { $0.name < $1.name }
    }

    // MARK: -

    private mutating func enter(
        at now: Instant, into effects: inout MembershipEffects
    ) -> Moment {
        let (moment, overslept) = ownTime.enter(at: now)
        guard let overslept else { return moment }
        counters.late += 1
        effects.events.append(.late(by: overslept))
        adjustHealth(by: 1, into: &effects)
        // Much may have happened meanwhile.
        if overslept >= parameters.suspicionMinimum(members: census.present) {
            nextSync = nextSync.map { min($0, moment.time + parameters.interval) }
        }
        return moment
    }

    private mutating func finish(_ moment: Moment) {
        nextWake = ownTime.ask(for: wake)
    }

    private mutating func decode(
        _ bytes: [UInt8], from name: String, into effects: inout MembershipEffects
    ) -> Datagram? {
        guard bytes.count <= MembershipParameters.Limit.datagram else {
            counters.oversized += 1
            effects.events.append(.rejected(from: name, .oversized))
            return nil
        }
        do throws(DecodingFault) {
            return try Datagram(encoded: bytes)
        } catch {
            if case .unsupportedVersion(let version) = error {
                counters.unsupportedVersions += 1
                effects.events.append(.rejected(from: name, .unsupportedVersion(version)))
            } else {
                counters.malformed += 1
                effects.events.append(.rejected(from: name, .malformed(error)))
            }
            return nil
        }
    }

    /// First roster: announces itself, and asks what it missed.
    private mutating func begin(at moment: Moment) {
        members[Self.me]?.since = moment.now
        isIsolated = false
        lastHeard = moment.time
        nextProbe = moment.time + dice.roll(below: parameters.interval)
        nextSync = moment.time + dice.roll(below: parameters.interval)
        queue.add(Self.me)
    }
}
