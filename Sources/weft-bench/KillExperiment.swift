// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshLab
import MeshModel

/// What one kill did. Times in seconds from its first cable on.
struct KillOutcome: CustomStringConvertible {
    var switchSeconds: Double
    var verdictSeconds: Double
    var releaseSeconds: Double
    var gapSeconds: Double
    /// Connections to the dead cluster that ended later than 1.1 s after the verdict, or not at all.
    var hung: Int
    /// Connections and requests that failed because the cluster died.
    var lost: Int

    var description: String {
        func text(_ seconds: Double) -> String { "\(Int((seconds * 1000).rounded())) ms" }
        return "switch \(text(switchSeconds)), verdict \(text(verdictSeconds)), release "
            + "\(text(releaseSeconds)), gap \(text(gapSeconds)), \(lost) lost, \(hung) hung"
    }
}

/// One kill in a lab that was just made.
struct KillExperiment {
    static let interval = "5ms"
    static let talkers = 12
    static let idlers = 12
    /// Longer than a connection may hang, so that one that does is seen to.
    static let timeout = "2500ms"
    static let hangLimit: UInt64 = 1_100_000_000
    /// What begins this shortly before the kill may be under way when it comes.
    static let marginNanoseconds: UInt64 = 100_000_000
    static let steady = Duration.milliseconds(1500)
    /// After the kill: verdict, its 1.1 s, and the timeout of what began just before.
    static let observation = Duration.milliseconds(4000)
    static let verdictLimit = Duration.seconds(20)

    let lab: Lab
    let victim: String

    func run() async throws -> KillOutcome {
        let service = lab.plan.services.first { $0.name == "web" }
        guard let address = service?.addresses["alpha"]?.first else {
            throw LabError(.failed, "the built-in lab has no service web in alpha")
        }
        let file = "\(lab.plan.stateFolder)/logs/bench.jsonl"
        let load = try lab.start(
            [
                "weft", "lab", "load", "http://\(address)/", "--interval", Self.interval,
                "--timeout", Self.timeout, "--talkers", "\(Self.talkers)", "--talk-interval",
                "20ms", "--idlers", "\(Self.idlers)",
            ], in: "alpha/client", output: file)
        let (cluster, client) = try lab.plan.endpoint(matching: "alpha/client")
        let id = try lab.plan.cluster(named: victim).id
        guard let node = cluster.nodes.first(where: { $0.name == client.node }) else {
            throw LabError(.failed, "the client has no node")
        }
        let kernel = try KernelView(of: node, in: cluster.name, lab: lab.plan.name)
        try await Task.sleep(for: Self.steady)
        let steadyBegin = monotonicNow()
        try await Task.sleep(for: Self.steady)

        let killed = try lab.kill(victim).began
        let deadline = ContinuousClock.now + Self.verdictLimit
        while kernel.word(ofCluster: id).verdict != .unreachable {
            guard ContinuousClock.now < deadline else {
                throw LabError(.timedOut, "\(victim) is dead and the client's node doesn't know")
            }
            try await Task.sleep(for: .microseconds(500))
        }
        let verdict = monotonicNow()
        try await Task.sleep(for: Self.observation)
        if let ending = load.ending() {
            throw LabError(.failed, "the load ended by itself: \(ending)")
        }
        try load.signal(SIGKILL)
        let log = try LoadLog(file: file)
        let before = log.requests(from: steadyBegin, until: killed - Self.marginNanoseconds)
        guard before.failures.count * 1000 <= before.count else {
            throw LabError(
                .failed, "\(before.failures.count) of \(before.count) requests failed before")
        }
        return outcome(log, killed: killed, verdict: verdict)
    }

    private func outcome(_ log: LoadLog, killed: UInt64, verdict: UInt64) -> KillOutcome {
        // What began before and failed afterwards was under way to the victim.
        let lost = log.records.filter { $0.outcome != .ok && $0.end >= killed }
        // New connections that met the dead cluster: who they were for shows in that they failed.
        let late = lost.filter { $0.kind == .request && $0.start >= killed }
        let ended = lost.map(\.end).max() ?? killed
        var last: [Int: LoadRecord] = [:]
        for record in log.records where record.kind == .idle { last[record.connection] = record }
        let asleep = last.values.count {
            $0.outcome == .ok && $0.cluster == victim && $0.start < killed
        }
        let hung = lost.filter { $0.end > verdict + Self.hangLimit && $0.start <= verdict }
        for record in hung {
            tell(
                "hung: \(record.kind) \(record.connection), last answered by "
                    + "\(record.cluster ?? "nobody"), from \(seconds(killed, record.start)) s to "
                    + "\(seconds(killed, record.end)) s, \(record.outcome)")
        }
        return KillOutcome(
            switchSeconds: seconds(killed, late.map(\.start).max() ?? killed),
            verdictSeconds: seconds(killed, verdict),
            releaseSeconds: seconds(killed, ended),
            gapSeconds: Double(log.longestGap(from: killed, until: monotonicNow())) / 1e9,
            hung: asleep + hung.count,
            lost: lost.count)
    }

    private func seconds(_ begin: UInt64, _ end: UInt64) -> Double {
        milliseconds(from: begin, to: end) / 1000
    }
}
