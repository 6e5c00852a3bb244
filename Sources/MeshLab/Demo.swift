// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The story that Weft is made for, told while it happens on this machine: three clusters share a
/// service, one is lost, it returns, another one drains.
public struct Demo {
    /// Between two requests, each on a connection of its own.
    static let intervalMilliseconds = 10
    static let readers = 6
    static let steady = Duration.seconds(4)
    static let afterKill = Duration.seconds(3)
    static let afterReturn = Duration.seconds(8)
    static let afterDrain = Duration.seconds(3)
    static let returnLimit = Duration.seconds(25)
    /// Promises, in nanoseconds.
    static let switchLimit: UInt64 = 900_000_000
    static let hangLimit: UInt64 = 1_100_000_000
    static let drainLimit: UInt64 = 300_000_000

    static let withoutServer = Duration.seconds(4)

    private let name: String
    private let file: LabFile
    private let tell: (String) -> Void
    private var broken: [String] = []

    /// - Parameters:
    ///   - hasServers: whether each cluster has an API server that its objects come from.
    ///   - tell: gets a line at a time.
    public init(
        name: String = Lab.defaultName, hasServers: Bool = false,
        tell: @escaping (String) -> Void
    ) {
        self.name = name
        var file = LabFile.builtIn
        for index in file.clusters.indices { file.clusters[index].apiServer = hasServers }
        self.file = file
        self.tell = tell
    }

    /// - Parameter keep: leaves the lab up.
    /// - Returns: the promises that didn't hold, a sentence each.
    /// - Throws: what kept the demo from running; the lab is down then, unless it is to be kept.
    public mutating func run(keep: Bool) async throws -> [String] {
        tell("Bringing up three clusters of two nodes each, on this machine.")
        let lab = try await Lab.up(file, name: name, progress: { [tell] in tell("  \($0)") })
        do {
            try await play(in: lab)
        } catch {
            if !keep { try await Lab.down(name) }
            throw error
        }
        tell("")
        if keep {
            tell("The lab is still up. Try:  weft lab exec alpha/client -- bash")
            tell("                           weft lab down \(name)")
        } else {
            try await Lab.down(name)
            tell("The lab is gone without a trace.")
        }
        return broken
    }

    private mutating func play(in lab: Lab) async throws {
        guard let service = lab.plan.services.first(where: { $0.name == "web" }),
            let address = service.addresses["alpha"]?.first
        else { throw LabError(.failed, "the built-in lab has no service web in alpha") }
        let file = "\(lab.plan.stateFolder)/logs/demo.jsonl"
        let load = try lab.start(
            [
                "weft", "lab", "load", "http://\(address)/", "--interval",
                "\(Self.intervalMilliseconds)ms", "--idlers", "\(Self.readers)",
            ], in: "alpha/client", output: file)
        defer { try? load.signal(SIGKILL) }  // it may have ended by itself

        tell("")
        tell(
            "A client in alpha asks http://\(address)/ every \(Self.intervalMilliseconds) ms, on a new connection each time."
        )
        tell("The service web is global: it has backends in alpha, beta and gamma.")
        let begin = Lab.now()
        try await Task.sleep(for: Self.steady)
        try report("in the first seconds", file, from: begin)

        try await loseServer(lab, file)
        try await kill(lab, file)
        try await revive(lab, file)
        try await drain(lab, file)

        let log = try LoadLog(file: file)
        tell("")
        tell(
            "In all: \(log.requests().count) requests, \(log.requests().failures.count) failed, longest gap "
                + "\(milliseconds(log.longestGap(from: begin, until: Lab.now()))).")
        if let state = load.ending() { promise(false, "the client ended by itself: \(state)") }
    }

    private mutating func loseServer(_ lab: Lab, _ file: String) async throws {
        guard let alpha = lab.plan.clusters.first(where: \.apiServer) else { return }
        tell("")
        tell("The API server of \(alpha.name), which has its services, pods and nodes, goes away.")
        let begin = Lab.now()
        try await lab.endAPIServer(of: alpha)
        try await Task.sleep(for: Self.withoutServer)
        tell("  It returns, and remembers nothing of what happened before.")
        try await lab.startAPIServer(of: alpha)
        try await Task.sleep(for: Self.withoutServer)
        let failed = try LoadLog(file: file).requests(from: begin).failures.count
        tell("  \(failed) requests failed meanwhile.")
        promise(failed == 0, "\(failed) requests failed while an API server was away")
        try report("meanwhile", file, from: begin)
    }

