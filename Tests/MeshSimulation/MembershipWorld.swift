// SPDX-License-Identifier: Apache-2.0

public import MeshMembership
public import MeshModel

/// A cluster of members in virtual time, and the relays of others that hear them.
///
/// Members are 0..<`size`, witnesses follow. The links between them are `simulation.network`'s.
public struct MembershipWorld {
    public enum Event: Sendable {
        case wake
        case datagram([UInt8], from: Int)
        // A member's heartbeats to witnesses, and what these make of them.
        case beatDue
        case beat(from: Int)
        case testimonyDue
        case testimony([String: Bool], by: Int)
        /// Of the world: holds a member up once more.
        case starve(Int, Starvation)
    }

    /// Runs for `running` of each `period` only.
    public struct Starvation: Sendable {
        public let running: Duration
        public let period: Duration
        public let until: Instant
    }

    /// How the world treats everybody.
    public struct Weather: Sendable {
        public var link = Link(latency: .microseconds(300), jitter: .microseconds(700))
        /// Share of datagrams that arrive twice.
        public var duplication = 0.0
        /// How late timers are: evenly in zero..<this.
        public var timerJitter = Duration.milliseconds(1)

        public init(loss: Double = 0) { link.loss = loss }
    }

    public struct Change: Sendable {
        public let time: Instant
        public let observer: Int
        public let subject: Int
        public let change: MemberChange
        /// Neither crashed nor held up at that time.
        public let isSubjectWell: Bool
    }

    struct Node {
        var core: Membership
        var wake: Instant?
        var isRunning = true
    }

    /// Events of this pseudo node are the world's own.
    private static let world = -1
    private static let beatInterval = Duration.milliseconds(200)
    /// Three beats missing.
    private static let beatTimeout = Duration.milliseconds(650)

    public let seed: UInt64
    public let size: Int
    public let witnesses: Int
    /// Setting it sets all links anew.
    public var weather: Weather {
        didSet { simulation.network = Self.network(weather) }
    }
    private let makeCore: (String, UInt64) -> Membership
    public var simulation: Simulation<Int, Event>
    private var nodes: [Node] = []
    private var lastBeats: [[Instant?]] = []
    private var lives: UInt64 = 0
    private var pausedUntil: [Instant]
    /// Incarnations each observer has held dead: [observer][subject].
    private var deadIncarnations: [[UInt32?]]
    public private(set) var changes: [Change] = []
    public private(set) var events: [(time: Instant, node: Int, event: MembershipEvent)] = []
    /// Sentences about what must never happen and did.
    public private(set) var violations: [String] = []
    public private(set) var largestDatagram = 0

    /// - Parameter makeCore: of a name and a seed, for each life of each member.
    public init(
        seed: UInt64, size: Int, witnesses: Int = 0, weather: Weather = Weather(),
        makeCore: @escaping (String, UInt64) -> Membership
    ) {
        self.seed = seed
        self.size = size
        self.witnesses = witnesses
        self.weather = weather
        self.makeCore = makeCore
        pausedUntil = Array(repeating: .zero, count: size)
        deadIncarnations = Array(repeating: Array(repeating: nil, count: size), count: size)
        lastBeats = Array(repeating: Array(repeating: nil, count: size), count: witnesses)
        simulation = Simulation(
            seed: seed, start: Instant(nanoseconds: 3_600_000_000_000),
            network: Self.network(weather))
        for index in 0..<size { start(index) }
        for witness in 0..<witnesses { scheduleSoon(.testimonyDue, for: size + witness) }
    }

    private static func network(_ weather: Weather) -> Network<Int> {
        Network { _, _ in weather.link }
    }

    public var now: Instant { simulation.now }
    public var members: Range<Int> { 0..<size }

    public static func name(_ member: Int) -> String { "node-\(member)" }

    private static func index(_ name: String) -> Int { Int(name.dropFirst(5))! }

    private func witness(_ index: Int) -> NodeID {
        NodeID(cluster: ClusterID(rawValue: UInt16(2 + index))!, name: "relay")!
    }

