// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import MeshLab

/// From an endpoint to a service address that another cluster serves, against the same namespaces
/// over a plain VXLAN device. Client and server stay on one CPU; flow events are on.
struct PathBenchmark: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "path",
        abstract: "Latency, connections and throughput across clusters, and each program's cost.",
        discussion: """
            A ratio of 1 is as fast as plain VXLAN, less is slower; for programs it is time over time. \
            Programs of socket hooks can't be run in test runs.
            """)
    private static let lab = "benchpath"
    private static let servicePort: UInt16 = 80

    @OptionGroup var options: BenchOptions

    func run() async throws {
        let weft = try options.product()
        let bench = try ownExecutable()
        try ProgramBenchmark(isQuick: options.quick).run()
        try PlainOverlay.remove()
        try await cleaningUp {
            try PlainOverlay.remove()
        } after: {
            try PlainOverlay.create()
            let server = try Subprocess(
                plain("end2", [bench, "answer", "--cpu", "\(measuringCPU())"], weft))
            let process = server.identifier
            try await cleaningUp {
                kill(process, SIGKILL)
            } after: {
                let file = try LabFile.answering(bench, at: Self.servicePort)
                try await withLab(Self.lab, file, weft: weft) { lab in
                    try measure(in: lab, weft: weft, bench: bench)
                }
            }
            server.end()
        }
    }

    private func measure(in lab: Lab, weft: String, bench: String) throws {
        guard let address = lab.plan.services.first?.addresses["alpha"]?.first else {
            throw LabError(.failed, "the service has no address in alpha")
        }
        let ours = [weft, "lab", "exec", "--lab", Self.lab, "alpha/client", "--"]
        let repetitions = options.quick ? 9 : 21
        let milliseconds = options.quick ? 400 : 1000
        var results: [Question: (ours: Sample, plain: Sample, ratio: Sample)] = [:]
        for repetition in 0..<repetitions {
            for question in Question.allCases {
                func ask(_ prefix: [String], _ address: String, _ port: UInt16) throws -> Double {
                    let text = try Subprocess(
                        prefix + [
                            bench, "ask", question.rawValue, "--address", address, "--port",
                            "\(port)", "--milliseconds", "\(milliseconds)", "--cpu",
                            "\(measuringCPU())",
                        ]
                    ).finish()
                    guard let value = Double(text.filter { !$0.isWhitespace }) else {
                        throw LabError(.failed, "the client said '\(text)'")
                    }
                    return value
                }
                func askOurs() throws -> Double { try ask(ours, address, Self.servicePort) }
                func askPlain() throws -> Double {
                    try ask(
                        plain("end1", [], weft), PlainOverlay.serverAddress, AnswerCommand.port)
                }
                let isOursFirst = repetition % 2 == 0
                let first = try isOursFirst ? askOurs() : askPlain()
                let second = try isOursFirst ? askPlain() : askOurs()
                let (mine, base) = isOursFirst ? (first, second) : (second, first)
                results[question, default: (Sample(), Sample(), Sample())].ours.add(mine)
                results[question]?.plain.add(base)
                results[question]?.ratio.add(question == .latency ? base / mine : mine / base)
            }
        }
        for (question, unit, goal) in [
            (Question.latency, "us", 0.97), (.connections, "1/s", 0.95),
            (.throughput, "Mbit/s", 0.95),
        ] {
            guard let result = results[question] else { continue }
            Figure(
                "path.\(question.rawValue).p50", result.ours.median, unit,
                baseline: result.plain.median, ratio: result.ratio.median,
                goal: "ratio>=\(goal)"
            ).report()
        }
    }

    /// `command` in a namespace of the baseline.
    private func plain(_ namespace: String, _ command: [String], _ weft: String) -> [String] {
        [weft, "lab-exec", "--netns", PlainOverlay.namespacePath(namespace), "--"] + command
    }
}
