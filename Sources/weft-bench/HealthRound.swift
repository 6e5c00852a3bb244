// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshLab
import MeshModel

/// What became of one fault. Times in seconds from its beginning on.
struct HealthOutcome {
    /// Until an observer held for unreachable what was hit, one value an observer.
    var detection: [HealthFault.Place: [Double]] = [:]
    /// Until an observer sent it no new flow, as a suspect or as unreachable.
    var suspicion: [HealthFault.Place: [Double]] = [:]
    /// Observers that had to notice and didn't.
    var missed = 0
    /// Longest time without an answered request while the fault lasted, and just before it.
    var gap = 0.0
    var gapBefore = 0.0
    /// Requests that failed.
    var lost = 0
    /// Words that went unreachable though nothing was done to whom they are about.
    var wrong = 0
    /// The same, and only suspect: no new flow until the next heartbeat.
    var suspected = 0
    /// Longest time in which this program, and so perhaps an agent, had no processor.
    var stall = 0.0
    /// Whether everything took flows again.
    var hasRecovered = true
}

/// One fault in a lab where everything is up; undone afterwards.
struct HealthRound {
    static let interval = "5ms"
    /// Of a request; shorter than ``observation``.
    static let timeout = "1000ms"
    static let steady = Duration.milliseconds(800)
    /// A fault lasts so long at least, so that it shows what it does.
    static let observation = Duration.milliseconds(2500)
    static let freeze = Duration.seconds(5)
    /// How long an observer may take to notice.
    static let noticeLimit = Duration.seconds(6)
    /// Opinions that are made of old news come this long after the end of a fault.
    static let aftermath = Duration.milliseconds(1500)
    /// From dead to weight > 0: agents start, prove themselves and are held.
    static let recoveryLimit = Duration.seconds(40)

    let lab: Lab
    let watch: HealthWatch
    let fault: HealthFault
    /// The program of ``Lab/cut(from:to:share:object:)``.
    let impair: [UInt8]
    /// Whether to wait until everything takes flows again.
    let recovers: Bool

    func run(number: Int) async throws -> HealthOutcome {
        let file = "\(lab.plan.stateFolder)/logs/health-\(number).jsonl"
        let load = try startLoad(file)
        let start = monotonicNow()
        let looking = Task { [watch] in await watch.run() }
        defer { looking.cancel() }
        try await Task.sleep(for: Self.steady)

        let (began, restored) = try await strike()
        try await Task.sleep(for: Self.aftermath)
        if let ending = load.ending() {
            throw LabError(.failed, "the load ended by itself: \(ending)")
        }
        try load.signal(SIGKILL)
        let log = try LoadLog(file: file)

        var outcome = HealthOutcome()
        if recovers { outcome.hasRecovered = try await recover() }
        outcome.gap = Double(log.longestGap(from: began, until: restored)) / 1e9
        outcome.gapBefore = Double(log.longestGap(from: start, until: began)) / 1e9
        outcome.lost = log.records.count {
            $0.outcome != .ok && $0.end >= began && $0.start < restored
        }
        outcome.stall = await watch.stall(since: began)
        let changes = await watch.changes(since: began)
        judge(changes, await watch.pairs(), began: began, restored: restored, &outcome)
        return outcome
    }

    private func startLoad(_ file: String) throws -> LabProcess {
        let service = lab.plan.services.first { $0.name == "web" }
        guard let address = service?.addresses[fault.client]?.first else {
            throw LabError(.failed, "the lab has no service web in \(fault.client)")
        }
        return try lab.start(
            [
                "weft", "lab", "load", "http://\(address)/", "--interval", Self.interval,
                "--timeout", Self.timeout,
            ], in: "\(fault.client)/client", output: file)
    }

    /// Does it, waits until everybody noticed, and undoes it.
    ///
    /// - Returns: when it began, and when its undoing began; nanoseconds.
    private func strike() async throws -> (began: UInt64, restored: UInt64) {
        switch fault.kind {
        case .node, .relay, .cluster:
            let began = try lab.kill(fault.target).began
            try await observe(from: began)
            let restored = monotonicNow()
            try await lab.revive(fault.target)
            return (began, restored)
        case .link:
            guard let receiver = fault.receiver else {
                throw LabError(.failed, "a link has two ends: \(fault)")
            }
            let cut = try lab.cut(from: fault.cluster, to: receiver, object: impair)
            let began = cut.moment.began
            try await observe(from: began)
            return (began, try cut.heal().began)
        case .frozen:
            let began = try lab.freeze(fault.target).began
            try await Task.sleep(for: Self.freeze)
            return (began, try lab.thaw(fault.target).began)
        }
    }

    private func observe(from began: UInt64) async throws {
        try await Task.sleep(for: Self.observation)
        let pairs = await watch.pairs().filter { pair in
            fault.place(pair.observer, pair.subject).map { $0 != .mute } ?? false
        }
        let deadline = ContinuousClock.now + Self.noticeLimit - Self.observation
        while ContinuousClock.now < deadline {
            let noticed = await watch.changes(since: began).filter {
                $0.word.verdict == .unreachable
            }
            let isComplete = pairs.allSatisfy { pair in
                noticed.contains { $0.observer == pair.observer && $0.subject == pair.subject }
            }
            if isComplete { return }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// - Returns: whether everything takes flows again in time.
    private func recover() async throws -> Bool {
        let deadline = ContinuousClock.now + Self.recoveryLimit
        while true {
            let lacks = await watch.lacks()
            if lacks.isEmpty { return true }
            guard ContinuousClock.now < deadline else {
                tell("not recovered: \(lacks.prefix(3).joined(separator: "; "))")
                return false
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    private func judge(
        _ changes: [HealthWatch.Change],
        _ pairs: [(observer: HealthWatch.Observer, subject: Subject)], began: UInt64,
        restored: UInt64, _ outcome: inout HealthOutcome
    ) {
        for (observer, subject) in pairs {
            guard let place = fault.place(observer, subject) else { continue }
            let own = changes.filter {
                $0.observer == observer && $0.subject == subject && $0.time < restored
            }
            func seconds(_ isWanted: (LivenessWord) -> Bool) -> Double? {
                own.first { isWanted($0.word) }.map {
                    milliseconds(from: began, to: $0.time) / 1000
                }
            }
            if let time = seconds({ !$0.isUsable }) {
                outcome.suspicion[place, default: []].append(time)
            }
            if let time = seconds({ $0.verdict == .unreachable }) {
                outcome.detection[place, default: []].append(time)
            } else if place != .mute {
                outcome.missed += 1
                tell("missed: \(observer.node) of \(subject), \(fault)")
            }
        }
        let homes = Dictionary(
            uniqueKeysWithValues: lab.plan.clusters.flatMap { cluster in
                cluster.nodes.map { ($0.name, cluster.name) }
            })
        for change in changes
        where fault.isUntouched(change.observer, change.subject, home: { homes[$0] }) {
            guard change.word.verdict == .unreachable || change.word.verdict == .suspect else {
                continue
            }
            if change.word.verdict == .unreachable {
                outcome.wrong += 1
            } else {
                outcome.suspected += 1
            }
            tell(
                "\(change.word.verdict == .suspect ? "suspected" : "wrong"): "
                    + "\(change.observer.node) of \(change.subject), \(fault), "
                    + "\(Int(milliseconds(from: began, to: change.time))) ms")
        }
    }
}