    // MARK: Running

    public mutating func run(for duration: Duration) {
        let end = now + duration
        while let (id, event) = simulation.next(until: end) { handle(event, at: id) }
    }

    private mutating func handle(_ event: Event, at id: Int) {
        var effects = MembershipEffects()
        switch event {
        case .wake:
            guard let wake = nodes[id].wake, wake <= now else { return }
            nodes[id].wake = nil
            nodes[id].core.tick(at: now, into: &effects)
            if let next = nodes[id].core.nextWake, next <= now {
                violations.append("member \(id) ran and wants to run again at once")
            }
        case .datagram(let bytes, let from):
            nodes[id].core.receive(bytes, from: Self.name(from), at: now, into: &effects)
        case .testimony(let words, let by):
            nodes[id].core.testify(words, by: witness(by - size), at: now, into: &effects)
        case .beatDue:
            for witness in 0..<witnesses {
                simulation.send(.beat(from: id), from: id, to: size + witness)
            }
            simulation.schedule(.beatDue, for: id, at: now + Self.beatInterval)
            return
        case .beat(let from):
            lastBeats[id - size][from] = now
            return
        case .testimonyDue:
            testify(id)
            return
        case .starve(let member, let starvation):
            starve(member, starvation)
            return
        }
        perform(effects, of: id)
    }

    private mutating func testify(_ id: Int) {
        var words: [String: Bool] = [:]
        for about in members {
            guard let last = lastBeats[id - size][about] else { continue }
            words[Self.name(about)] = now - last <= Self.beatTimeout
        }
        for member in members { simulation.send(.testimony(words, by: id), from: id, to: member) }
        simulation.schedule(.testimonyDue, for: id, at: now + Self.beatInterval)
    }

    private mutating func perform(_ effects: MembershipEffects, of id: Int) {
        for out in effects.sends {
            largestDatagram = max(largestDatagram, out.bytes.count)
            let to = Self.index(out.to)
            simulation.send(.datagram(out.bytes, from: id), from: id, to: to)
            if simulation.generator.chance(weather.duplication) {
                simulation.send(.datagram(out.bytes, from: id), from: id, to: to)
            }
        }
        for event in effects.events { note(event, of: id) }
        guard let wake = nodes[id].core.nextWake else { return }
        if nodes[id].wake.map({ wake < $0 }) ?? true {
            nodes[id].wake = wake
            let late = simulation.generator.duration(below: weather.timerJitter)
            simulation.schedule(.wake, for: id, at: max(wake, now) + late)
        }
    }

    private mutating func note(_ event: MembershipEvent, of id: Int) {
        guard case .changed(let change) = event else {
            events.append((now, id, event))
            return
        }
        // Of n members n² are told when they start.
        if change.from == .unknown, change.to == .alive { return }
        let subject = Self.index(change.name)
        // Of the first roster, told while the world is made.
        let isWell =
            subject >= nodes.count || nodes[subject].isRunning && pausedUntil[subject] <= now
        changes.append(
            Change(
                time: now, observer: id, subject: subject, change: change, isSubjectWell: isWell))
        if change.to == .dead {
            deadIncarnations[id][subject] = change.incarnation
            // Another takes its place as a relay: witnesses know no more of it.
            for witness in lastBeats.indices { lastBeats[witness][subject] = nil }
        }
        if change.to == .alive, let dead = deadIncarnations[id][subject],
            change.incarnation <= dead
        {
            violations.append(
                "member \(id) holds \(subject) alive in incarnation \(change.incarnation), which "
                    + "had died as \(dead)")
        }
    }

    // MARK: Doing things to it

    private mutating func scheduleSoon(_ event: Event, for id: Int) {
        let phase = simulation.generator.duration(below: Self.beatInterval)
        simulation.schedule(event, for: id, at: now + phase)
    }

