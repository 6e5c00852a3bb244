// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Dispatch
import Glibc
import MeshLab
import MeshModel
import Synchronization

/// Leaves a lab alone on a machine that has no processor to spare, and looks whether anybody is
/// accused of what nobody did.
struct SoakBenchmark: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "soak",
        abstract: "Wrong verdicts of a lab under CPU stress, in which nothing fails.",
        discussion: """
            Three clusters of two nodes and a client, beside as many busy loops as asked for. \
            Every change of a verdict that takes a cluster or a node out is wrong. Exits with 1 if \
            there was one.
            """)
    private static let lab = "benchsoak"
    private static let settling = Duration.seconds(5)

    @OptionGroup var options: BenchOptions
    @Option(help: "How long.") var minutes = 30
    @Option(help: "Busy loops; by default one for each processor.") var stress: Int?

    func run() async throws {
        let weft = try options.product()
        let loops = stress ?? Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        let wrong = try await withLab(Self.lab, .builtIn, weft: weft) { lab in
            try await Task.sleep(for: Self.settling)
            return try await soak(lab, loops: loops)
        }
        guard wrong == 0 else { throw ExitCode.failure }
    }

    private func soak(_ lab: Lab, loops: Int) async throws -> Int {
        let watch = try await HealthWatch(lab: lab)
        let file = "\(lab.plan.stateFolder)/logs/soak.jsonl"
        let load = try lab.start(
            [
                "weft", "lab", "load", "http://10.201.0.10/", "--interval", "100ms", "--timeout",
                "2000ms",
            ], in: "alpha/client", output: file)
        let stress = Stress(loops: loops)
        defer { stress.end() }
        let looking = Task { await watch.run() }
        defer { looking.cancel() }
        let begin = monotonicNow()
        for minute in 1...max(minutes, 1) {
            try await Task.sleep(for: .seconds(60))
            let wrong = await watch.changes.count { !$0.word.isUsable }
            tell("minute \(minute): \(wrong) wrong verdicts")
        }
        if let ending = load.ending() {
            throw LabError(.failed, "the load ended by itself: \(ending)")
        }
        try load.signal(SIGKILL)
        let log = try LoadLog(file: file)
        let changes = await watch.changes
        let hard = changes.count { $0.word.verdict == .unreachable }
        let soft = changes.count { !$0.word.isUsable } - hard
        Figure("soak.duration", Double(monotonicNow() - begin) / 6e10, "min").report()
        Figure("soak.loops", Double(loops), "").report()
        Figure("soak.wrong", Double(hard), "verdicts", goal: "value<=0").report()
        Figure("soak.suspected", Double(soft), "verdicts", goal: "value<=0").report()
        Figure("soak.stall", await watch.stall(since: begin), "s").report()
        Figure("soak.requests", Double(log.records.count), "").report()
        Figure("soak.lost", Double(log.records.count { $0.outcome != .ok }), "requests").report()
        for change in changes where !change.word.isUsable {
            tell("\(change.observer.node) held \(change.subject) for \(change.word)")
        }
        return hard + soft
    }
}

/// Threads that keep processors busy until ``end()``.
private final class Stress: Sendable {
    private let isOver = Mutex(false)

    init(loops: Int) {
        for _ in 0..<loops {
            DispatchQueue.global().async { [self] in
                var dice = UInt64(1)
                while !isOver.withLock({ $0 }) {
                    for _ in 0..<100_000 { dice = dice &* 6_364_136_223_846_793_005 &+ 1 }
                }
                withExtendedLifetime(dice) {}
            }
        }
    }

    func end() { isOver.withLock { $0 = true } }
}