    private mutating func kill(_ lab: Lab, _ file: String) async throws {
        tell("")
        tell("Now beta dies: its agents and its cables, at the same moment.")
        let moment = try lab.kill("beta")
        try await Task.sleep(for: Self.afterKill)
        let log = try LoadLog(file: file)
        let end = Lab.now()
        let lost = log.requests().failures.filter { $0.end >= moment.began }
        let lastLost = lost.map(\.start).max().map { $0 - min($0, moment.began) } ?? 0
        let slowest = lost.map(\.end).max().map { $0 - moment.began } ?? 0
        let woken = log.records.filter {
            $0.kind == .idle && $0.outcome != .ok && $0.end >= moment.began
        }
        tell("  the last new connection went to beta \(milliseconds(lastLost)) after its death;")
        tell(
            "  \(lost.count) requests were lost with it, the last one told so after "
                + "\(milliseconds(slowest)); longest gap for the client "
                + "\(milliseconds(log.longestGap(from: moment.began, until: end)));")
        tell(
            "  of \(Self.readers) readers that only wait, \(woken.count) were on beta and were woken."
        )
        promise(
            lastLost <= Self.switchLimit,
            "new connections went to beta for \(milliseconds(lastLost)) after its death, not for at most "
                + milliseconds(Self.switchLimit))
        promise(
            slowest <= Self.switchLimit + Self.hangLimit
                && woken.allSatisfy { $0.end - moment.began <= Self.switchLimit + Self.hangLimit },
            "a connection to beta hung until \(milliseconds(slowest)) after its death")
        try report("after the failover", file, from: end - 1_500_000_000)
    }

    private mutating func revive(_ lab: Lab, _ file: String) async throws {
        tell("")
        tell("beta returns. It is watched for five seconds, then gets traffic step by step.")
        let moment = try await lab.revive("beta")
        let limit = ContinuousClock.now + Self.returnLimit
        var first: LoadRecord?
        while first == nil, ContinuousClock.now < limit {
            try await Task.sleep(for: .milliseconds(100))
            first = try LoadLog(file: file).requests(from: moment.began)
                .first { $0.outcome == .ok && $0.cluster == "beta" }
        }
        guard let first else {
            promise(false, "beta got no traffic within \(Self.returnLimit) of its return")
            return
        }
        tell("  the first request reached it \(seconds(first.start - moment.began)) later;")
        try await Task.sleep(for: Self.afterReturn)
        try report("while its share grows", file, from: Lab.now() - 3_000_000_000)
        let failed = try LoadLog(file: file).requests(from: moment.began).failures.count
        tell("  \(failed) requests failed on its way back.")
        promise(failed == 0, "\(failed) requests failed while beta returned")
    }

    private mutating func drain(_ lab: Lab, _ file: String) async throws {
        tell("")
        tell("gamma is to be maintained: it drains.")
        let moment = try await lab.drain("gamma")
        try await Task.sleep(for: Self.afterDrain)
        let requests = try LoadLog(file: file).requests(from: moment.began)
        let last = requests.last { $0.cluster == "gamma" }.map { $0.start - moment.began } ?? 0
        let failed = requests.failures.count
        tell(
            "  the last new connection to it began \(milliseconds(last)) after the word was given, "
                + "\(failed) requests failed.")
        promise(
            last <= Self.drainLimit,
            "gamma got new connections for \(milliseconds(last)) after it was told to drain, not for at most "
                + milliseconds(Self.drainLimit))
        promise(failed == 0, "\(failed) requests failed while gamma drained")
        try report("with gamma drained", file, from: Lab.now() - 2_000_000_000)
    }

    private func report(_ when: String, _ file: String, from begin: UInt64) throws {
        let requests = try LoadLog(file: file).requests(from: begin)
        let shares = requests.shares.map {
            "\($0.cluster) \(Int(($0.share * 100).rounded())) %"
        }
        tell("  shares \(when): \(shares.joined(separator: ", "))")
    }

    private mutating func promise(_ holds: Bool, _ sentence: String) {
        if !holds { broken.append(sentence) }
    }

    private func milliseconds(_ nanoseconds: UInt64) -> String {
        "\((nanoseconds + 500_000) / 1_000_000) ms"
    }

    private func seconds(_ nanoseconds: UInt64) -> String {
        "\(Double(nanoseconds / 100_000_000) / 10) s"
    }
}