    private mutating func start(_ id: Int) {
        lives += 1
        let core = makeCore(Self.name(id), seed << 20 | lives)
        if id < nodes.count { nodes[id] = Node(core: core) } else { nodes.append(Node(core: core)) }
        // What it held before is forgotten with it.
        deadIncarnations[id] = Array(repeating: nil, count: size)
        var effects = MembershipEffects()
        nodes[id].core.configure(
            roster: members.map { Self.name($0) },
            witnesses: (0..<witnesses).map { witness($0) }, at: now, into: &effects)
        perform(effects, of: id)
        if witnesses > 0 { scheduleSoon(.beatDue, for: id) }
    }

    public mutating func crash(_ member: Int) {
        simulation.kill(member)
        nodes[member].isRunning = false
    }

    /// Another life, that knows nothing of the last one.
    public mutating func restart(_ member: Int) {
        simulation.revive(member)
        start(member)
    }

    /// Holds a member up, as SIGSTOP does; what it is sent waits.
    public mutating func pause(_ member: Int, for duration: Duration) {
        simulation.pause(member, for: duration)
        pausedUntil[member] = now + duration
    }

    /// Lets a member run only for `running` of each `period`, as a CPU quota does.
    public mutating func starve(
        _ member: Int, running: Duration, of period: Duration, for duration: Duration
    ) {
        starve(member, Starvation(running: running, period: period, until: now + duration))
    }

    private mutating func starve(_ member: Int, _ starvation: Starvation) {
        guard now < starvation.until else { return }
        pause(member, for: starvation.period - starvation.running)
        simulation.schedule(
            .starve(member, starvation), for: Self.world, at: now + starvation.period)
    }

    public mutating func partition(_ left: [Int], _ right: [Int], isCut: Bool = true) {
        simulation.network.partition(left, right, isCut: isCut)
    }

    /// Cuts a member off from everybody, witnesses included, or joins it again.
    public mutating func isolate(_ member: Int, isCut: Bool = true) {
        partition([member], (0..<size + witnesses).filter { $0 != member }, isCut: isCut)
    }

    public mutating func leave(_ member: Int) {
        var effects = MembershipEffects()
        nodes[member].core.leave(at: now, into: &effects)
        perform(effects, of: member)
    }

    public mutating func deliver(_ bytes: [UInt8], from: Int, to: Int) {
        simulation.schedule(.datagram(bytes, from: from), for: to, at: now)
    }

    // MARK: Looking

    public func core(_ member: Int) -> Membership { nodes[member].core }

    public func state(of subject: Int, seenBy observer: Int) -> MemberState {
        nodes[observer].core.status(of: Self.name(subject))?.state ?? .unknown
    }

    public var running: [Int] { members.filter { nodes[$0].isRunning } }

    /// Whether every running member holds `state` of each of `subjects`, itself aside.
    public func allHold(_ state: MemberState, of subjects: [Int], seenBy: [Int]? = nil) -> Bool {
        (seenBy ?? running).allSatisfy { observer in
            subjects.allSatisfy { $0 == observer || self.state(of: $0, seenBy: observer) == state }
        }
    }

    /// Deaths of members that were well.
    public func falseDeaths(since start: Instant = .zero) -> [Change] {
        changes.filter {
            $0.change.to == .dead && $0.time >= start && $0.isSubjectWell
        }
    }

    /// Seconds from `start` until the first and until the last running member held `victim` dead;
    /// nil if not all do.
    public func detection(of victim: Int, since start: Instant) -> (first: Double, all: Double)? {
        var first: [Int: Instant] = [:]
        for change in changes
        where change.subject == victim && change.change.to == .dead && change.time >= start {
            first[change.observer] = first[change.observer] ?? change.time
        }
        let times = running.compactMap { first[$0] }
        guard times.count == running.count, let earliest = times.min(), let latest = times.max()
        else { return nil }
        return ((earliest - start).seconds, (latest - start).seconds)
    }

    /// What a failed expectation prints.
    public func hint(_ test: String = "MeshMembershipTests") -> String {
        Replay.hint(seed, filter: test)
    }
}
